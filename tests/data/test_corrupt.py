"""Held-out images corrupted: the same for all who score them, each in its own way, and known without pixels."""

from dataclasses import replace

import numpy as np
import pytest

from tests.report.conftest import images
from wbc.data.corrupt import BLUR, BRIGHTNESS, CAST, SIDE, corrupt, corrupted, is_held
from wbc.data.images import Listing


def test_corrupted_images_keep_names_and_labels_and_are_known_as_others() -> None:
    held = images("lab_validation", [0, 1, 2])
    found = corrupted(held)
    assert (found.name, found.ids, found.labels.tolist()) == ("lab_validation_corrupted", held.ids, [0, 1, 2])
    assert found.digest != held.digest
    assert [is_held(name) for name in ("lab", "lab_validation", found.name)] == [False, True, True]
    listing = Listing(**{name: getattr(held, name) for name in Listing.__dataclass_fields__})
    assert corrupted(listing).digest == found.digest
    assert [each.shape for each in map(found.pixels.__getitem__, range(3))] == [(8, 8, 3)] * 3


def test_changes_are_drawn_from_the_name_alone() -> None:
    grey = np.full((20, 30, 3), 100, np.uint8)
    assert np.array_equal(corrupt(grey, "a.png"), corrupt(grey, "a.png"))
    means = {tuple(corrupt(grey, f"{name}.png")[0, 0].tolist()) for name in range(20)}
    assert len(means) > 15
    low, high = (BRIGHTNESS[side] * CAST[side] * 100 for side in (0, 1))
    assert all(low - 1 <= value <= high + 1 for mean in means for value in mean)


@pytest.mark.parametrize("side", [SIDE[0], SIDE[1]])
def test_field_of_view_is_centred_and_mirrored_beyond_the_edge(side: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ramp from left to right: its middle stays, and its slope is that of the field of view."""
    for name in ("BRIGHTNESS", "CAST"):
        monkeypatch.setattr(f"wbc.data.corrupt.{name}", (1.0, 1.0))
    monkeypatch.setattr("wbc.data.corrupt.BLUR", (0.0, 0.0))
    monkeypatch.setattr("wbc.data.corrupt.SIDE", (side, side))
    ramp = np.repeat(np.repeat(np.linspace(50, 150, 41).round().astype(np.uint8)[None], 41, 0)[..., None], 3, 2)
    seen = corrupt(ramp, "a.png")[20, :, 0].astype(float)
    assert seen[20] == pytest.approx(100, abs=1)
    assert seen[25] - seen[15] == pytest.approx(25 * side, abs=2)
    assert (seen.max() > 145) == (side > 1)
    assert BLUR[1] < 0.05


def test_one_image_more_changes_no_other() -> None:
    few, more = images("lab", [0, 1]), images("lab", [0, 1, 2])
    for row in range(2):
        assert np.array_equal(corrupted(few).pixels[row], corrupted(replace(more)).pixels[row])
