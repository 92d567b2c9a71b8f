"""The result in words: from the tables' means and the report's rule, with what limits it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.conftest import AWAY, HOME, LogRun
from wbc.config import ReportConfig
from wbc.report.paper.contents import PAPER
from wbc.report.paper.result import result
from wbc.report.query import read_study
from wbc.report.report import write_report

LABS = ("bccd", "tecom", "cellavision")


@pytest.fixture
def photographs(log_run: LogRun, options: ReportConfig, monkeypatch: pytest.MonkeyPatch) -> ReportConfig:
    """Two models of the study of photographs, five seeds, three labs away."""
    monkeypatch.setenv("PATH", "")  # no LaTeX
    for model, misses in (("lite0", 6), ("lite0_frozenbn", 1)):
        for seed in range(5):
            away = {lab: list(range(misses + (seed + place) % 3)) for place, lab in enumerate(LABS)}
            wrong = {"pbc2500_test": [seed] if model == "lite0" else [], **away}
            log_run(model, seed, wrong, profile="cells", source="pbc2500")
    return replace(options, profile="cells", models="lite0,lite0_frozenbn", seeds=None)


def test_sentence_of_a_lead_that_no_test_finds(golden_runs: dict[tuple[str, int], str], options: ReportConfig) -> None:
    """Home 90 and 90, away 80 and 100 of ResNet50 with group norm; away 40 and 20 of the other."""
    study = read_study(options)
    (p,) = [each.p_holm for each in study.contrasts if each.domain == AWAY]
    assert p > 0.05
    assert result(study).sentences == (
        "Best on smears_target: ResNet50 with group norm, 90.0 % right, 0.0 points below home; a test does not tell "
        f"it from the next, ResNet50 with batch norm (30.0 %, p = {p:.3f}).",
    )


def test_sentence_of_a_lead_that_a_test_finds(log_run: LogRun, options: ReportConfig) -> None:
    for seed in (0, 1):
        log_run("resnet50", seed, {HOME: [], AWAY: list(range(10))})
        log_run("resnet50_gn", seed, {HOME: [], AWAY: []})
    (sentence,) = result(read_study(options)).sentences
    assert "a test tells it from the next, ResNet50 with batch norm (0.0 %, p < 0.001)" in sentence


def test_sentence_names_the_drop_and_a_result_that_guessing_reaches(log_run: LogRun, options: ReportConfig) -> None:
    log_run("resnet50", 0, {HOME: [], AWAY: list(range(8))})
    headline = result(read_study(replace(options, models="resnet50", seeds="0")))
    assert headline.sentences == (
        "Best on smears_target: ResNet50 with batch norm, 20.0 % right, 80.0 points below home, "
        "no more than always saying the largest class (20.0 %).",
    )
    assert headline.caveats[0] == "One seed a model: too few for intervals over seeds."


def test_one_seed_has_no_test(log_run: LogRun, options: ReportConfig) -> None:
    log_run("resnet50", 0, {HOME: [], AWAY: [0]})
    log_run("resnet50_gn", 0, {HOME: [], AWAY: []})
    (sentence,) = result(read_study(replace(options, seeds="0"))).sentences
    assert sentence.endswith("; with one seed no test compares it with the next, ResNet50 with batch norm (90.0 %).")


def test_report_of_drawn_cells_says_so_before_anything_else(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    folder = write_report(options, PAPER)
    for name in ("report.html", "report.tex"):
        text = (folder / name).read_text()
        assert "Drawn cells under domain shift" in text
        assert text.index("are drawings. The scores say that the code works") < text.index("Best on smears")


def test_report_on_photographs_says_nothing_of_drawings_and_has_a_sentence_for_each_lab(
    photographs: ReportConfig,
) -> None:
    headline = result(read_study(photographs))
    assert [sentence.split(":")[0] for sentence in headline.sentences] == [f"Best on {lab}" for lab in LABS]
    assert headline.warning == ""
    assert headline.caveats == (
        "Images: 10 of bccd, 10 of tecom, 10 of cellavision. Other images, and other labs, may order the models "
        "otherwise.",
    )
    folder = write_report(photographs, PAPER)
    for path in (folder / "report.html", folder / "report.tex"):
        assert not re.search("draw(ing|n )", re.sub(r"base64,[^\"]*", "", path.read_text()), re.IGNORECASE), path


def test_first_screen_is_the_result_its_figure_and_table_4(photographs: ReportConfig) -> None:
    text = re.sub(r"base64,[^\"]*", "", Path(write_report(photographs, PAPER) / "report.html").read_text())
    order = ["<h1>", "Best on bccd", 'id="fig4_home_away"', 'id="table4"', "<details>", 'id="table1"', 'id="run-list"']
    places = [text.index(each) for each in order]
    assert places == sorted(places)
