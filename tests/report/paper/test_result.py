"""The result in words: from the tables' means and the report's rule, with what limits it."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.report.conftest import AWAY, HOME
from tests.report.studies import at_home_and_away, study_of
from wbc.evaluation.metrics import score
from wbc.report.paper.result import result
from wbc.report.study import Study

LABS = ("bccd", "tecom", "cellavision")


@pytest.fixture
def photographs() -> Study:
    """Two models of five seeds on photographs of three labs."""
    runs = {
        model: [{"pbc2500_test": 0, **dict.fromkeys(LABS, misses + seed % 3)} for seed in range(5)]
        for model, misses in (("lite0", 6), ("lite0_frozenbn", 1))
    }
    return study_of(runs, source="pbc2500", home="pbc2500_test", profile="cells")


def test_sentence_of_a_lead_that_no_test_finds() -> None:
    study = at_home_and_away(resnet50=[6, 8], resnet50_gn=[2, 0])
    (p,) = [each.p_holm for each in study.contrasts if each.domain == AWAY]
    assert p > 0.05
    assert result(study).sentences == (
        "Best on smears_target: ResNet50 with group norm, 90.0 % right, 10.0 points below home; a test does not tell "
        f"it from the next, ResNet50 with batch norm (30.0 %, p = {p:.3f}).",
    )


def test_sentence_of_a_lead_that_a_test_finds() -> None:
    (sentence,) = result(at_home_and_away(resnet50=[10, 10], resnet50_gn=[0, 0])).sentences
    assert "a test tells it from the next, ResNet50 with batch norm (0.0 %, p < 0.001)" in sentence


def test_sentence_names_the_drop_and_a_result_that_guessing_reaches() -> None:
    headline = result(at_home_and_away(resnet50=[8]))
    assert headline.sentences == (
        "Best on smears_target: ResNet50 with batch norm, 20.0 % right, 80.0 points below home, "
        "no more than always saying the largest class (20.0 %).",
    )
    assert headline.caveats[0] == "One seed a model: too few for intervals over seeds."


def test_one_seed_has_no_test() -> None:
    (sentence,) = result(at_home_and_away(resnet50=[1], resnet50_gn=[0])).sentences
    end = "; no test compares it with the next, ResNet50 with batch norm (90.0 %), as they share fewer than two seeds."
    assert sentence.endswith(end)


def test_too_few_seeds_are_those_that_there_are_and_not_those_of_the_grid() -> None:
    study = at_home_and_away(resnet50=[1, 2, 3, 4, 5], resnet50_gn=[1, 2, 3])
    assert result(study).caveats[0] == "3 seeds a model: too few for intervals over seeds of some models."
    few = replace(study, runs=tuple(run for run in study.runs if run.seed < 2))
    assert result(few).caveats[0] == "2 seeds a model: too few for intervals over seeds."


@pytest.mark.parametrize("images", [39, 53])
def test_answer_that_is_always_the_largest_class_is_no_more_than_that_whatever_rounds(images: int) -> None:
    """The mean of three equal shares may be above them by rounding."""
    labels = np.arange(images) % 10 // 2
    study = at_home_and_away(resnet50=[0, 0, 0])
    away = replace(study.domains[1], labels=labels)
    said = np.eye(5, dtype=np.float32)[np.zeros(images, int)]
    metrics = {AWAY: score(labels, said)}
    runs = tuple(replace(run, scores=run.scores | {AWAY: said}, metrics=run.metrics | metrics) for run in study.runs)
    (sentence,) = result(replace(study, domains=(study.domains[0], away), runs=runs)).sentences
    assert "no more than always saying the largest class" in sentence


def test_without_a_lab_away_the_result_is_that_at_home() -> None:
    (sentence,) = result(study_of({"resnet50": [{HOME: 1}]})).sentences
    assert sentence == "At home, on smears_source_test: ResNet50 with batch norm, 90.0 % right."


def test_drawn_cells_are_called_so_and_photographs_are_not(photographs: Study) -> None:
    drawn = result(at_home_and_away(resnet50=[1]))
    assert drawn.title == "Drawn cells under domain shift"
    assert drawn.warning.startswith("The cells of smears_source and smears_target are drawings.")
    headline = result(photographs)
    assert headline.warning == ""
    assert not re.search("draw(ing|n )", repr(headline), re.IGNORECASE)


def test_each_lab_has_a_sentence(photographs: Study) -> None:
    headline = result(photographs)
    assert [sentence.split(":")[0] for sentence in headline.sentences] == [f"Best on {lab}" for lab in LABS]
    assert headline.caveats == (
        "Images: 10 of bccd, 10 of tecom, 10 of cellavision. Other images, and other labs, may order the models "
        "otherwise.",
    )
