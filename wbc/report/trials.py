"""The estimators of accuracy without labels, tried where the labels are known: on each run's labs away from home."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from wbc.arms import Arm
from wbc.data.corrupt import SUFFIX, is_held
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
    bias: float = 0.0
    """Expected less true accuracy there, the mean."""


def expect(labels: Labels, home: Scores, new: Scores, seeds: Sequence[Scores]) -> dict[str, float]:
    """Returns by estimator the accuracy expected on new images; `seeds` has what all seeds of the model say of them."""
    found = {
        "ATC": average_thresholded_confidence(labels, home, new),
        "DoC": difference_of_confidences(labels, home, new),
        "seeds agree": agreement(seeds),
    }
    return {name: value for name, value in found.items() if not np.isnan(value)}


def is_home(run: ScoredRun, domain: ScoredDomain) -> bool:
    """Returns whether a domain is of a lab that a run was trained on; runs made before logged no roles."""
    roles = {each.role for each in run.stored.datasets if each.name == domain.name} - {"", "training"}
    return "home" in roles if roles else domain.home


def trials(runs: Iterable[ScoredRun], domains: Sequence[ScoredDomain]) -> pd.DataFrame:
    """Returns a row for each run, lab away and estimator: expected and true accuracy, in [0, 1].

    Home are all test images of labs that a run was trained on; of a run without any, those that were held out. Without
    home a run has no rows. In a study of several labs a lab is home to one run and away to another.
    """
    rows, by_arm = [], dict[Arm, list[ScoredRun]]()
    for run in runs:
        by_arm.setdefault(run.arm, []).append(run)
    for arm, alike in by_arm.items():
        for run in alike:
            scored = [each for each in domains if each.name in run.scores]
            homes = _homes([each for each in scored if is_home(run, each)])
            for lab in (each for each in scored if homes and not is_home(run, each)):
                seeds = [each.scores[lab.name] for each in alike if lab.name in each.scores]
                true = float((run.scores[lab.name].argmax(1) == lab.labels).mean())
                labels = np.concatenate([each.labels for each in homes])
                at_home = np.concatenate([run.scores[each.name] for each in homes])
                found = expect(labels, at_home, run.scores[lab.name], seeds)
                about = {"model": arm.name, "trained_on": ",".join(arm.sources), "seed": run.seed, "lab": lab.name}
                about |= {"images": len(lab.labels), "true": true}
                rows += [about | {"estimator": name, "expected": value} for name, value in found.items()]
    columns = ["model", "trained_on", "seed", "lab", "images", "true", "estimator", "expected"]
    return pd.DataFrame(rows, columns=columns)


def _homes(at_home: list[ScoredDomain]) -> list[ScoredDomain]:
    tests = [each for each in at_home if not is_held(each.name)]
    return tests or [each for each in at_home if not each.name.endswith(SUFFIX)][:1]


def within(name: str, expected: float, tried: pd.DataFrame) -> Range:
    """Returns an expected accuracy with the largest errors, down and up, that its estimator made in `trials`."""
    errors = (own := tried[tried["estimator"] == name])["expected"] - own["true"]
    if not len(errors):
        return Range(expected=expected, low=0.0, high=1.0, tried=0)
    low, high = expected - max(float(errors.max()), 0), expected - min(float(errors.min()), 0)
    return Range(
        expected=expected, low=max(low, 0.0), high=min(high, 1.0), tried=len(errors), bias=float(errors.mean())
    )
