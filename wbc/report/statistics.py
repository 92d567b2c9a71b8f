"""Intervals and tests that a benchmark can defend. `hits` says of each seed's run which images it got right.

A model is "better" than another on a domain if Holm's p of `paired_test` over all pairs of models is below 5 %.
docs/statistics.md says how often this rule errs and how much it finds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats
from scipy.special import gammaln, stdtrit

from wbc.cells import CLASSES
from wbc.seeding import generator

CHANCE: Final = 1 / len(CLASSES)
"""What drawing one of the classes at random scores, whatever the domain."""
ALPHA: Final = 0.05
"""A difference whose p is below this counts."""
POWER: Final = 0.8
"""The share of studies that find a difference, at the number of seeds that `seeds_to_find` gives."""
MOST_SEEDS: Final = 100
RESAMPLES: Final = 2000
_SHARED_FREEDOM: Final = 4.0
"""What the spread of all models' seeds counts for. With more, one unsteady model among steady ones errs too often."""
ROUNDING: Final = 1e-9
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
    by_seed = resampled("images", images, resamples) @ hits.T.astype(np.float32)
    accuracies = (resampled("seeds", seeds, resamples) * by_seed).sum(1)
    low, high = np.quantile(accuracies, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


@lru_cache(maxsize=16)
def resampled(of: str, count: int, resamples: int) -> Float[np.ndarray, "resamples count"]:
    """Returns how much each item weighs in each draw with replacement; the same for every model, so made once."""
    drawn = generator(0, "bootstrap", of).multinomial(count, np.full(count, 1 / count), resamples)
    return drawn.astype(np.float32) / count


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """How the accuracies of a domain's models vary over seeds."""

    variance: float = 0.0
    """The mean of the models' variances (n - 1)."""
    models: int = 2
    """How many models it is of; two have nothing to learn from others."""


def seed_spread(accuracies: Iterable[Sequence[float]]) -> SeedSpread:
    """Returns the spread of the models that have two seeds or more; `accuracies` has each model's, by seed."""
    variances = [float(np.var(values, ddof=1)) for values in accuracies if len(values) > 1]
    return SeedSpread(variance=float(np.mean(variances)), models=len(variances)) if variances else SeedSpread()


Squares = Float[np.ndarray, "*pairs"]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The variance of a pair's mean difference, by its parts; arrays hold many pairs."""

    of_seed: Squares
    """Of the difference, from one seed to another on the same images."""
    of_images: Squares
    """Of the mean difference, from one set of as many images to another."""
    variance: Squares
    """Of the mean difference, from both."""
    freedom: Squares
    """Student's degrees of freedom of `variance`."""


def crossed_spread(
    by_seed: Squares, ms_images: Squares, ms_residual: Squares, seeds: int, images: int, shared: SeedSpread
) -> Spread:
    """Returns the spread of mean differences by the rule that `paired_test` states.

    Args:
        by_seed: The sum of both models' variances of the accuracy over seeds (n - 1).
        ms_images: The mean square of the differences between images.
        ms_residual: The mean square of what neither seeds nor images explain.
        seeds: How many the two models have in common.
        images: How many there are.
        shared: The spread of the seeds of all the domain's models.
    """
    known = seeds - 1.0
    lent = _lent_freedom(known, shared.models)
    of_seed = (lent * 2 * shared.variance + known * by_seed) / (lent + known)
    of_images = np.maximum(ms_images - ms_residual, 0) / (seeds * images)
    both = of_seed / seeds + of_images
    varies = of_seed > 0
    hillis = (lent + known) * (both / np.where(varies, of_seed / seeds, 1.0)) ** 2
    return Spread(
        of_seed=of_seed,
        of_images=of_images,
        variance=np.maximum(both, ms_images / (seeds * images)),
        freedom=np.minimum(np.where(varies, hillis, np.inf), images - 1.0),
    )


def _lent_freedom(known: Squares | float, models: int) -> Squares:
    """Returns what the shared spread counts for: at most half of the freedom that the other models' seeds have."""
    return np.minimum(_SHARED_FREEDOM, (models - 2) * np.asarray(known) / 2)


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """How the accuracies of two models differ on the same seeds and images, in [-1, 1]."""

    difference: float
    """Of the first minus the second."""
    low: float
    high: float
    """95 % interval of the difference over seeds and images, cut at -1 and 1."""
    p: float
    """Over seeds and images: would it be there with others of both?"""
    p_seeds: float
    """Over seeds alone, the images as they are (paired t); nan, not defined, where a difference does not vary."""
    p_images: float
    """Over images alone, the runs as they are (paired t on each image's share of right answers)."""
    effect: float
    """Hedges' g of the paired difference over seeds: its mean in standard deviations, without the bias of few seeds.

    nan, not defined, where the difference does not vary or there are two seeds, whose correction is 0.
    """
    n_seeds: int
    n_images: int
    variance_seed: float
    """Of the difference from one seed to another."""
    variance_images: float
    """Of the mean difference from one set of as many images to another."""


def paired_test(
    first: Bool[np.ndarray, "seeds images"] | Float[np.ndarray, "seeds images"],
    second: Bool[np.ndarray, "seeds images"] | Float[np.ndarray, "seeds images"],
    shared: SeedSpread | None = None,
    confidence: float = 0.95,
) -> PairedTest | None:
    """Compares two models whose rows are the same seeds and whose columns the same images; None below two seeds.

    Values are hits, or what stands for them: shares of several draws, balanced ones (`wbc.report.balance`).

    Seeds and images are crossed random effects, as readers and cases are in studies of radiologists. The variance of
    the mean difference is that of seeds plus that of images, max(MS_images - MS_residual, 0) / (seeds × images), and
    no smaller than over images alone. Student's t of it has Hillis' degrees of freedom, at most images - 1.

    Few seeds agree by luck now and then. So the variance of seeds is the mean of two: the pair's own (the sum of the
    two models', which counts for seeds - 1) and that of all the domain's models (which counts for 4 more, or for half
    of the freedom of the other models' seeds where that is less). limma moderates the variances of genes so; it
    estimates the weight, which is fixed here because nine models are too few to estimate it from.

    Reference: Dorfman, Berbaum & Metz 1992, Invest. Radiol. 27:723; Hillis 2007, doi:10.1002/sim.2532; of the shared
    variance Smyth 2004, doi:10.2202/1544-6115.1027; of the effect Hedges 1981, doi:10.3102/10769986006002107.
    """
    seeds, images = first.shape
    if seeds < 2 or images < 2:
        return None
    differences = first.astype(float) - second.astype(float)
    mean, by_seed, by_image = differences.mean(), differences.mean(1), differences.mean(0)
    ms_images = np.array(seeds * by_image.var(ddof=1))
    residual = differences - by_seed[:, None] - by_image[None, :] + mean
    ms_residual = np.array((residual**2).sum() / ((seeds - 1) * (images - 1)))
    own = np.array(sum(_variance(hits.mean(1)) for hits in (first, second)))
    spread = crossed_spread(own, ms_images, ms_residual, seeds, images, shared or SeedSpread())
    p, half = _student(mean, float(spread.variance), float(spread.freedom), confidence)
    p_seeds = _student(mean, _variance(by_seed) / seeds, seeds - 1)[0]
    return PairedTest(
        difference=float(mean),
        low=max(-1.0, float(mean - half)),
        high=min(1.0, float(mean + half)),
        p=p,
        p_seeds=p_seeds if p_seeds > 0 else float("nan"),
        p_images=_student(mean, float(ms_images) / (seeds * images), images - 1)[0],
        effect=_hedges(by_seed),
        n_seeds=seeds,
        n_images=images,
        variance_seed=float(spread.of_seed),
        variance_images=float(spread.of_images),
    )


def seeds_to_find(test: PairedTest, pairs: int, models: int) -> int | None:
    """Returns at how many seeds `POWER` of all studies find a true difference of the size that was observed.

    They have as many images and spread as much as this one, and correct p for `pairs` pairs (Bonferroni, Holm's first
    step). None: more than `MOST_SEEDS`, as where the images are too few.
    """
    seeds = np.arange(2.0, MOST_SEEDS + 1)
    of_seeds = test.variance_seed / seeds
    both = of_seeds + test.variance_images
    freedom = np.full_like(seeds, test.n_images - 1.0)
    if test.variance_seed > 0:
        own = seeds - 1 + _lent_freedom(seeds - 1, models)
        freedom = np.minimum(freedom, own * (both / of_seeds) ** 2)
    needed = (stdtrit(freedom, 1 - ALPHA / (2 * pairs)) + stdtrit(freedom, POWER)) * both**0.5
    found = seeds[abs(test.difference) > needed]
    return int(found[0]) if found.size else None


def _variance(accuracies: Float[np.ndarray, " seeds"]) -> float:
    return float(accuracies.var(ddof=1)) if np.ptp(accuracies) > ROUNDING else 0.0


def _hedges(differences: Float[np.ndarray, " seeds"]) -> float:
    freedom = len(differences) - 1
    if freedom < 2 or np.ptp(differences) <= ROUNDING:
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
    order = np.argsort(p_values)
    steps = np.sort(p_values) * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(p) for p in corrected]
