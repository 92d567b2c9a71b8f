"""Confidence against accuracy, and the temperature that brings them together."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from wbc.evaluation.calibration import (
    TEMPERATURES,
    at_temperature,
    cross_fitted,
    first_half,
    fit_temperature,
    reliability,
)


class Logits(ClassifierMixin, BaseEstimator):
    """A classifier whose logits are its inputs."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Logits":  # noqa: N803 (scikit-learn's names)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        return X.argmax(1)

    def decision_function(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        return X


def calibrated(images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels, and the probabilities that they were drawn from."""
    rng = np.random.default_rng(seed)
    powers = np.exp(rng.normal(0, 2, (images, 5)))
    scores = powers / powers.sum(1, keepdims=True)
    return (scores.cumsum(1) > rng.uniform(size=(images, 1))).argmax(1), scores


def overconfident(images: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels, and scores that are three times as sharp as those they were drawn from."""
    labels, scores = calibrated(images)
    return labels, at_temperature(scores, 1 / 3)


def test_reliability_of_a_worked_example() -> None:
    """Two images at confidence 0.9, one right: gap 0.4. Two at 0.6, both right: gap 0.4."""
    scores = np.array([[0.9, 0.1, 0, 0, 0], [0.9, 0.1, 0, 0, 0], [0.4, 0.6, 0, 0, 0], [0.4, 0.6, 0, 0, 0]])
    found = reliability(np.array([0, 1, 1, 1]), scores, bins=5)
    assert found.images.tolist() == [0, 0, 2, 0, 2]
    assert found.hits.tolist() == [0, 0, 2, 0, 1]
    assert found.confidence == pytest.approx([0, 0, 1.2, 0, 1.8])
    assert found.error == pytest.approx(0.4)
    assert reliability(np.array([0, 0]), np.eye(5)[[0, 0]]).error == 0


@pytest.mark.parametrize(("images", "percent"), [(100, 11), (300, 6), (750, 4)])
def test_error_of_a_calibrated_model_is_above_0_where_images_are_few(images: int, percent: int) -> None:
    errors = [reliability(*calibrated(images, seed)).error for seed in range(100)]
    assert round(100 * np.mean(errors)) == percent


def test_temperature_and_scores_at_it_are_scikit_learns() -> None:
    labels, scores = overconfident()
    frozen = FrozenEstimator(Logits().fit(np.log(scores), labels))
    theirs = CalibratedClassifierCV(frozen, method="temperature").fit(np.log(scores), labels)
    (calibrator,) = theirs.calibrated_classifiers_[0].calibrators
    temperature = fit_temperature(labels, scores)
    assert temperature == pytest.approx(1 / calibrator.beta_, rel=1e-3)
    assert at_temperature(scores, temperature) == pytest.approx(theirs.predict_proba(np.log(scores)), abs=1e-3)


def test_temperature_mends_confidence_and_changes_no_answer() -> None:
    labels, scores = overconfident()
    temperature = fit_temperature(labels, scores)
    mended = at_temperature(scores, temperature)
    assert temperature == pytest.approx(3, rel=0.15)
    assert reliability(labels, mended).error < reliability(labels, scores).error / 2
    assert (mended.argmax(1) == scores.argmax(1)).all()


def test_temperature_stays_within_its_limits_without_mistakes_and_with_probabilities_of_0() -> None:
    scores = np.eye(5, dtype=np.float32)[[0, 1, 2]] * 0.6 + np.float32(0.08)
    assert TEMPERATURES[0] < fit_temperature(np.array([0, 1, 2]), scores) < 0.1
    assert fit_temperature(np.array([0, 1]), np.eye(5, dtype=np.float32)[[0, 0]]) == pytest.approx(
        TEMPERATURES[1], rel=1e-3
    )


def test_no_image_is_at_a_temperature_that_it_was_fitted_on() -> None:
    labels, scores = overconfident(40)
    first = first_half(labels)
    fitted = cross_fitted(labels, scores)
    assert fitted[first] == pytest.approx(
        at_temperature(scores[first], fit_temperature(labels[~first], scores[~first]))
    )
    assert fitted[~first] == pytest.approx(
        at_temperature(scores[~first], fit_temperature(labels[first], scores[first]))
    )


def test_halves_hold_as_many_of_each_class_and_neighbours_together() -> None:
    assert first_half(np.array([0, 0, 0, 4, 0, 4, 2])).tolist() == [True, True, False, True, False, False, True]
