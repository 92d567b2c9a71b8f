"""What methods and adaptations change: balanced accuracy in the tests, families by access, pairs by seed and image."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import recall_score

from benchmarks.balanced import COUNTS, SPREADS, draw_ways, told
from tests.report.conftest import AWAY, HOME, LABELS
from tests.report.studies import study_of
from wbc.arms import Arm
from wbc.evaluation.metrics import score
from wbc.report.adapted import AdaptedScore
from wbc.report.balance import balanced_shares, image_interval
from wbc.report.effects import effects, shown_domains, ways
from wbc.report.statistics import paired_test
from wbc.report.study import MANY, Study
from wbc.seeding import generator

RARE = np.array([0] + [1] * 4 + [4] * 15)
"""The labels of twenty images, one of them a basophil."""


def test_balanced_shares_have_the_balanced_accuracy_as_their_mean() -> None:
    rng = np.random.default_rng(0)
    right = rng.random((3, 20)) < 0.6
    said = np.where(right, RARE, (RARE + 1) % 5)
    expected = [recall_score(RARE, each, labels=[0, 1, 4], average="macro") for each in said]
    np.testing.assert_allclose(balanced_shares(right, RARE).mean(1), expected)


def test_difference_that_is_the_same_in_all_classes_varies_no_more_for_their_weights() -> None:
    """A share of 0.9 on each image against 0.5: nothing varies, whatever the images weigh."""
    test = paired_test(*(balanced_shares(np.full((2, 20), share), RARE) for share in (0.9, 0.5)))
    assert test is not None
    assert (test.difference, test.p) == (pytest.approx(0.4), pytest.approx(0.0))


def test_one_image_of_a_class_is_no_proof() -> None:
    """The only basophil alone is right: 33 points of balanced accuracy, and one image."""
    first, second = (np.repeat([[basophil, *[False] * 19]], 3, 0) for basophil in (True, False))
    test = paired_test(balanced_shares(first, RARE), balanced_shares(second, RARE))
    assert test is not None
    assert test.difference == pytest.approx(1 / 3)
    assert test.p > 0.1


def test_simulated_ways_are_told_apart_where_one_is_always_right() -> None:
    labels = np.repeat(np.arange(5), COUNTS["like Tecom"])
    right = np.zeros_like(draw_ways(generator("a test"), labels, SPREADS["seeds vary"], 0.0))
    right[1] = 1
    assert told(right, labels) == [True, *[False] * (len(right) - 2)]


def test_interval_over_images_is_that_of_a_proportion_where_classes_are_alike() -> None:
    labels = np.repeat(np.arange(5), 100)
    low, high = image_interval(np.tile(np.arange(100) < 75, 5).astype(float), labels)
    assert low == pytest.approx(0.75 - 0.038, abs=0.008)
    assert high == pytest.approx(0.75 + 0.038, abs=0.008)


def mixed_study() -> Study:
    """Plain training with two adaptations and mixup, two seeds: all wrong away, but right under em and with mixup."""
    plain = {HOME: 0, AWAY: 10, f"{AWAY}/em": 0, f"{AWAY}/rgb": 10, f"{AWAY}/later": 0}
    return study_of({"resnet50": [plain, plain], "resnet50+mixup": [{HOME: 0, AWAY: 0}] * 2})


def test_ways_stand_by_model_and_one_that_is_no_row_is_left_out() -> None:
    assert [way.name for way in ways(mixed_study())] == ["erm", "mixup", "rgb", "em"]


def test_each_access_is_a_family_of_its_own() -> None:
    study = mixed_study()
    source, target = effects(study, "source"), effects(study, "target")
    assert [(each.way.name, each.domain.name) for each in source] == [
        ("erm", HOME),
        ("mixup", HOME),
        ("erm", AWAY),
        ("mixup", AWAY),
        ("rgb", AWAY),
    ]
    assert [(each.way.name, each.domain.name) for each in target] == [("em", AWAY)]
    assert effects(study, "labels") == []
    differences = {each.way.name: each.difference for each in [*source[2:], *target]}
    assert differences == {"erm": None, "mixup": pytest.approx(1), "rgb": pytest.approx(0), "em": pytest.approx(1)}
    assert [each.told for each in [*source[2:], *target]] == [False, True, False, True]


def test_arm_without_plain_training_of_its_model_has_no_difference() -> None:
    (effect,) = effects(study_of({"resnet50+mixup": [{AWAY: 0}] * 2}), "source")
    assert (effect.difference, effect.test) == (None, None)


def test_images_held_out_of_training_are_no_lab() -> None:
    study = study_of({"resnet50": [{HOME: 0, f"{HOME}_validation": 0, AWAY: 0}]})
    assert [domain.name for domain in shown_domains(study)] == [HOME, AWAY]


def test_k_labels_are_compared_on_the_images_that_were_scored() -> None:
    """Two draws: image 0 is never scored, image 1 in one draw alone, where it is wrong. Plain: images 0 and 1 wrong."""
    rows = np.array([*range(1, 10), *range(2, 10)])
    right = rows != 1
    said = np.where(right, LABELS[rows], (LABELS[rows] + 1) % 5)
    shots = AdaptedScore(rows=rows, right=right, metrics=score(LABELS[rows], np.eye(5)[said]))
    study = study_of({"resnet50": [{AWAY: 2}] * 2})
    runs = tuple(replace(run, adapted={(AWAY, "shots_1"): shots}) for run in study.runs)
    (effect,) = effects(replace(study, runs=runs), "labels")
    assert effect.difference == pytest.approx(0)  # of the class of images 0 and 1 the second is left, wrong in both
    assert effect.test is not None
    assert effect.test.n_images == 9
    assert np.isnan(shots.shares(10)[0])


def test_collapse_is_counted_by_run() -> None:
    plain = {AWAY: 0}
    study = study_of({"resnet50": [plain, plain], "resnet50+mixup": [plain, plain]})
    one_answer = np.tile(np.eye(5, dtype=np.float32)[4], (10, 1))
    run = study.runs[-1]
    collapsed = replace(run, scores={AWAY: one_answer}, metrics={AWAY: score(LABELS, one_answer)})
    study = replace(study, runs=(*study.runs[:-1], collapsed))
    assert [each.collapsed for each in effects(study, "source")] == [0, 1]


def test_study_of_many_arms_shows_models_by_plain_training_alone() -> None:
    many = study_of({f"resnet50+method{number}": [{AWAY: 0}] for number in range(MANY)} | {"resnet50": [{AWAY: 0}]})
    assert many.models.arms == (Arm("resnet50", "erm", ("smears_source",)),)
    assert {run.arm for run in many.models.runs} == set(many.models.arms)
    few = mixed_study()
    assert few.models.runs == few.runs


def test_models_are_not_shown_on_corrupted_images() -> None:
    study = study_of({"resnet50": [{HOME: 0, f"{HOME}_validation_corrupted": 0, AWAY: 0}]})
    assert [domain.name for domain in study.models.domains] == [HOME, AWAY]
