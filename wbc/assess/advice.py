"""Which adaptation helped the chosen model on the known labs, and by how much: advice, with what it rests on."""

from dataclasses import dataclass

import numpy as np

from wbc.arms import Arm
from wbc.assess.runs import Known
from wbc.methods.catalog import find_adaptation


@dataclass(frozen=True, kw_only=True)
class Advice:
    """An adaptation that helped on every known lab."""

    adaptation: str
    title: str
    gain: float
    """In balanced accuracy, the mean over labs, in [-1, 1]."""
    least: float
    """On the lab where it helped least."""
    labs: int
    runs: int


def advise(known: Known, arm: Arm) -> Advice | None:
    """Returns the adaptation of the largest mean gain among those that helped on each lab away; None for none.

    Adaptations that learn from labels are left out: the heads on labelled cells show what these are worth.
    """
    gains: dict[str, dict[str, list[float]]] = {}
    away = {each.name for run in known.of(arm) for each in known.away_of(run)}
    for run in known.of(arm):
        for (lab, name), score in run.adapted.items():
            if lab in away and lab in run.metrics and find_adaptation(name).access != "labels":
                gain = score.metrics.balanced_accuracy - run.metrics[lab].balanced_accuracy
                gains.setdefault(name, {}).setdefault(lab, []).append(gain)
    by_lab = {name: [float(np.mean(values)) for values in labs.values()] for name, labs in gains.items()}
    helped = {name: values for name, values in by_lab.items() if len(values) == len(away) and min(values) > 0}
    if not helped:
        return None
    best = max(helped, key=lambda name: np.mean(helped[name]))
    return Advice(
        adaptation=best,
        title=find_adaptation(best).title,
        gain=float(np.mean(helped[best])),
        least=min(helped[best]),
        labs=len(helped[best]),
        runs=max(len(values) for values in gains[best].values()),
    )
