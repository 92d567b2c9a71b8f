"""Methods and adaptations together: whether an adaptation does more for a model that was trained in another way."""

from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from wbc.arms import PLAIN, Arm
from wbc.methods.catalog import ACCESS, ADAPTATIONS, PLAIN_SCORE
from wbc.report import style
from wbc.report.effects import Effect, Way, effects
from wbc.report.names import method_name, name_cell, spoken
from wbc.report.paper.home_away import signed
from wbc.report.paper.methods import SEES, compared, numbers, told_apart
from wbc.report.render import NOTHING, Cell, Table, cells
from wbc.report.study import Study
from wbc.report.style import Plot

_FULL: Final = 30.0
"""Points at which a field has its full colour."""


def joint_tables(study: Study) -> list[Table]:
    """Returns a table for each access of ways that join a method and an adaptation; none where there are none."""
    families = {access: effects(study, access, joint=True) for access in ACCESS}
    return [_table(study, access, found) for access, found in families.items() if found]


def joint(study: Study) -> Plot | None:
    """Returns the figure of methods by adaptations, a panel for each model; None where no method was adapted."""
    means = {way: mean for way, mean in _means(study).items() if way != way.plain}
    if not any(way.joint for way in means):
        return None
    models = list(dict.fromkeys(way.plain for way in means))
    rows = [PLAIN, *dict.fromkeys(way.arm.method for way in means if way.arm.method != PLAIN)]
    columns = [name for name in ADAPTATIONS if name == PLAIN_SCORE or any(way.adaptation == name for way in means)]
    height = 0.6 + len(models) * (0.3 + 0.15 * len(rows))
    figure = style.new_figure(style.PAGE_IN, height)
    for axis, model in zip(figure.subplots(len(models), 1, sharex=True, squeeze=False).ravel(), models, strict=True):
        _panel(axis, {way: mean for way, mean in means.items() if way.plain == model}, rows, columns)
        axis.set_title(spoken(study, model.arm), fontsize=7)
    return Plot(name="joint", caption=_CAPTION, figure=figure)


_CAPTION = (
    "Methods (rows) and adaptations (columns) together: balanced accuracy minus that of plain training of the same "
    "model, in points; means over labs away and seeds. The first row adapts plain training, the first column adapts "
    "nothing. White: that model has no such score. Not tested: the tables have tests for each lab. †: a run collapsed."
)


def _means(study: Study) -> dict[Way, tuple[float, bool]]:
    """Returns by way the mean difference over labs away, and whether a run collapsed on one of them."""
    by_way: dict[Way, list[Effect]] = {}
    for access in ACCESS:
        for each in (*effects(study, access), *effects(study, access, joint=True)):
            if not each.domain.home:
                by_way.setdefault(each.way, []).append(each)
    return {
        way: (float(np.mean([each.difference or 0 for each in found])), any(each.collapsed for each in found))
        for way, found in by_way.items()
    }


def _panel(axis: Axes, means: dict[Way, tuple[float, bool]], rows: Sequence[str], columns: Sequence[str]) -> None:
    colours, scale = mpl.colormaps["RdBu"], Normalize(-_FULL, _FULL, clip=True)
    field = np.ones((len(rows), len(columns), 3))
    for way, (mean, collapsed) in means.items():
        row, column = rows.index(way.arm.method), columns.index(way.adaptation)
        field[row, column] = colours(scale(100 * mean))[:3]
        text = signed(100 * mean) + ("†" if collapsed else "")
        axis.text(column, row, text, ha="center", va="center", fontsize=6, color=style.ink(field[row, column]))
    axis.imshow(field, aspect="auto")
    axis.set_yticks(range(len(rows)), [method_name(name) for name in rows], fontsize=6.5)
    names = ["no adaptation" if name == PLAIN_SCORE else method_name(name) for name in columns]
    axis.set_xticks(range(len(columns)), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=6.5)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _table(study: Study, access: str, found: Sequence[Effect]) -> Table:
    """Returns arms by adaptations: the mean difference over labs, and its extremes."""
    by_arm: dict[Arm, dict[str, list[Effect]]] = {}
    for each in found:
        if not each.domain.home:
            by_arm.setdefault(each.way.arm, {}).setdefault(each.way.adaptation, []).append(each)
    columns = [name for name in ADAPTATIONS if any(name in by_name for by_name in by_arm.values())]
    groups: dict[str, list[tuple[Cell, ...]]] = {}
    for arm, by_name in by_arm.items():
        row = cells(name_cell(study, Way(arm).plain.arm), method_name(arm.method))
        groups.setdefault(arm.model, []).append((*row, *(_over_labs(by_name.get(name, [])) for name in columns)))
    tests = [each for each in found if each.test]
    told = f" Of all labs: {told_apart(tests)}" if tests else ""
    return Table(
        name=f"joint_{access}",
        title=f"A method and an adaptation together, of access {access}: difference to plain training, in points",
        note=(
            f"They see {SEES[access]}. Balanced accuracy, the mean over labs away and seeds; below it the lowest and "
            f"the highest lab, and on how many labs the difference is told from plain training by p at 5 %, Holm over "
            f"the {compared(found)} of this table on a lab (bold). The CSV has each lab, its test and home.{told}"
        ),
        header=("model", "method", *map(method_name, columns)),
        groups=tuple(map(tuple, groups.values())),
        left=2,
        appendix=True,
        data=pd.DataFrame([numbers(study, each, found) for each in found]),
    )


def _over_labs(found: Sequence[Effect]) -> Cell:
    differences = [each.difference for each in found if each.difference is not None]
    if not differences:
        return Cell(text=NOTHING)
    told = sum(each.told for each in found)
    second = f"{signed(100 * min(differences))} to {signed(100 * max(differences))}"
    second += f"; told on {told}" if told else ""
    mean = float(np.mean(differences))
    return Cell(text=signed(100 * mean), second=second, bold=told > 0, sort=mean)
