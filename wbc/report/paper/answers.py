"""What each model answers on each domain, whatever the truth: its differential count, and where it says one class."""

from typing import Any, Final

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from wbc.arms import Arm
from wbc.cells import ABBREVIATIONS, CLASSES
from wbc.evaluation.counts import COUNTED, class_shares, counting_limits
from wbc.report.names import name_cell
from wbc.report.paper.lines import look, panels
from wbc.report.render import Cell, Table, cells, percent
from wbc.report.study import ScoredDomain, Study, describe_arm
from wbc.report.style import Plot

COLLAPSED: Final = 0.8
"""The share of one answer from which the table marks it."""


def answers(study: Study) -> Table:
    """Returns the share of images that each arm calls each class, the mean over seeds, and the true shares."""
    groups, data = [], []
    for domain in study.domains:
        truth = class_shares(domain.labels)
        rows = [cells("", "the labels", domain.name, *map(_share, truth))]
        for arm in study.arms:
            shares = _answered(study, arm, domain)
            if not len(shares):
                continue
            mean = shares.mean(0)
            rows.append(cells(describe_arm(arm).index, name_cell(study, arm), domain.name, *map(_share, mean)))
            data.append(
                {"model": study.label(arm), "domain": domain.name, "n_seeds": len(shares)}
                | dict(zip(CLASSES, mean.tolist(), strict=True))
                | {f"true_{name}": share for name, share in zip(CLASSES, truth.tolist(), strict=True)}
            )
        groups.append(tuple(rows))
    return Table(
        name="answers",
        title="What each model answers: share of a domain's images called each class, in %",
        note=(
            f"Mean over seeds {study.seed_list()}. Bold: {100 * COLLAPSED:.0f} % of the images or more get one answer. "
            "First row of each domain: the labels."
        ),
        header=("", "model", "domain", *ABBREVIATIONS),
        groups=tuple(groups),
        left=3,
        appendix=True,
        data=pd.DataFrame(data),
    )


def differential_counts(study: Study) -> Plot:
    """Returns for each domain the share of each class as the labels have it, and as each arm answers."""
    figure, stacks = panels(study, study.domains, 5 * _row_in(study), "share of the images in %")
    for (axis,), domain in zip(stacks, study.domains, strict=True):
        _count(axis, study, domain)
    caption = (
        "Differential count on each domain: the share of each class by the labels (black) and by each model, in the "
        f"legend's order, with a line from the lowest to the highest seed. Grey: where a count of {COUNTED} cells "
        "without mistakes lies (exact binomial, 95 %). The table of what each model answers has the numbers."
    )
    return Plot(name="differential_count", caption=caption, figure=figure)


def _row_in(study: Study) -> float:
    """Returns the height of a class's row: more where more arms are to be told apart."""
    return min(0.9, 0.14 + 0.075 * len(study.arms))


def _count(axis: Axes, study: Study, domain: ScoredDomain) -> None:
    """Draws a row for each class, the labels' share across it and below each other the arms'."""
    truth = class_shares(domain.labels)
    offsets = (np.arange(len(study.arms)) - (len(study.arms) - 1) / 2) * min(0.25, 0.84 / len(study.arms))
    rows = np.arange(len(CLASSES))
    low, high = 100 * counting_limits(truth)
    axis.barh(rows, high - low, left=low, height=0.96, color="#e4e4e4", zorder=0)
    axis.vlines(100 * truth, rows - 0.48, rows + 0.48, color="black", linewidth=1.4, zorder=1)
    for arm, offset in zip(study.arms, offsets, strict=True):
        shares = 100 * _answered(study, arm, domain)
        if not len(shares):
            continue
        drawn: dict[str, Any] = look(study, arm) | {"linestyle": "", "markersize": 3, "clip_on": False}
        axis.hlines(rows + offset, shares.min(0), shares.max(0), color=drawn["color"], linewidth=0.9, zorder=2)
        axis.plot(shares.mean(0), rows + offset, zorder=3, **drawn)
    axis.set(xlim=(0, 102), ylim=(len(CLASSES) - 0.5, -0.5), xticks=(0, 25, 50, 75, 100))
    axis.set_yticks(rows, ABBREVIATIONS)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
    axis.set_axisbelow(True)


def _answered(study: Study, arm: Arm, domain: ScoredDomain) -> Float[np.ndarray, "seeds 5"]:
    """Returns the share of images that each seed's run calls each class."""
    shares = [class_shares(run.scores[domain.name].argmax(1)) for run in study.of(arm, domain.name)]
    return np.array(shares).reshape(-1, len(CLASSES))


def _share(share: float) -> Cell:
    return Cell(text=percent(share), bold=share >= COLLAPSED, sort=share)
