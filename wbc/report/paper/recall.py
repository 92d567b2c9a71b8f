"""Which cells break: the recall of each class from home to away, a slope for each, a panel for each model."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wbc.arms import Arm
from wbc.cells import ABBREVIATIONS
from wbc.report import style
from wbc.report.paper.lines import GREY
from wbc.report.parts import Absent
from wbc.report.seeds import ENOUGH, interval_of
from wbc.report.study import ScoredDomain, Study
from wbc.report.style import Plot

FEW: Final = 10
"""With fewer images away, a class's line is dashed."""
_MOST_COLUMNS: Final = 5
_MOST_ARMS: Final = 15
_GAP: Final = 11.0
"""Between two names, in points of recall."""
_DODGE: Final = 0.035
"""Between two classes' ends, so that their bars do not hide each other."""


def recall_slopes(study: Study) -> list[Plot] | Absent:
    """Returns a figure for each domain away, from the home that all runs share."""
    if study.home is None:
        return Absent(name="recall from home to away", why="no images are home to every run")
    return [_plot(study, study.home, domain) for domain in study.domains if not domain.home]


def spread(places: Sequence[float], gap: float, high: float) -> list[float]:
    """Returns places moved so that neighbours are `gap` apart or more and none is above `high`, in the order given."""
    order = np.argsort(places, kind="stable")
    moved = np.array(places, float)[order]
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap)
    limit = high
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], limit)
        limit = moved[index] - gap
    return [float(moved[place]) for place in np.argsort(order)]


def _plot(study: Study, home: ScoredDomain, domain: ScoredDomain) -> Plot:
    scored = [arm for arm in study.arms if study.of(arm, home.name) and study.of(arm, domain.name)]
    arms = scored[:_MOST_ARMS]
    counts = np.bincount(domain.labels, minlength=len(ABBREVIATIONS))
    few = [f"{name} {count}" for name, count in zip(ABBREVIATIONS, counts, strict=True) if 0 < count < FEW]
    runs = [len(study.of(arm, each.name)) for arm in arms for each in (home, domain)]
    spread_of = "95 % interval over seeds, cut at 0 and 100" if max(runs, default=0) >= ENOUGH else ""
    if min(runs, default=0) < ENOUGH:
        spread_of += f"{'; of fewer than five seeds ' if spread_of else ''}lowest to highest seed"
    return Plot(
        name=f"recall_{domain.name}",
        caption=(
            f"Recall by class from home to {domain.name}: the share of each class that is named so, means over seeds. "
            f"Names and numbers, in %, are those away. Bars: {spread_of}. Home: {home.name}, n = {len(home.labels)}; "
            f"away: n = {len(domain.labels)}."
            + (f" Dashed, of few images: {', '.join(few)}." if few else "")
            + (f" The first {len(arms)} of {len(scored)} models." if len(scored) > len(arms) else "")
        ),
        figure=_draw(study, arms, home, domain) if arms else None,
        narrow=len(arms) < 3,
    )


def _draw(study: Study, arms: Sequence[Arm], home: ScoredDomain, domain: ScoredDomain) -> Figure:
    rows = -(-len(arms) // _MOST_COLUMNS)
    columns = -(-len(arms) // rows)
    figure = style.new_figure(style.COLUMN_IN if columns < 3 else style.PAGE_IN, 0.2 + 1.75 * rows)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axis, arm in zip(axes, arms, strict=False):
        counts = np.bincount(domain.labels, minlength=len(ABBREVIATIONS))
        _slopes(axis, _recalls(study, arm, home), _recalls(study, arm, domain), counts)
        axis.set_title(style.label(study, arm, 36 if columns < 4 else 24), fontsize=6.5)
    for axis in axes[len(arms) :]:
        axis.set_axis_off()
    figure.supylabel("recall in %", fontsize=8)
    return figure


def _recalls(study: Study, arm: Arm, domain: ScoredDomain) -> np.ndarray:
    """Returns recall in percent by seed (rows) and class; nan where the domain has no image of a class."""
    return 100 * np.array([run.metrics[domain.name].recall for run in study.of(arm, domain.name)])


def _slopes(axis: Axes, home: np.ndarray, away: np.ndarray, counts: np.ndarray) -> None:
    """Draws a class's line from its mean at home to its mean away, with a bar for the seeds, and names its end."""
    means = [each.mean(0) for each in (home, away)]
    shown = [label for label, _ in enumerate(ABBREVIATIONS) if not np.isnan(means[1][label])]
    names = spread([means[1][label] for label in shown], _GAP, 103)
    for label, height in zip(shown, names, strict=True):
        dodge = _DODGE * (label - 2)
        look: dict[str, Any] = {"color": style.CLASS_COLOURS[label], "clip_on": False}
        line = "--" if counts[label] < FEW else "-"
        axis.plot([dodge, 1 + dodge], [each[label] for each in means], line, marker="o", markersize=2.5, **look)
        for at, values in ((0, home[:, label]), (1, away[:, label])):
            if not np.isnan(values).any():
                axis.plot([at + dodge] * 2, _reach(values), linewidth=2.4, alpha=0.35, solid_capstyle="butt", **look)
        axis.plot([1 + dodge + 0.03, 1.2], [means[1][label], height], linewidth=0.4, color=GREY, clip_on=False)
        text = f"{ABBREVIATIONS[label]} {means[1][label]:.0f}"
        axis.text(1.22, height, text, va="center", fontsize=6.5, clip_on=False)
    ticks = (0, 25, 50, 75, 100)
    axis.hlines(ticks, -0.12, 1.12, color="#dddddd", linewidth=0.4, zorder=0)
    axis.set(xlim=(-0.12, 1.62), ylim=(-3, 103), xticks=(0, 1), xticklabels=("home", "away"), yticks=ticks)
    axis.spines["bottom"].set_bounds(-0.12, 1.12)


def _reach(values: np.ndarray) -> tuple[float, float]:
    """Returns Student's interval over seeds, within 0 and 100; of few seeds the lowest and the highest."""
    interval = interval_of([each / 100 for each in values.tolist()])
    if interval and interval.reach:
        below, above = interval.reach
        return 100 * (interval.mean - below), 100 * (interval.mean + above)
    return float(values.min()), float(values.max())
