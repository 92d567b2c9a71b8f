"""The command as a laboratory meets it: its answer, page and sheet; bad input gets one line and exit code 2."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from selenium import webdriver

from entrypoints.assess import assess as command
from entrypoints.command import main
from tests.assess.test_slides import draw
from tests.browser import screen, violations
from tests.conftest import Once, write_cells
from wbc.assess.assess import assess
from wbc.assess.options import AssessConfig
from wbc.cells import CLASSES
from wbc.config import RunConfig

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def two_runs(small_config: Callable[..., RunConfig], once: Once) -> Any:
    """Two seeds of a small model, scored on held-out cells of home and on cells away."""
    from wbc.run import train_and_score

    return once(
        "two_runs", lambda: [train_and_score(small_config(seed=seed, validation=0.34)).run_id for seed in (0, 1)]
    )


@pytest.fixture
def lab(store: Path) -> Path:
    """A laboratory's folder of 40 labelled cells on two slides."""
    whole = write_cells(store / "whole", 8)
    for image in sorted(whole.rglob("*.png")):
        slide = "one" if int(image.stem) % 2 else "two"
        target = store / "our slides" / slide / image.parent.name / image.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(image, target)
    return store / "our slides"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: Path) -> Run:
    """Returns a function that runs the command in this process: exit code, stdout, and the last line of stderr."""

    def call(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["entrypoints.assess", *options])
        with pytest.raises(SystemExit) as ended:
            main(AssessConfig, command)
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        return int(ended.value.code or 0), output.out, (output.err.splitlines() or [""])[-1]

    return call


def test_labelled_slides_get_an_answer_that_the_page_and_the_store_hold(two_runs: Any, lab: Path, store: Path) -> None:
    said = assess(AssessConfig(slides=str(lab), output=str(store / "page")))
    assert re.match(r"our slides: (Not fit|Not enough cells to tell|Fit with a second look)", said)
    assert "of 40 labelled cells" in said
    page = (store / "page/report.html").read_text(encoding="utf-8")
    answer = page.partition('<p class="device">')[0]
    assert "of 40 labelled cells" in answer
    assert "This is research software and no medical device" in page
    assert page.count("data:image/jpeg") >= 12
    assert "http" not in re.sub(r"data:[^\"]*", "", page)
    (logged,) = mlflow.search_runs(
        search_all_experiments=True, filter_string="tags.kind = 'assess'", output_format="list"
    )
    assert logged.data.metrics["labelled"] == 40
    kept = mlflow.artifacts.load_text(f"{logged.info.artifact_uri}/report.html")
    assert "of 40 labelled cells" in kept
    assert "data:image/jpeg" not in kept
    assert "0.png" not in kept
    assert "<td>one</td>" in page
    assert "<td>one</td>" not in kept
    cells = pd.read_csv(store / "page/cells.csv", keep_default_na=False)
    assert set(cells["slide"]) == {"one", "two"}
    assert set(cells["second_look"]) <= {"yes", "no"}
    recall = pd.read_csv(store / "page/tables/recall.csv")
    assert (list(recall["class"]), list(recall["cells"])) == (list(CLASSES), [8] * 5)
    assert not list((store / "data").glob("*our_slides*")), "no image is copied"
    assert not (store / "page/label_first.html").exists(), "all cells have labels"


def test_page_meets_wcag(two_runs: Any, lab: Path, store: Path, browser: webdriver.Chrome) -> None:
    assess(AssessConfig(slides=str(lab), output=str(store / "page")))
    for width_px, scheme in ((1280, "light"), (390, "dark")):
        screen(browser, width_px, 844, scheme)
        browser.get((store / "page/report.html").as_uri())
        assert violations(browser) == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width_px


def test_sheet_of_unlabelled_slides_is_filled_in_and_read_back(two_runs: Any, lab: Path, store: Path) -> None:
    classes = {image.name: image for image in lab.rglob("*.png")}
    assert classes
    for image in sorted(lab.rglob("*.png")):
        target = store / "plain" / f"{image.parent.name}_{image.parent.parent.name}_{image.name}"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(image, target)
    said = assess(AssessConfig(slides=str(store / "plain"), output=str(store / "page")))
    assert "None of 40 cells has a label" in said
    assert '<a href="label_first.html">' in (store / "page/report.html").read_text(encoding="utf-8")
    sheet = pd.read_csv(store / "page/label_first.csv", keep_default_na=False)
    assert set(sheet["label"]) == {""}
    sheet.loc[:34, "label"] = [Path(path).name.split("_")[0] for path in sheet["path"][:35]]
    sheet.to_csv(store / "labelled.csv", index=False)
    said = assess(AssessConfig(slides=str(store / "labelled.csv"), output=str(store / "again")))
    assert "of 35 labelled cells" in said
    assert "35 of 40 cells have a label" in (store / "again/report.html").read_text(encoding="utf-8")


def test_bad_input_ends_in_one_line(two_runs: Any, store: Path, run: Run) -> None:
    for name in ("empty", "one", "small", "huge", "same"):
        (store / name).mkdir()
    draw(store / "one/1.png")
    for index in range(12):
        draw(store / f"small/{index}.png", 10, seed=index)
        draw(store / f"same/Neutrophil/{index}.png", seed=index)
    (store / "gone.csv").write_text("path,label\nnowhere.png,Neutrophil\n")
    (store / "strange.csv").write_text("path,label\none/1.png,Blast\n")
    cases = [
        (("--slides", "empty"), "is empty: put images of single cells into it"),
        (("--slides", "nowhere"), "there is no folder or table"),
        (("--slides", "same?crop=0.6"), "the crop is an option of its own: --crop 0.6"),
        (("--slides", "gone.csv"), "has 1 row without its file, such as 'nowhere.png'"),
        (("--slides", "strange.csv"), "no class: 'Blast'"),
        (("--slides", "one"), "'one' holds 1 usable image; an answer needs at least 10"),
        (
            ("--slides", "small"),
            "'small' holds 0 usable images; an answer needs at least 10. Left out: 12 (fewer than 16",
        ),
        (("--slides", "same"), "all 12 labels of 'same' are Neutrophil"),
        (("--slides", "same", "--run", "0123456789"), "no run 0123456789"),
        (("--slides", "same", "--profile", "paper"), "no finished run of study paper: make reproduce PROFILE=paper"),
        (("--slides", "folder:same", "--profile", "papr"), "unknown profile 'papr'; did you mean 'paper'?"),
        (
            ("--slides", "same", "--seeds", "7"),
            "no finished run of seeds=7; there are: resnet50/seed0, resnet50/seed1.",
        ),
        (("--slides", "same", "--classes", "Segs"), "classes=Segs: write NAME=CLASS"),
        (("--slides", "same", "--output", "one"), "holds '1.png', which is no part of a report"),
        ((), "slides: name your folder of images"),
    ]
    for options, message in cases:
        code, out, error = run(*options)
        assert (code, out) == (2, ""), options
        assert error.startswith("error: ")
        assert message in error
