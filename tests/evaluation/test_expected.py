"""Accuracy expected without labels, on cells whose answer can be counted."""

import numpy as np
import pytest

from wbc.evaluation.expected import agreement, average_thresholded_confidence, difference_of_confidences


def scores(confidences: list[float], label: int = 0) -> np.ndarray:
    found = np.repeat((1 - np.array(confidences))[:, None] / 4, 5, 1)
    found[:, label] = confidences
    return found


HOME = scores([0.9, 0.8, 0.7, 0.6])
LABELS = np.array([0, 0, 0, 1])


def test_thresholded_confidence_has_the_share_of_mistakes_below_the_threshold_at_home() -> None:
    assert average_thresholded_confidence(LABELS, HOME, HOME) == 0.75
    assert average_thresholded_confidence(LABELS, HOME, scores([0.65, 0.61, 0.5, 0.6])) == 0.5
    assert average_thresholded_confidence(np.zeros(4, int), HOME, scores([0.3])) == 1


def test_difference_of_confidences_is_the_accuracy_less_the_drop_of_confidence() -> None:
    assert difference_of_confidences(LABELS, HOME, scores([0.65, 0.55])) == pytest.approx(0.75 - (0.75 - 0.6))
    assert difference_of_confidences(np.ones(4, int), HOME, scores([0.3])) == 0


def test_agreement_is_the_mean_over_pairs() -> None:
    one, two = np.eye(5)[[0, 1, 2, 3]], np.eye(5)[[0, 1, 2, 4]]
    assert agreement([one, two]) == 0.75
    assert agreement([one, one, two]) == pytest.approx((1 + 0.75 + 0.75) / 3)
    assert np.isnan(agreement([one]))
