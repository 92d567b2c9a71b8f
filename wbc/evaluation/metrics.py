"""Figures of merit, all of them from labels and per-image probabilities."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int64
from sklearn.metrics import confusion_matrix

from wbc.cells import CLASSES
from wbc.evaluation.calibration import reliability

LEAST_CLASSES: Final = 3
"""A model that predicts fewer of them has collapsed."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Figures of merit of one model on one domain, in [0, 1]; per-class ones in the order of CLASSES.

    Predictions are over all five classes whatever classes a domain has. A class without images has no recall and no F
    (nan): `balanced_accuracy` and `macro_f1` leave it out. A class never predicted has no precision (nan) and F 0.
    """

    images: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    ece: float
    """The expected calibration error in 15 bins (`wbc.evaluation.calibration`)."""
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    confusion: Int64[np.ndarray, "5 5"]
    """Images counted by true class (rows) and predicted class (columns)."""

    @property
    def collapsed(self) -> bool:
        """Whether the model predicts fewer than three classes, where the images have as many."""
        predicted, true = (int((self.confusion.sum(axis) > 0).sum()) for axis in (0, 1))
        return predicted < min(LEAST_CLASSES, true)


def score(labels: Int64[np.ndarray, " images"], scores: Float[np.ndarray, "images 5"]) -> Metrics:
    """Returns the figures of merit of probabilities `scores` against true `labels`; the class of the largest counts."""
    counts = confusion_matrix(labels, scores.argmax(1), labels=range(len(CLASSES)))
    hits, true, predicted = np.diag(counts), counts.sum(1), counts.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / predicted, hits / true
        f1 = np.where(true > 0, 2 * hits / (true + predicted), np.nan)
    return Metrics(
        images=len(labels),
        accuracy=float(hits.sum() / len(labels)),
        balanced_accuracy=float(np.nanmean(recall)),
        macro_f1=float(np.nanmean(f1)),
        ece=reliability(labels, scores).error,
        precision=tuple(precision.tolist()),
        recall=tuple(recall.tolist()),
        f1=tuple(f1.tolist()),
        confusion=counts,
    )
