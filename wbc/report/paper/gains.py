"""What helps where, at a glance: a field for each method and lab, with the difference to plain training in points."""

from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wbc.methods.catalog import ACCESS
from wbc.report import style
from wbc.report.effects import Effect, Way, effects, shown_domains
from wbc.report.names import spoken
from wbc.report.paper.home_away import signed
from wbc.report.seeds import counted
from wbc.report.study import MANY, Study
from wbc.report.style import Plot

_GROUPS: Final = {
    "source": "sees one image at a time",
    "target": "sees the lab's images",
    "labels": "sees k labels a class",
}
_FULL: Final = 30.0
"""Points at which a field has its full colour."""
_PALE: Final = 0.25
"""How much of its colour a field keeps whose interval holds zero."""
_GREY: Final = "#555555"
_ACROSS: Final = 3
"""Models beside each other."""
_ROW_IN: Final = 0.155


def gains(study: Study) -> Plot | None:
    """Returns the figure of all ways against plain training; None where the study has plain training alone."""
    found = [each for access in ACCESS for each in effects(study, access) if each.way != each.way.plain]
    if not found:
        return None
    alone = len({each.way.plain for each in found}) == 1
    return Plot(name="methods", caption=_caption(study, found), figure=_draw(study, found), narrow=alone)


def _draw(study: Study, found: Sequence[Effect]) -> Figure:
    models = list(dict.fromkeys(each.way.plain for each in found))
    rows = _heights(found)
    across = min(_ACROSS, len(models))
    down = -(-len(models) // across)
    height = max(rows.values()) + 1
    width = style.PAGE_IN if across > 1 else style.COLUMN_IN
    figure = style.new_figure(width, 0.3 + down * (0.75 + _ROW_IN * height))
    axes = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for axis, model in zip(axes, models, strict=False):
        _panel(axis, study, [each for each in found if each.way.plain == model], rows)
        axis.set_ylim(height - 0.4, -0.6)
        axis.set_title(_title(study, model), fontsize=7)
    for axis in axes[len(models) :]:
        axis.set_axis_off()
    for axis in axes[::across]:
        axis.set_yticks(list(rows.values()), list(rows), fontsize=6.5)
        for label in axis.get_yticklabels():
            label.set_fontweight("bold" if label.get_text() in _GROUPS.values() else "normal")
    return figure


def _heights(found: Sequence[Effect]) -> dict[str, float]:
    """Returns the height of each row, 0 at the top: by access, a heading above each."""
    rows: dict[str, float] = {}
    for access, heading in _GROUPS.items():
        names = dict.fromkeys(each.way.said for each in found if each.way.access == access)
        for name in (heading, *names) if names else ():
            rows[name] = len(rows) + 0.4 * (list(_GROUPS).index(access) if rows else 0)
    return rows


def _panel(axis: Axes, study: Study, found: Sequence[Effect], rows: dict[str, float]) -> None:
    places = {domain.name: place for place, domain in enumerate(shown_domains(study))}
    for each in found:
        _field(axis, places[each.domain.name], rows[each.way.said], each)
    axis.set_xlim(-0.5, len(places) - 0.5)
    names = ["home" if domain.home else domain.name for domain in shown_domains(study)]
    axis.set_xticks(list(places.values()), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=6.5)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _field(axis: Axes, place: int, row: float, effect: Effect) -> None:
    """Draws a field and its number: pale where the interval holds zero, framed where the rule tells it."""
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 6.5}
    if effect.difference is None:
        axis.text(place, row, "?", color=_GREY, **look)
        return
    points = 100 * effect.difference
    red, green, blue, _ = mpl.colormaps["RdBu"](Normalize(-_FULL, _FULL, clip=True)(points))
    kept = 1 if effect.excludes_zero else _PALE
    ground = [1 - kept * (1 - each) for each in (red, green, blue)]
    axis.add_patch(Rectangle((place - 0.47, row - 0.46), 0.94, 0.92, facecolor=ground, linewidth=0))
    if effect.told:
        frame: dict[str, Any] = {"facecolor": "none", "edgecolor": "black", "linewidth": 1.1, "zorder": 3}
        axis.add_patch(Rectangle((place - 0.46, row - 0.45), 0.92, 0.9, **frame))
    weight = "bold" if effect.told else "normal"
    mark = "†" if effect.collapsed else ""
    ink = style.ink(ground) if effect.excludes_zero else _GREY
    axis.text(place, row, signed(points) + mark, color=ink, fontweight=weight, **look)


def _title(study: Study, model: Way) -> str:
    network, _, rest = spoken(study, model.arm).partition(", ")
    return f"{network}\n{rest}"


def _caption(study: Study, found: Sequence[Effect]) -> str:
    counts = ", ".join(f"{len(domain.labels)} of {domain.name}" for domain in shown_domains(study))
    others = " Other figures of models show plain training alone." if len(study.arms) > MANY else ""
    several = counted(len(each.runs) for each in found)
    seeds = "one seed, so no interval" if several == "one seed" else f"means over {several}"
    return (
        f"What helps where: balanced accuracy minus that of plain training of the same model, in points; {seeds}. "
        "Blue: better; red: worse. Full colour: the 95 % interval over seeds and images excludes zero, uncorrected. "
        "Framed: told by the rule, corrected by Holm over a lab's fields of one access. Pale: not known. †: a run "
        f"collapsed. Images: {counts}.{others}"
    )
