"""The result in words: from the tables' means and the report's rule, with what limits it."""

import re

import pytest

from tests.report.conftest import AWAY, HOME
from tests.report.studies import at_home_and_away, study_of
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
    assert sentence.endswith("; with one seed no test compares it with the next, ResNet50 with batch norm (90.0 %).")


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
