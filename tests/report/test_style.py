"""Fonts that publishers accept, and letters that can be read on any shade."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from wbc.report.style import ink, new_figure, save


def test_pdf_embeds_truetype_even_if_the_users_settings_say_type_3(tmp_path: Path) -> None:
    with mpl.rc_context({"pdf.fonttype": 3}):
        figure = new_figure(2, 2)
        figure.subplots().set_title("Déjà vu ± 1")
        save(figure, tmp_path, "figure")
    content = (tmp_path / "figure.pdf").read_bytes()
    assert b"/Type3" not in content
    assert b"/FontFile2" in content


def luminance(colour: np.ndarray) -> float:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("shade", np.linspace(0, 1, 41))
def test_letters_in_matrices_have_a_contrast_of_four_and_a_half(shade: float) -> None:
    ground = np.array(mpl.colormaps["Blues"](float(shade))[:3])
    letters = {"black": 0.0, "white": 1.0}[ink(ground.tolist())]
    light, dark = sorted((luminance(ground), letters), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
