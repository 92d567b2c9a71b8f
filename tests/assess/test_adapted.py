"""The advised adaptation on the slides: what it changes, what is expected of it, and why it may not be applied."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.assess.test_verdict import LABELS, model_of, slides_of
from tests.conftest import Once, write_cells
from wbc.assess.adapted import Adapted, adapt, adapted_table, adapted_words
from wbc.assess.advice import Advice
from wbc.assess.labelled import find_truth
from wbc.assess.options import AssessConfig
from wbc.assess.pixels import decoded
from wbc.assess.predict import ask, cropped_geometry, fetch_all
from wbc.assess.reading import read_slides
from wbc.assess.runs import read_known
from wbc.config import RunConfig
from wbc.evaluation.expected import average_thresholded_confidence
from wbc.methods.adapt_scores import em_shares, reweighted
from wbc.report.files import read_under
from wbc.report.trials import Range


def advice(name: str) -> Advice:
    return Advice(adaptation=name, title="class shares by EM", gain=0.07, least=0.02, labs=2, runs=3)


@pytest.fixture
def under_em(small_config: Callable[..., RunConfig], once: Once) -> Any:
    """A run of a small model, scored at home and away also under em."""
    from wbc.run import train_and_score

    return once("under_em", lambda: train_and_score(small_config(epochs=1, validation=0.34, adapt="em")).run_id)


def applied(name: str, slides: Path, home: Callable[[str], bool] | None = None) -> tuple[Adapted, Any]:
    known = read_known(AssessConfig(slides=str(slides)))
    if home:
        domains = (replace(each, home=True) for each in known.domains if home(each.name))
        runs = (replace(run, stored=replace(run.stored, datasets=())) for run in known.runs)  # as if it logged no roles
        known = replace(known, runs=tuple(runs), domains=tuple(domains))
    (checkpoint,) = checkpoints = tuple(fetch_all(known).values())
    with decoded(read_slides(str(slides), {}), [cropped_geometry(checkpoint.config, 1.0)]) as cells:
        (answers,) = ask(known, {known.runs[0].stored.id: checkpoint}, cells, 1.0, "cpu")
        return adapt(advice(name), answers, checkpoints[0], cells, known, 1.0), answers


def test_adaptation_is_applied_to_the_slides(under_em: str, store: Path) -> None:
    found, answers = applied("em", write_cells(store / "slides", 4))
    assert found.failed == ""
    even = np.full(5, 0.2)  # the training images are of five classes in equal parts
    wanted = reweighted(answers.scores, even, em_shares(answers.scores, even))
    assert found.scores == pytest.approx(wanted, abs=1e-5)
    assert found.expected == {}, "the run was scored under em on no test images of home"


def test_estimators_take_what_the_adaptation_makes_of_home(under_em: str, store: Path) -> None:
    found, answers = applied("em", write_cells(store / "slides", 4), home=lambda name: "away" in name)
    (home,) = (name for name in answers.run.scores if "away" in name)
    under = read_under(answers.run, "em").scores
    assert list(under) == [home], "of other domains there is no score under em"
    labels = read_known(AssessConfig(slides="any")).away[0].labels
    assert found.expected["ATC"].expected == average_thresholded_confidence(labels, under[home], found.scores)
    assert set(found.expected) == {"ATC", "DoC"}


def test_adaptation_without_its_training_images_says_so(under_em: str, store: Path) -> None:
    slides = write_cells(store / "slides", 4)
    (store / "home").unlink()
    shutil.rmtree(store / "data")
    found, answers = applied("em", slides)
    assert "It was not applied: " in adapted_words(found, answers)
    assert "training images" in found.failed or "no folder" in found.failed
    assert applied("flips", slides)[0].failed == "", "it needs none"


def test_page_says_how_many_cells_change_class_and_what_that_is_worth() -> None:
    before = model_of(LABELS, LABELS == 0)
    after = model_of(LABELS, (LABELS == 0) & (np.arange(300) < 200)).chosen
    found = Adapted(
        advice=advice("em"), scores=after.scores, expected={"ATC": Range(expected=0.9, low=0.3, high=1.0, tried=4)}
    )
    words = adapted_words(found, before.chosen)
    assert "On 2 known labs it raised balanced accuracy by 7 points on average, and by 2 at least." in words
    assert "Of your 300 cells 20 (7 %) change class, most of them Eosinophil to Basophil (20)." in words
    assert "It is fitted to all your cells together" in words
    table = adapted_table(found, before.chosen, {}, find_truth(slides_of(LABELS)))
    shown = [[cell.text for cell in row] for row in table.groups[0]]
    assert table.header[:5] == ("model", "ATC expects", "DoC expects", "right", "balanced")
    assert shown[0] == ["as trained", "–", "–", "80", "80", "0.0", "40.0", "20.0", "20.0", "20.0"]
    assert shown[1] == ["em", "90", "–", "87", "87", "6.7", "33.3", "20.0", "20.0", "20.0"]
    assert table.groups[0][1][1].second == "30 to 100"
