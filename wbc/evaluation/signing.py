"""Which cells may be signed without a second look: those above a confidence at which mistakes are few enough.

A bound on the share of mistakes holds with 95 % for cells that are drawn alike, with another set of labelled cells.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import beta

CONFIDENCE: Final = 0.95
Hits = Bool[np.ndarray, " images"]
Sureness = Float[np.ndarray, " images"]


@dataclass(frozen=True, kw_only=True)
class Signing:
    """The cells of at least a confidence, and their mistakes."""

    threshold: float
    """The lowest confidence that is signed; infinite where no cell is."""
    coverage: float
    """The share of cells signed, in [0, 1]."""
    error: float
    """The share of mistakes among them; nan where there are none."""
    bound: float
    """The upper 95 % limit of that share, in [0, 1]."""
    cells: int
    """How many they are."""


def error_limits(mistakes: float, cells: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Returns the one-sided lower and upper limits of a share of mistakes (Clopper & Pearson 1934, Biometrika 26:404).

    `cells` may be a fraction: the effective number of cells that share slides (Korn & Graubard 1998).
    """
    low = float(beta.ppf(1 - confidence, mistakes, cells - mistakes + 1)) if mistakes > 0 else 0.0
    high = float(beta.ppf(confidence, mistakes + 1, cells - mistakes)) if cells > mistakes else 1.0
    return low, high


def signing(hits: Hits, sureness: Sureness, error: float, *, design_effect: float = 1.0) -> Signing:
    """Returns the largest share of cells, surest first, whose upper limit of mistakes is at most `error`.

    The largest is looked for by halving, and each of the k looks gets a k-th of the 5 %.

    Args:
        hits: which cells the model got right.
        sureness: its confidence in each.
        error: the share of mistakes that is accepted, in (0, 1).
        design_effect: by how much slides blow up the variance of a share; 1 for cells that share nothing.

    Reference: Geifman & El-Yaniv 2017, arXiv:1705.08500, algorithm 1 (SGR).
    """
    levels = np.unique(sureness)
    looks = max(1, int(np.ceil(np.log2(len(levels)))))
    low, high, best = 0, len(levels) - 1, _at(hits, sureness, float("inf"), 1.0, design_effect)
    for _ in range(looks):
        middle = (low + high) // 2
        tried = _at(hits, sureness, float(levels[middle]), 1 - (1 - CONFIDENCE) / looks, design_effect)
        if tried.bound <= error:
            best, high = max(best, tried, key=lambda each: each.coverage), max(middle - 1, 0)
        else:
            low = min(middle + 1, len(levels) - 1)
    return best


def least_labelled(error: float, share: float = 0.5) -> int:
    """Returns the fewest labelled cells of which `signing` signs a share, where none of these is wrong."""
    cells = 2
    while error_limits(0.0, share * cells, 1 - (1 - CONFIDENCE) / int(np.ceil(np.log2(cells))))[1] > error:
        cells += 2
    return cells


def best_signing(hits: Hits, sureness: Sureness, error: float) -> Signing:
    """Returns the largest share, surest first, whose observed share of mistakes is at most `error`; no bound holds."""
    order = np.argsort(-sureness, kind="stable")
    last = np.append(np.diff(sureness[order]) != 0, True)  # cells of one confidence are signed together
    risk = np.cumsum(~hits[order]) / np.arange(1, len(hits) + 1)
    allowed = np.flatnonzero(last & (risk <= error))
    threshold = float(sureness[order][allowed[-1]]) if allowed.size else float("inf")
    return _at(hits, sureness, threshold, CONFIDENCE, 1.0)


def signed_at(hits: Hits, sureness: Sureness, coverage: float, *, design_effect: float = 1.0) -> Signing:
    """Returns the surest `coverage` of the cells, at least one, and those as sure as the last of them."""
    kept = np.sort(sureness)[::-1][max(1, round(coverage * len(sureness))) - 1]
    return _at(hits, sureness, float(kept), CONFIDENCE, design_effect)


def _at(hits: Hits, sureness: Sureness, threshold: float, confidence: float, design_effect: float) -> Signing:
    signed = sureness >= threshold
    cells, mistakes = int(signed.sum()), int((signed & ~hits).sum())
    bound = error_limits(mistakes / design_effect, cells / design_effect, confidence)[1] if cells else 1.0
    share = mistakes / cells if cells else float("nan")
    return Signing(threshold=threshold, coverage=cells / len(hits), error=share, bound=bound, cells=cells)
