"""`python -m benchmarks.better`: how often the report's rule for "better" errs, and how much it finds.

Nine models answer simulated images. Whether an answer is right depends on the image, on the pair of model
and image, on the seed's run, and on chance (a probit model). An error is a study of nine equal models in which the rule
calls at least one of the 36 pairs better. Power is the share of found pairs where one of nine models lies 10 or 25
points below the others. Takes two minutes on one core. Expect every error at or below 5 %.
"""

import argparse
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from rich.console import Console
from scipy import stats
from scipy.special import ndtr, stdtr

from wbc.report.statistics import ALPHA, SeedSpread, crossed_spread, holm
from wbc.seeding import generator

SEEDS: Final = (3, 5, 10)
GAPS: Final = (0.10, 0.25)
STUDIES: Final = 2000
_BATCH: Final = 50
_LOW: Final = 4
"""The model that lies below the others where one does."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What nine models, their seeds and the images are like."""

    accuracy: float
    """Of every model, over all seeds and images, in (0, 1)."""
    images: int
    spreads: tuple[float, ...]
    """Each model's standard deviation of the accuracy over seeds on the same images."""
    own: float = 0.5
    """How much each model's own difficulty of an image varies; the common one varies by 1."""


SCENARIOS: Final = {
    "like LISC": Scenario(accuracy=0.74, images=257, spreads=(0.044,) * 9),
    "strong own image effects": Scenario(accuracy=0.74, images=257, spreads=(0.044,) * 9, own=1.5),
    "uneven seeds (2.5 to 10 points)": Scenario(accuracy=0.74, images=257, spreads=tuple(np.geomspace(0.025, 0.1, 9))),
    "home": Scenario(accuracy=0.985, images=300, spreads=(0.008,) * 9),
    "wide seeds (7.5 points)": Scenario(accuracy=0.74, images=257, spreads=(0.075,) * 9),
    "one unsteady (12 points, others 3)": Scenario(
        accuracy=0.74, images=257, spreads=(*(0.03,) * 4, 0.12, *(0.03,) * 4)
    ),
}


def draw_hits(
    rng: np.random.Generator, scenario: Scenario, seeds: int, studies: int, gap: float = 0.0
) -> Bool[np.ndarray, "studies models seeds images"]:
    """Returns which answers are right; one model lies `gap` below the accuracy of the others."""
    shared = 1 + scenario.own**2
    threshold = stats.norm.ppf(scenario.accuracy)
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    chances = ndtr(threshold * (1 + shared) ** 0.5 + shared**0.5 * points)
    of_chance = (weights @ (chances * (1 - chances))) / weights.sum() / scenario.images
    slope = stats.norm.pdf(threshold) / (1 + shared) ** 0.5
    by_seed = np.sqrt(np.maximum(np.square(scenario.spreads) - of_chance, 0)) / slope
    accuracies = np.full(len(by_seed), scenario.accuracy)
    accuracies[_LOW] -= gap
    means = stats.norm.ppf(accuracies) * np.sqrt(1 + shared + by_seed**2)
    normal = rng.standard_normal
    size = (studies, len(by_seed), 1, scenario.images)
    ease = normal((studies, 1, 1, scenario.images), np.float32) + scenario.own * normal(size, np.float32)
    runs = (means + by_seed * normal((studies, seeds, len(by_seed)))).swapaxes(1, 2)[..., None].astype(np.float32)
    hits: Bool[np.ndarray, ...] = ndtr(ease + runs) > rng.random((*size[:2], seeds, size[3]), np.float32)
    return hits


def p_values(hits: Bool[np.ndarray, "studies models seeds images"]) -> Float[np.ndarray, "studies pairs"]:
    """Returns what `paired_test` gives as p of every pair, uncorrected, for many studies at once."""
    studies, models, seeds, images = hits.shape
    first, second = np.triu_indices(models, 1)
    exact = hits.astype(np.float32)
    by_seed, by_image = exact.mean(3, dtype=np.float64), exact.sum(2)
    variances = by_seed.var(2, ddof=1)
    means = by_seed.mean(2)
    difference = means[:, first] - means[:, second]

    def squared_distance(rows: Float[np.ndarray, "studies models values"]) -> Float[np.ndarray, "studies pairs"]:
        products = (rows @ rows.swapaxes(1, 2)).astype(np.float64)  # sums of whole numbers, exact below 2^24
        own = np.diagonal(products, axis1=1, axis2=2)
        distance: Float[np.ndarray, "studies pairs"] = own[:, first] + own[:, second] - 2 * products[:, first, second]
        return distance

    total = squared_distance(exact.reshape(studies, models, -1)) - seeds * images * difference**2
    ss_images = squared_distance(by_image) / seeds - seeds * images * difference**2
    ss_seeds = images * ((by_seed[:, first] - by_seed[:, second] - difference[..., None]) ** 2).sum(2)
    p: Float[np.ndarray, "studies pairs"] = np.empty(difference.shape)
    for study in range(studies):  # the spread of all seeds is each study's
        shared = SeedSpread(variance=float(variances[study].mean()), models=models)
        ms_residual = (total - ss_images - ss_seeds)[study] / ((seeds - 1) * (images - 1))
        own = (variances[:, first] + variances[:, second])[study]
        spread = crossed_spread(own, ss_images[study] / (images - 1), ms_residual, seeds, images, shared)
        error = np.sqrt(np.where(spread.variance > 0, spread.variance, 1))
        p[study] = 2 * stdtr(spread.freedom, -np.abs(difference[study]) / error)
    return p


def found(scenario: Scenario, seeds: int, studies: int, gap: float = 0.0) -> Bool[np.ndarray, "studies pairs"]:
    """Returns which pairs the rule calls different; the same for every call."""
    rng = generator("better", *scenario.spreads, scenario.own, seeds, gap)
    p = [
        p_values(draw_hits(rng, scenario, seeds, min(_BATCH, studies - done), gap))
        for done in range(0, studies, _BATCH)
    ]
    return np.array([holm(each) for each in np.concatenate(p).tolist()]) < ALPHA


def error_rate(scenario: Scenario, seeds: int, studies: int) -> float:
    """Returns the share of studies of equal models in which some pair is called different."""
    return float(found(scenario, seeds, studies).any(1).mean())


def power(scenario: Scenario, seeds: int, studies: int, gap: float) -> float:
    """Returns the share of found pairs among those that differ by `gap`."""
    first, second = np.triu_indices(len(scenario.spreads), 1)
    return float(found(scenario, seeds, studies, gap)[:, (first == _LOW) | (second == _LOW)].mean())


def main() -> None:
    """Prints the table of docs/statistics.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--studies", type=int, default=STUDIES, help="Simulated studies of each error; a quarter for power."
    )
    studies = parser.parse_args().studies
    console = Console(width=140, highlight=False)
    console.print(f"Errors of {studies} studies, power of {studies // 4}, in %.\n")
    console.print("| images like | seeds | error | 10 points found | 25 points found |")
    console.print("| --- | ---: | ---: | ---: | ---: |")
    for name, scenario in SCENARIOS.items():
        for seeds in SEEDS:
            finds = [power(scenario, seeds, studies // 4, gap) for gap in GAPS]
            rates = [f"{100 * error_rate(scenario, seeds, studies):.1f}", *(f"{100 * each:.0f}" for each in finds)]
            console.print(f"| {name} | {seeds} | {' | '.join(rates)} |")


if __name__ == "__main__":
    main()
