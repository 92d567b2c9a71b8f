"""Intervals that respect slides or patients: cells of one slide look alike, so whole slides are drawn anew."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int64

from wbc.seeding import generator

RESAMPLES: Final = 1000
FEW: Final = 10
"""With fewer slides the interval is too narrow."""
Rows = Int64[np.ndarray, " rows"]


def cluster_interval(
    clusters: Sequence[str], figure: Callable[[Rows], float], *, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Returns the 95 % percentile interval of a figure of rows, over slides drawn with replacement.

    `clusters` names each row's slide; where all rows have another one, single cells are drawn. Draws whose figure is
    not defined do not count. The draws are the same for every call.

    Reference: Davison & Hinkley 1997, Bootstrap Methods, section 3.8.
    """
    names, inverse = np.unique(np.asarray(clusters), return_inverse=True)
    rows = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    rng = generator(0, "clusters", len(names))
    alone = len(names) == len(inverse)  # a cell is its own slide: nothing to join
    drawn = (rng.integers(len(names), size=len(names)) for _ in range(resamples))
    values = np.array([figure(each if alone else np.concatenate([rows[name] for name in each])) for each in drawn])
    low, high = np.nanquantile(values, [0.025, 0.975]) if np.isfinite(values).any() else (np.nan, np.nan)
    return float(low), float(high)


def design_effect(clusters: Sequence[str], hits: Bool[np.ndarray, " images"]) -> float:
    """Returns by how much slides blow up the variance of a share of right cells, at least 1 (linearised).

    Reference: Kish 1965, Survey Sampling, section 5.4; the variance of a ratio between clusters.
    """
    names, inverse = np.unique(np.asarray(clusters), return_inverse=True)
    share = float(hits.mean())
    if len(names) < 2 or len(names) == len(hits) or share in (0.0, 1.0):
        return 1.0
    sizes = np.bincount(inverse)
    residuals: Float[np.ndarray, " clusters"] = np.bincount(inverse, weights=hits) - share * sizes
    between = len(names) / (len(names) - 1) * float((residuals**2).sum()) / len(hits) ** 2
    return float(max(1.0, between / (share * (1 - share) / len(hits))))
