"""The differential count: which share of the cells is of each class, and how far counting alone lets it vary."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int64
from scipy.stats import beta

from wbc.cells import CLASSES

COUNTED: Final = 100
"""Cells that a laboratory counts by eye for a differential."""
PREVALENCE: Final = (0.004, 0.02, 0.30, 0.05, 0.62)
"""A patient's usual shares, in the order of CLASSES; they do not add to 1, as the rest is of other cells."""
Shares = Float[np.ndarray, " slides"]


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


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How the shares of one class that a model counts lie to those of the labels, slide by slide; in [-1, 1]."""

    bias: float
    """The mean of counted minus labelled."""
    low: float
    high: float
    """Limits of agreement: 95 % of slides lie within, if their differences are normal."""
    slides: int


def limits_of_agreement(counted: Shares, labelled: Shares) -> Agreement:
    """Returns bias and limits of agreement of shares of a class on several slides, at least two.

    Reference: Bland & Altman 1986, Lancet 327:307.
    """
    differences = counted - labelled
    bias, spread = float(differences.mean()), 1.96 * float(differences.std(ddof=1))
    return Agreement(bias=bias, low=bias - spread, high=bias + spread, slides=len(differences))


def passing_bablok(counted: Shares, labelled: Shares) -> tuple[float, float, float] | None:
    """Returns the slope of counted on labelled shares with its 95 % limits; None where it is not defined.

    It is 1 where both count alike. It needs slides of different shares.

    Reference: Passing & Bablok 1983, J. Clin. Chem. Clin. Biochem. 21:709, sections 2 and 3.
    """
    first, second = np.triu_indices(len(labelled), 1)
    across, up = labelled[second] - labelled[first], counted[second] - counted[first]
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.sort(up / across)
    slopes = slopes[~np.isnan(slopes) & (slopes != -1)]
    if not len(slopes):
        return None
    offset, total, slides = int((slopes < -1).sum()), len(slopes), len(labelled)
    margin = 1.96 * np.sqrt(slides * (slides - 1) * (2 * slides + 5) / 18)
    places = [(total - 1) / 2 + offset, (total - margin) / 2 - 1 + offset, (total + margin) / 2 + offset]
    if places[1] < 0 or places[2] > total - 1:  # too few slides for an interval, or slopes that fall
        return None
    slope, low, high = (float(slopes[[int(np.floor(at)), int(np.ceil(at))]].mean()) for at in places)
    return slope, low, high
