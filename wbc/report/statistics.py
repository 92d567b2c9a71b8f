"""Intervals and tests that a benchmark can defend. `hits` says of each seed's run which images it got right."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats
from scipy.special import gammaln

from wbc.cells import CLASSES
from wbc.seeding import generator

CHANCE: Final = 1 / len(CLASSES)
"""What drawing one of the classes at random scores, whatever the domain."""
ALPHA: Final = 0.05
"""A difference whose p is below this counts."""
RESAMPLES: Final = 2000
_ROUNDING: Final = 1e-9
"""Accuracies that differ by less are equal: one image of a billion would differ by as much."""


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

    @property
    def reach(self) -> tuple[float, float] | None:
        """How far a share's interval goes below and above its mean, cut at 0 and 1; None for one seed."""
        if self.half_width is None:
            return None
        return min(self.half_width, self.mean), min(self.half_width, 1 - self.mean)

    def share(self) -> str:
        """Returns the interval of a share in percent: as `percent`, or `98.00 −3.10/+2.00` where 0 or 100 cuts it."""
        if self.reach is None:
            return self.percent()
        below, above = (f"{100 * each:.2f}" for each in self.reach)
        return f"{100 * self.mean:.2f} {f'± {below}' if below == above else f'−{below}/+{above}'}"


def seed_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Returns the Student-t interval of the mean over seeds.

    It covers the randomness of training alone: that of which images were scored is not in it.

    Reference: Student 1908; standard deviation with n - 1 (ddof 1).
    """
    n = len(values)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * stats.sem(values)) if n > 1 else None
    return Interval(mean=float(np.mean(values)), half_width=half, n=n)


def two_way_interval(
    hits: Bool[np.ndarray, "seeds images"], confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float] | None:
    """Returns the bootstrap interval of the accuracy over seeds and images, both drawn anew; None for one seed.

    It says where the accuracy would lie with other seeds and other images of the same labs. Few seeds make it too
    narrow: of n seeds the bootstrap sees (n - 1)/n of their variance. The draws are the same for every call.

    Reference: Owen 2007, doi:10.1214/07-AOAS122 (rows and columns resampled independently); percentiles.
    """
    seeds, images = hits.shape
    if seeds < 2:
        return None
    by_seed = _resampled("images", images, resamples) @ hits.T.astype(np.float32)
    accuracies = (_resampled("seeds", seeds, resamples) * by_seed).sum(1)
    low, high = np.quantile(accuracies, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


@lru_cache(maxsize=16)
def _resampled(of: str, count: int, resamples: int) -> Float[np.ndarray, "resamples count"]:
    """Returns how much each item weighs in each draw with replacement; the same for every model, so made once."""
    drawn = generator(0, "bootstrap", of).multinomial(count, np.full(count, 1 / count), resamples)
    return drawn.astype(np.float32) / count


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """How the accuracies of two models differ on the same seeds and images, in [-1, 1]."""

    difference: float
    """Of the first minus the second."""
    low: float
    high: float
    """95 % interval of the difference over seeds and images."""
    p: float
    """Over seeds and images: would it be there with others of both?"""
    p_seeds: float
    """Over seeds alone, the images as they are (paired t)."""
    p_images: float
    """Over images alone, the runs as they are (paired t on each image's share of right answers)."""
    effect: float
    """Hedges' g of the paired difference over seeds: its mean in standard deviations, without the bias of few seeds.

    nan, not defined, where the difference does not vary or there are two seeds, whose correction is 0.
    """
    n_seeds: int
    n_images: int


def paired_test(
    first: Bool[np.ndarray, "seeds images"], second: Bool[np.ndarray, "seeds images"], confidence: float = 0.95
) -> PairedTest | None:
    """Compares two models whose rows are the same seeds and whose columns the same images; None below two seeds.

    Seeds and images are crossed random effects, as readers and cases are in studies of radiologists: the variance of
    the mean difference is (MS_seeds + max(MS_images - MS_residual, 0)) / (seeds × images), and Student's t of it has
    Hillis' degrees of freedom. Where seeds agree by luck it is taken no smaller than over images alone.

    Reference: Dorfman, Berbaum & Metz 1992, Invest. Radiol. 27:723; Hillis 2007, doi:10.1002/sim.2532; of the effect
    Hedges 1981, doi:10.3102/10769986006002107.
    """
    seeds, images = first.shape
    if seeds < 2 or images < 2:
        return None
    differences = first.astype(float) - second.astype(float)
    mean, by_seed, by_image = differences.mean(), differences.mean(1), differences.mean(0)
    ms_seeds = images * by_seed.var(ddof=1) if np.ptp(by_seed) > _ROUNDING else 0.0
    ms_images = seeds * by_image.var(ddof=1)
    residual = differences - by_seed[:, None] - by_image[None, :] + mean
    ms_residual = (residual**2).sum() / ((seeds - 1) * (images - 1))
    spread = ms_seeds + max(ms_images - ms_residual, 0.0)
    freedom = spread**2 / (ms_seeds**2 / (seeds - 1)) if ms_seeds > 0 else np.inf
    if spread < ms_images or ms_seeds == 0:
        spread, freedom = ms_images, min(freedom, images - 1)
    p, half = _student(mean, spread / (seeds * images), freedom, confidence)
    return PairedTest(
        difference=float(mean),
        low=float(mean - half),
        high=float(mean + half),
        p=p,
        p_seeds=_student(mean, ms_seeds / (seeds * images), seeds - 1)[0],
        p_images=_student(mean, ms_images / (seeds * images), images - 1)[0],
        effect=_hedges(by_seed),
        n_seeds=seeds,
        n_images=images,
    )


def _hedges(differences: Float[np.ndarray, " seeds"]) -> float:
    freedom = len(differences) - 1
    if freedom < 2 or np.ptp(differences) <= _ROUNDING:
        return float("nan")
    correction = np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) * (2 / freedom) ** 0.5
    return float(correction * differences.mean() / differences.std(ddof=1))


def _student(mean: float, variance: float, freedom: float, confidence: float = 0.95) -> tuple[float, float]:
    """Returns the two-sided p of a mean and the half-width of its interval; without variance 1 or 0, and 0."""
    if variance <= 0:
        return (1.0 if mean == 0 else 0.0), 0.0
    error = variance**0.5
    return float(2 * stats.t.sf(abs(mean) / error, freedom)), float(stats.t.ppf((1 + confidence) / 2, freedom) * error)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p values corrected for their number, in the order given.

    Reference: Holm 1979, Scand. J. Statist. 6:65.
    """
    from statsmodels.stats.multitest import multipletests  # takes a second, which --help need not

    return [float(p) for p in multipletests(p_values, method="holm")[1]] if p_values else []


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Mean ranks of models over blocks, 1 the best, and by how much two must differ to be told apart."""

    mean_ranks: tuple[float, ...]
    friedman_p: float
    critical_difference: float
    blocks: int


def rank_models(accuracies: Float[np.ndarray, "blocks models"], alpha: float = 0.05) -> Ranking | None:
    """Ranks models within each block (a seed); None for fewer than three models or two blocks.

    Reference: Friedman 1937; Nemenyi 1963; Demsar 2006, JMLR 7:1, section 3.2.2. Ties share their mean rank.
    """
    blocks, models = accuracies.shape
    if blocks < 2 or models < 3:
        return None
    ranks = stats.rankdata(-accuracies, axis=1)
    spread = np.ptp(accuracies, axis=1).any()
    q = stats.studentized_range.ppf(1 - alpha, models, np.inf) / 2**0.5
    return Ranking(
        mean_ranks=tuple(ranks.mean(0).tolist()),
        friedman_p=float(stats.friedmanchisquare(*accuracies.T).pvalue) if spread else 1.0,
        critical_difference=float(q * (models * (models + 1) / (6 * blocks)) ** 0.5),
        blocks=blocks,
    )
