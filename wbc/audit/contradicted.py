"""Labels that all models of a study contradict with confidence: from predictions in the tracking store alone."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float

from wbc.arms import Arm
from wbc.audit.findings import Finding, Part
from wbc.cells import CLASSES
from wbc.report.study import Study

SURE: Final = 0.8
"""How probable each model must find another class, on average over its seeds."""


def find_contradicted(study: Study, parts: Sequence[Part]) -> Iterator[Finding]:
    """Yields a finding for each image whose label all models of a study contradict, the surest of a split first.

    A model is an arm; its probabilities are averaged over seeds. All must name the same other class, and each must find
    it at least `SURE` probable. Splits that fewer than two arms were scored on, or that have changed since, have none.

    Reference: Northcutt et al. 2021, JAIR 70, arXiv:1911.00068, take the answers of one model; here all have to agree.
    """
    for part in parts:
        scores = _scores(study, part)
        if len(scores) < 2:
            continue
        least = np.min(scores, axis=0)
        said, sure = least.argmax(1), least.max(1)
        rows = np.flatnonzero((said != part.listing.labels) & (sure >= SURE))
        for row in sorted(rows, key=lambda row: -sure[row]):
            detail = f"all {len(scores)} models say {CLASSES[said[row]]}, each with {sure[row]:.2f} or more"
            images = (part.image(int(row)),)
            yield Finding(kind="contradicted", splits=(part.split.name,), images=images, detail=detail)


def judged(study: Study, parts: Sequence[Part]) -> list[str]:
    """Returns the names of the splits that two models or more of the study were scored on, as they are now."""
    return [part.split.name for part in parts if len(_scores(study, part)) > 1]


def _scores(study: Study, part: Part) -> list[Float[np.ndarray, "images 5"]]:
    """Returns each arm's probabilities, images × 5, the mean over seeds, of runs scored on these images."""
    name, digest = part.split.name, part.listing.digest
    found: dict[Arm, list[Float[np.ndarray, "images 5"]]] = {}
    for run in study.runs:
        logged = [each.digest for each in run.stored.datasets if each.name == name]
        if name in run.scores and any(digest.startswith(each) for each in logged):
            found.setdefault(run.arm, []).append(run.scores[name])
    return [np.mean(each, axis=0) for each in found.values()]
