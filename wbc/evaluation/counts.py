"""The differential count: which share of the cells is of each class, and how far counting alone lets it vary."""

from typing import Final

import numpy as np
from jaxtyping import Float, Int64
from scipy.stats import beta

from wbc.cells import CLASSES

COUNTED: Final = 100
"""Cells that a laboratory counts by eye for a differential."""


def class_shares(classes: Int64[np.ndarray, " images"]) -> Float[np.ndarray, "5"]:
    """Returns the share of images of each class, true or predicted, in [0, 1]."""
    shares: Float[np.ndarray, " classes"] = np.bincount(classes, minlength=len(CLASSES)) / len(classes)
    return shares


def counting_limits(shares: Float[np.ndarray, "5"], counted: int = COUNTED) -> Float[np.ndarray, "2 5"]:
    """Returns the lower and upper 95 % limits of shares that were found in `counted` cells, in [0, 1].

    They are those of Ruemke's tables of the differential count: exact, binomial (Clopper & Pearson 1934, Biometrika
    26:404). They hold no mistake of who counts, only that other cells might have been counted.
    """
    found = shares * counted
    with np.errstate(invalid="ignore"):
        low = np.where(found > 0, beta.ppf(0.025, found, counted - found + 1), 0)
        high = np.where(found < counted, beta.ppf(0.975, found + 1, counted - found), 1)
    return np.array([low, high])
