"""Intervals that a benchmark can defend."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over `n` seeds and the half-width of its confidence interval, which a single seed does not have (None)."""

    mean: float
    half_width: float | None
    n: int

    def percent(self) -> str:
        """Returns the interval in percent to two decimals, as the paper prints it: `98.53 ± 0.18`."""
        spread = "(one seed)" if self.half_width is None else f"± {100 * self.half_width:.2f}"
        return f"{100 * self.mean:.2f} {spread}"


def seed_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Returns the Student-t interval of the mean over seeds.

    It covers the randomness of training alone: that of which images were scored is not in it.

    Reference: Student 1908; standard deviation with n - 1 (ddof 1).
    """
    n = len(values)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * stats.sem(values)) if n > 1 else None
    return Interval(mean=float(np.mean(values)), half_width=half, n=n)
