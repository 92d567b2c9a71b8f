"""What confidence is worth."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from wbc.evaluation.selective import augrc, least_sure, selective_accuracy, surest_mistakes


def said(confidences: list[float], classes: list[int]) -> np.ndarray:
    """Returns scores whose largest are these, for these classes."""
    scores = np.repeat((1 - np.array([confidences])) / 4, 5, axis=0).T
    scores[np.arange(len(classes)), classes] = confidences
    return scores


def test_selective_accuracy_of_a_worked_example() -> None:
    """By confidence: right; then a right and a wrong one of the same; then wrong."""
    scores = said([0.6, 0.8, 0.8, 0.9], [0, 0, 0, 0])
    assert selective_accuracy(np.array([1, 1, 0, 0]), scores).tolist() == pytest.approx([1, 0.75, 2 / 3, 0.5])


@pytest.mark.parametrize("decimals", [1, 9], ids=["ties", "no ties"])
def test_augrc_is_what_the_paper_says_of_accuracy_and_auroc(decimals: int) -> None:
    """(1 - AUROC) accuracy (1 - accuracy) + (1 - accuracy)² / 2."""
    rng = np.random.default_rng(1)
    scores = said(rng.uniform(0.3, 1, 60).round(decimals).tolist(), rng.integers(0, 5, 60).tolist())
    labels = np.where(rng.uniform(size=60) < scores.max(1), scores.argmax(1), (scores.argmax(1) + 1) % 5)
    right = scores.argmax(1) == labels
    auroc, wrong = roc_auc_score(right, scores.max(1)), 1 - right.mean()
    assert augrc(labels, scores) == pytest.approx((1 - auroc) * (1 - wrong) * wrong + wrong**2 / 2)


def test_augrc_is_torch_uncertaintys_but_for_where_it_starts() -> None:
    """Theirs, from its formula: the mean over coverages from 1/n to 1."""
    rng = np.random.default_rng(2)
    scores = said(rng.uniform(0.3, 1, 50).tolist(), [0] * 50)
    labels = rng.integers(0, 2, 50)
    coverage = np.arange(1, 51) / 50
    wrong = np.cumsum(labels[np.argsort(-scores.max(1))]) / 50
    theirs = np.trapezoid(wrong, coverage) / (1 - 1 / 50)
    assert abs(augrc(labels, scores) - theirs) <= labels.mean() / 49


def test_augrc_of_confidence_without_worth_is_half_the_error_rate() -> None:
    assert augrc(np.array([0, 0, 1, 1]), said([0.5] * 4, [0] * 4)) == pytest.approx(0.25)
    assert augrc(np.array([0, 0]), said([0.5, 0.6], [0, 0])) == 0


def test_surest_mistakes_are_of_each_class_in_turn_and_the_surest_stand_first() -> None:
    labels = np.array([0, 0, 0, 1, 2])
    scores = said([0.9, 0.8, 0.7, 0.6, 0.99], [4, 4, 4, 4, 2])
    assert surest_mistakes(labels, scores, 3).tolist() == [0, 1, 3]
    assert surest_mistakes(labels, scores, 2).tolist() == [0, 3]
    assert surest_mistakes(labels, scores, 9).tolist() == [0, 1, 2, 3]
    assert surest_mistakes(labels[4:], scores[4:], 9).tolist() == []


def test_least_sure_are_those_of_the_lowest_largest_probability() -> None:
    assert least_sure(said([0.9, 0.3, 0.5], [0, 1, 2]), 2).tolist() == [1, 2]
