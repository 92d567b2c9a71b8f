"""The estimators of accuracy without labels, tried where the labels are known: on each run's labs away from home."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from wbc.arms import Arm
from wbc.evaluation.expected import agreement, average_thresholded_confidence, difference_of_confidences
from wbc.report.study import ScoredDomain, ScoredRun

ESTIMATORS: Final = {
    "ATC": "average thresholded confidence (Garg 2022)",
    "DoC": "difference of confidences (Guillory 2021)",
    "seeds agree": "agreement between the seeds of a model (Jiang 2022)",
}
"""By short name, what each is."""
Labels = Int64[np.ndarray, " images"]
Scores = Float[np.ndarray, "images 5"]


@dataclass(frozen=True, kw_only=True)
class Range:
    """An expected accuracy, and where the true one would lie if the estimator erred as on the known labs; in [0, 1]."""

    expected: float
    low: float
    high: float
    tried: int
    """On how many pairs of a run and a lab the estimator was tried; 0: its error is not known."""


def expect(labels: Labels, home: Scores, new: Scores, seeds: Sequence[Scores]) -> dict[str, float]:
    """Returns by estimator the accuracy expected on new images; `seeds` has what all seeds of the model say of them."""
    found = {
        "ATC": average_thresholded_confidence(labels, home, new),
        "DoC": difference_of_confidences(labels, home, new),
        "seeds agree": agreement(seeds),
    }
    return {name: value for name, value in found.items() if not np.isnan(value)}


def trials(runs: Iterable[ScoredRun], domains: Sequence[ScoredDomain]) -> pd.DataFrame:
    """Returns a row for each run, lab away and estimator: expected and true accuracy, in [0, 1].

    Home is the first of `domains` that is home and that a run was scored on. Without home a run has no rows.
    """
    rows, by_arm = [], dict[Arm, list[ScoredRun]]()
    for run in runs:
        by_arm.setdefault(run.arm, []).append(run)
    for arm, alike in by_arm.items():
        for run in alike:
            home = next((each for each in domains if each.home and each.name in run.scores), None)
            for lab in (each for each in domains if not each.home and home and each.name in run.scores):
                seeds = [each.scores[lab.name] for each in alike if lab.name in each.scores]
                true = float((run.scores[lab.name].argmax(1) == lab.labels).mean())
                assert home is not None
                found = expect(home.labels, run.scores[home.name], run.scores[lab.name], seeds)
                about = {"model": arm.name, "seed": run.seed, "lab": lab.name, "images": len(lab.labels), "true": true}
                rows += [about | {"estimator": name, "expected": value} for name, value in found.items()]
    return pd.DataFrame(rows, columns=["model", "seed", "lab", "images", "true", "estimator", "expected"])


def within(name: str, expected: float, tried: pd.DataFrame) -> Range:
    """Returns an expected accuracy with the largest errors, down and up, that its estimator made in `trials`."""
    errors = (own := tried[tried["estimator"] == name])["expected"] - own["true"]
    if not len(errors):
        return Range(expected=expected, low=0.0, high=1.0, tried=0)
    low, high = expected - max(float(errors.max()), 0), expected - min(float(errors.min()), 0)
    return Range(expected=expected, low=max(low, 0.0), high=min(high, 1.0), tried=len(errors))
