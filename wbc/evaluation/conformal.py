"""Conformal sets: the classes that a cell may be of, so that the right one is among them as often as promised.

The promise holds for cells of the lab that the sets were fitted at, and breaks with the lab: that is what is shown.
"""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int64

MISSED: Final = 0.1
"""The share of cells whose class may be missing from its set."""


def set_threshold(
    labels: Int64[np.ndarray, " images"], scores: Float[np.ndarray, "images 5"], missed: float = MISSED
) -> float:
    """Returns the lowest probability that puts a class into a cell's set, fitted so that `missed` is kept at home.

    Reference: Sadinle, Lei & Wasserman 2019, arXiv:1609.00451 (LAC), with the finite-sample quantile.
    """
    true = np.sort(scores[np.arange(len(labels)), labels])
    return float(true[max(0, int(np.floor(missed * (len(true) + 1))) - 1)])


def class_sets(scores: Float[np.ndarray, "images 5"], threshold: float) -> Bool[np.ndarray, "images 5"]:
    """Returns which classes are in each cell's set; it may be empty."""
    sets: Bool[np.ndarray, "images 5"] = scores >= threshold
    return sets
