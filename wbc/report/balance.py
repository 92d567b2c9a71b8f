"""Balanced accuracy in the tests and intervals of `wbc.report.statistics`."""

import numpy as np
from jaxtyping import Bool, Float, Int64

from wbc.cells import CLASSES
from wbc.report.statistics import RESAMPLES, resampled

Shares = Float[np.ndarray, "seeds images"] | Bool[np.ndarray, "seeds images"]


def balanced_shares(right: Shares, labels: Int64[np.ndarray, " images"]) -> Float[np.ndarray, "seeds images"]:
    """Returns values whose mean over images is each seed's balanced accuracy, for `paired_test`.

    An image of a rare class weighs as much more as its class is rarer: w = images / (classes × images of its class).
    The value is B + w (right - B), with B the seed's balanced accuracy. So a difference that is the same in all classes
    varies over images no more than the answers do, and a class of one image makes the test more cautious, not less.

    Reference: the generalised regression estimator with a common mean, Särndal et al. 1992, section 7.2.
    """
    counts = np.bincount(labels, minlength=len(CLASSES))
    weights = len(labels) / (np.count_nonzero(counts) * counts[labels])
    balanced = (right * weights).mean(1, keepdims=True)
    shares: Float[np.ndarray, "seeds images"] = balanced + weights * (right - balanced)
    return shares


def image_interval(
    right: Float[np.ndarray, " images"], labels: Int64[np.ndarray, " images"], confidence: float = 0.95
) -> tuple[float, float]:
    """Returns the bootstrap interval of the balanced accuracy over images alone, the model as it is; percentiles.

    A draw that lacks a class is balanced over the others.
    """
    drawn = resampled("images", len(labels), RESAMPLES)
    members = np.eye(len(CLASSES), dtype=np.float32)[labels]
    counts = drawn @ members
    with np.errstate(invalid="ignore"):
        recalls = drawn @ (members * right[:, None].astype(np.float32)) / counts
    low, high = np.quantile(np.nanmean(recalls, 1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
