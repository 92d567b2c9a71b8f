"""The figures of confidence: how it compares with accuracy, and how right the cells are that it would let pass."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from wbc.arms import Arm
from wbc.evaluation.calibration import Reliability, reliability
from wbc.evaluation.selective import selective_accuracy
from wbc.report.paper.lines import GREY, look, panels
from wbc.report.render import NOTHING
from wbc.report.study import ScoredDomain, Study
from wbc.report.style import Plot

LEAST: Final = 10
"""A point stands for as many images or more."""
_ROW_IN: Final = 1.55
RunScores = Mapping[str, Mapping[str, Float[np.ndarray, "images 5"]]]
"""By a run's id and by domain, the probability of each class."""


def reliability_diagrams(study: Study, fitted: RunScores, fitted_on: str) -> Plot:
    """Returns accuracy against confidence for each domain; below it at the runs' temperatures, where they have one.

    Args:
        study: what is reported.
        fitted: scores at the runs' temperatures; empty where none could be fitted.
        fitted_on: the domain that the temperatures are of.
    """
    stages: dict[str, RunScores] = {"as it is": {run.stored.id: run.scores for run in study.runs}}
    stages |= {"at temperature": fitted} if fitted else {}
    figure, stacks = panels(study, study.domains, _ROW_IN, "confidence in %", stacked=len(stages))
    for stack, domain in zip(stacks, study.domains, strict=True):
        for axis, (how, scores) in zip(stack, stages.items(), strict=True):
            errors = [error for arm in study.arms for error in _diagram(axis, study, arm, domain, scores)]
            heading = filter(None, [axis.get_title(), f"{how}: error {_span(errors)} %"])
            axis.set_title("\n".join(heading), fontsize=7)
            axis.plot([20, 100], [20, 100], color=GREY, linewidth=0.7, zorder=0)
            axis.set(xlim=(18, 103), ylim=(-3, 103), xticks=(20, 40, 60, 80, 100), yticks=(0, 25, 50, 75, 100))
            axis.grid()
            axis.set_axisbelow(True)
    figure.supylabel("accuracy in %", fontsize=8)
    below = f" Below: at the temperature fitted on {fitted_on}." if fitted else ""
    caption = (
        "Reliability on each domain: accuracy against confidence in 15 bins, all seeds together. On the grey line they "
        f"agree; below it a model is too sure.{below} The larger the marker, the more images; bins of fewer than "
        f"{LEAST} are left out. Error: the calibration error, mean over seeds, of the best and the worst model."
    )
    return Plot(name="reliability", caption=caption, figure=figure)


def _diagram(axis: Axes, study: Study, arm: Arm, domain: ScoredDomain, scores: RunScores) -> list[float]:
    """Draws an arm's line and returns its mean calibration error over seeds; nothing where it has no scores."""
    runs = [run.stored.id for run in study.of(arm, domain.name) if run.stored.id in scores]
    found = [reliability(domain.labels, scores[run][domain.name]) for run in runs]
    if not found:
        return []
    images, hits, confidence = (_sum(found, name) for name in ("images", "hits", "confidence"))
    shown = images >= LEAST
    x, y = (100 * each[shown] / images[shown] for each in (confidence, hits))
    drawn = look(study, arm)
    axis.plot(x, y, linewidth=0.8, **(drawn | {"marker": ""}))
    face = drawn["color"] if drawn["fillstyle"] == "full" else "white"
    sizes = 4 + 50 * images[shown] / images.sum()
    edge = {"edgecolors": drawn["color"], "linewidths": 0.8}
    axis.scatter(x, y, s=sizes, c=face, marker=drawn["marker"], alpha=0.8, zorder=3, **edge)
    return [float(np.mean([each.error for each in found]))]


def _span(errors: list[float]) -> str:
    """Returns the lowest and the highest error in percent, once where they are alike."""
    ends = [f"{100 * each:.0f}" for each in (min(errors), max(errors))] if errors else [NOTHING]
    return "–".join(dict.fromkeys(ends))


def _sum(found: list[Reliability], name: str) -> Any:
    """Returns the sum of a field over several seeds, bin by bin."""
    return np.sum([getattr(each, name) for each in found], axis=0)


def coverage(study: Study) -> Plot:
    """Returns for each domain how right each arm is on the images that it is surest of, by their share."""
    figure, stacks = panels(study, study.domains, _ROW_IN, "answered, surest first, in %")
    for (axis,), domain in zip(stacks, study.domains, strict=True):
        images = len(domain.labels)
        share = 100 * np.arange(1, images + 1) / images
        from_least = slice(min(LEAST, images) - 1, None)
        marked = np.searchsorted(share[from_least], (25, 50, 75, 100)).clip(max=len(share[from_least]) - 1).tolist()
        for arm in study.arms:
            curves = [selective_accuracy(domain.labels, run.scores[domain.name]) for run in study.of(arm, domain.name)]
            if curves:
                right = 100 * np.mean(curves, axis=0)[from_least]
                axis.plot(share[from_least], right, markersize=3, markevery=marked, **look(study, arm))
        axis.axhline(100 * domain.majority, color=GREY, linewidth=0.7, dashes=(4, 3), zorder=0)
        axis.set(xlim=(0, 103), ylim=(-3, 103), xticks=(0, 25, 50, 75, 100), yticks=(0, 25, 50, 75, 100))
        axis.grid()
        axis.set_axisbelow(True)
    figure.supylabel("accuracy of the answers in %", fontsize=8)
    caption = (
        "Accuracy by coverage on each domain: how often a model is right if it answers where it is surest, and leaves "
        f"the rest to a human. Means over seeds, from {LEAST} images on; at the right end all images. Dashed: always "
        "the largest class. Where a line is flat, confidence says nothing."
    )
    return Plot(name="coverage", caption=caption, figure=figure)
