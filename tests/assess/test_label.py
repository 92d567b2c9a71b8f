"""The page to label cells on, in a real browser: keys and clicks, what is saved, and that `assess` reads it back."""

from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.assess.test_slides import draw
from tests.browser import screen, violations
from wbc.assess.label import label_page
from wbc.assess.names import UNLABELLED
from wbc.assess.options import AssessConfig
from wbc.assess.reading import read_slides
from wbc.assess.sheet import DRAWN, again, order, sheet
from wbc.assess.slides import Slides

SAVED = """
URL.createObjectURL = blob => { blob.text().then(text => { window.saved = text; }); return "#"; };
HTMLAnchorElement.prototype.click = () => {};
document.getElementById("save").click();
"""


@pytest.fixture
def slides(tmp_path: Path) -> Slides:
    """Twelve cells, of which two have a label; a name has a comma and a quotation mark."""
    for index in range(9):
        draw(tmp_path / f"cells/{index}.png")
    draw(tmp_path / 'cells/a, "b".png')
    draw(tmp_path / "cells/Neutrophil/10.png")
    draw(tmp_path / "cells/Monocyte/11.png")
    table = "".join(f"cells/{index}.png,\n" for index in range(9))
    labelled = "cells/Neutrophil/10.png,Neutrophil\ncells/Monocyte/11.png,Monocyte\n"
    (tmp_path / "cells.csv").write_text(f'path,label\n{table}"cells/a, ""b"".png",\n{labelled}')
    return read_slides(str(tmp_path / "cells.csv"), {})


def write_page(slides: Slides, path: Path) -> list[tuple[int, str]]:
    ordered = order(slides, np.eye(5)[np.zeros(len(slides.cells), int)])
    path.write_text(label_page(slides, ordered, sheet(slides, ordered), "make assess"), encoding="utf-8")
    return ordered


def test_labels_are_chosen_by_key_and_click_saved_and_read_back(
    slides: Slides, tmp_path: Path, browser: webdriver.Chrome
) -> None:
    ordered = write_page(slides, tmp_path / "label.html")
    screen(browser, 390, 844)
    browser.get((tmp_path / "label.html").as_uri())
    assert violations(browser) == []
    browser.find_element("css selector", "fieldset input").send_keys("n")
    browser.switch_to.active_element.send_keys("x")
    browser.switch_to.active_element.send_keys("m")
    browser.find_element("css selector", "fieldset[data-row='4'] input[value='Basophil']").click()
    browser.refresh()
    assert browser.find_element("id", "count").text == "4 of 10 cells seen, 4 of the first 10"
    browser.execute_script(SAVED)
    text = WebDriverWait(browser, 60).until(lambda page: page.execute_script("return window.saved"))
    (tmp_path / "labelled.csv").write_text(text, encoding="utf-8")
    again_read = {cell.path: cell.label for cell in read_slides(str(tmp_path / "labelled.csv"), {}).cells}
    wanted = {cell.path: cell.label for cell in slides.cells}
    for place, label in ((0, 4), (2, 3), (4, 0)):
        wanted[slides.cells[ordered[place][0]].path] = label
    assert again_read == wanted


def test_cells_with_a_label_stand_last_and_are_not_shown(slides: Slides, tmp_path: Path) -> None:
    ordered = write_page(slides, tmp_path / "label.html")
    assert [slides.cells[row].label == UNLABELLED for row, _ in ordered] == [True] * 10 + [False] * 2
    assert (tmp_path / "label.html").read_text(encoding="utf-8").count("<fieldset") == 10 < DRAWN


def test_command_of_the_labelled_table_repeats_how_the_slides_were_assessed() -> None:
    options = AssessConfig(slides="a", profile="cells", models="lite0,vgg16", error=0.02, crop=0.7)
    command = 'make assess SLIDES=labelled.csv PROFILE=cells MODELS="lite0 vgg16" ARGS="--error 0.02 --crop 0.7"'
    assert again(options) == command
    assert again(AssessConfig(slides="a")) == "make assess SLIDES=labelled.csv"
