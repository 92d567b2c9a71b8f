"""The matrix of labs: what each source reaches on each lab, as a heat map of balanced accuracy."""

from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wbc.arms import PLAIN, Arm
from wbc.cells import CLASSES
from wbc.models.seen import MARK, is_seen
from wbc.report import style
from wbc.report.names import network
from wbc.report.paper import labs as of
from wbc.report.seeds import counted
from wbc.report.seen import keys_seen
from wbc.report.statistics import CHANCE
from wbc.report.study import Study
from wbc.report.style import Plot

_ACROSS: Final = 2
"""Models beside each other."""
_ROW_IN: Final = 0.29
_GREY: Final = "#555555"
_FRAME: Final = "#D55E00"
_FULL: Final = 0.8
"""How far the colours go at 100 %: the frame is seen on all of them."""


def matrix(study: Study) -> Plot:
    """Returns the matrix of plain training, a panel for each model: sources in rows, labs in columns."""
    arms = [arm for arm in study.arms if arm.method == PLAIN] or list(study.arms)
    met = {arm.model for arm in arms for lab in of.fields(study, arm) if is_seen(lab, keys_seen(study, arm))}
    seen = f" {MARK} The weights of {', '.join(sorted(met))} have seen images of this lab before." if met else ""
    seeds = counted(len(field.metrics) for arm in arms for field in of.fields(study, arm).values())
    seeds = seeds if seeds == "one seed" else f"mean of {seeds}"
    return Plot(
        name="labs",
        caption=(
            f"Balanced accuracy in % by source (row) and lab (column), {seeds}; below it the number of images. Framed: "
            "a lab that was trained on, scored on the part held out. Underlined: the worst of several labs away. "
            f"A class at random has {100 * CHANCE:.0f} %.{of.lacking_words(study)}{seen}"
        ),
        figure=_draw(study, arms),
        narrow=len({arm.model for arm in arms}) == 1,
    )


def _draw(study: Study, arms: list[Arm]) -> Figure:
    models = list(dict.fromkeys(arm.model for arm in arms))
    rows = list(dict.fromkeys(arm.sources for arm in arms))
    across = min(_ACROSS, len(models))
    down = -(-len(models) // across)
    width = style.PAGE_IN if across > 1 else style.COLUMN_IN
    figure = style.new_figure(width, 0.2 + down * (0.75 + _ROW_IN * len(rows)))
    axes = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    names = {arm.sources: of.trained_on(study, arm) for arm in arms}
    for axis, model in zip(axes, models, strict=False):
        _panel(axis, study, [arm for arm in arms if arm.model == model], rows)
        axis.set_yticks(range(len(rows)), [names[each] for each in rows], fontsize=6.5)
    for axis in axes[len(models) :]:
        axis.set_axis_off()
    axes[0].set_ylabel("trained on")
    return figure


def _panel(axis: Axes, study: Study, arms: list[Arm], rows: list[tuple[str, ...]]) -> None:
    columns = of.labs(study)
    for arm in arms:
        on = of.fields(study, arm)
        away = [field for field in on.values() if not field.home]
        low = of.worst(away) if len(away) > 1 else None
        for place, lab in enumerate(columns):
            if lab in on:
                mark = MARK if is_seen(lab, keys_seen(study, arm)) else ""
                _field(axis, place, rows.index(arm.sources), on[lab], worst=on[lab] is low, mark=mark)
            else:
                axis.text(place, rows.index(arm.sources), "missing", ha="center", va="center", fontsize=6, color=_GREY)
    axis.set_xlim(-0.5, len(columns) - 0.5)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xticks(range(len(columns)), columns, fontsize=6.5)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(network(arms[0]).replace(", ", "\n", 1), fontsize=7)


def _field(axis: Axes, place: int, row: int, field: of.Field, *, worst: bool, mark: str) -> None:
    """Draws a field, its balanced accuracy and the number of images."""
    ground = mpl.colormaps["Blues"](_FULL * field.mean)
    axis.add_patch(Rectangle((place - 0.48, row - 0.47), 0.96, 0.94, facecolor=ground, linewidth=0))
    if field.home:
        frame: dict[str, Any] = {"facecolor": "none", "edgecolor": _FRAME, "linewidth": 1.2, "zorder": 3}
        axis.add_patch(Rectangle((place - 0.46, row - 0.45), 0.92, 0.9, **frame))
    ink = style.ink(list(ground))
    look: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
    axis.text(place, row - 0.14, f"{100 * field.mean:.1f}{mark}", fontsize=7, **look)
    some = f", {len(CLASSES) - len(of.lacking(field.domain))} classes" if of.lacking(field.domain) else ""
    axis.text(place, row + 0.25, f"n={len(field.domain.labels)}{some}", fontsize=5.3, **look)
    if worst:
        axis.plot([place - 0.2, place + 0.2], [row + 0.06] * 2, color=ink, linewidth=0.8)
