"""Fig. 4: from home to away, a line for each model, grouped by norm; the drop in points stands at the right."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from wbc.arms import Arm
from wbc.report import style
from wbc.report.names import NORMS, spoken
from wbc.report.seeds import ENOUGH, counted
from wbc.report.statistics import CHANCE, two_way_interval
from wbc.report.study import ScoredDomain, Study, describe_arm
from wbc.report.style import Plot

_GAP: Final = 0.5
"""Between two norms, in rows."""
_ROW_IN: Final = 0.29
"""With the name above the line."""
_THIN_ROW_IN: Final = 0.25
"""With the name beside it."""
_LINE_IN: Final = 0.125
"""A line of such a name."""
_BESIDE_PT: Final = 32
"""From the axis to the right edge of the numbers beside it; a marker at 100 % is clear of them."""
_GREY: Final = "#767676"
_GROUND: Final[dict[str, Any]] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}


def home_away(study: Study) -> Plot:
    """Returns Fig. 4: one column where one lab is away; a panel for each of several."""
    panels = [domain for domain in study.domains if not domain.home] or list(study.domains)
    return Plot(
        name="fig4_home_away",
        caption=_caption(study, panels),
        figure=_draw(study, panels) if panels else None,
        narrow=len(panels) == 1,
    )


def rows_by_norm(study: Study) -> dict[Arm, float]:
    """Returns the height of each arm's row, 0 at the top: grouped by norm, within a norm in the tables' order."""
    order = list(NORMS)
    arms = sorted(study.arms, key=lambda arm: order.index(describe_arm(arm).norm))
    heights, height = {}, 0.0
    for place, arm in enumerate(arms):
        if place:
            height += 1 + _GAP * (describe_arm(arm).norm != describe_arm(arms[place - 1]).norm)
        heights[arm] = height
    return heights


def _draw(study: Study, panels: Sequence[ScoredDomain]) -> Figure:
    rows = rows_by_norm(study)
    alone = len(panels) == 1
    height = max(rows.values()) + 1
    names = [style.label(study, arm, 34) for arm in rows]
    row_in = _ROW_IN if alone else max(_THIN_ROW_IN, _LINE_IN * max(name.count("\n") + 1 for name in names))
    figure = style.new_figure(style.COLUMN_IN if alone else style.PAGE_IN, 0.95 + row_in * height)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, domain in zip(axes, panels, strict=True):
        _panel(axis, study, domain, rows)
        axis.set_ylim(height - 0.4, -0.9 if alone else -0.6)
        axis.set_title(_title(study, domain, alone=alone), loc="left", fontsize=7)
    if alone:
        axes[0].set_yticks([])
        for arm, row in rows.items():
            axes[0].text(0, row - 0.22, spoken(study, arm), va="bottom", fontsize=6.5, bbox=_GROUND)
    else:
        axes[0].set_yticks(list(rows.values()), names, fontsize=6.5)
    figure.legend(
        handles=_legend(_counts(study, panels)),
        loc="outside lower center",
        ncols=5 if len(panels) > 1 else 3,
        handletextpad=0.3,
        columnspacing=1.2,
    )
    return figure


def _panel(axis: Axes, study: Study, domain: ScoredDomain, rows: dict[Arm, float]) -> None:
    """Draws a line from home to a domain for each arm, and prints by how many points it falls."""
    beside: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "fontsize": 7}
    home = study.home if study.home and study.home.name != domain.name else None
    for arm, row in rows.items():
        ends = [_end(axis, study, arm, each, row) for each in (home, domain) if each]
        means = [mean for mean in ends if mean is not None]
        if len(means) < len(ends):
            axis.text(50, row, "missing", va="center", ha="center", fontsize=7, color=_GREY)
        elif len(means) == 2:
            axis.plot(means, [row, row], color=_GREY, linewidth=0.9, zorder=1)
            place: dict[str, Any] = {"xy": (1, row), "xycoords": axis.get_yaxis_transform(), "xytext": (_BESIDE_PT, 0)}
            axis.annotate(signed(means[1] - means[0]), **place, va="center", **beside)
    if home:
        axis.annotate("points", (1, 1), (_BESIDE_PT, 2), xycoords="axes fraction", va="bottom", **beside)
    for share, line in ((domain.majority, "--"), (CHANCE, ":")):
        axis.axvline(100 * share, color=_GREY, linestyle=line, linewidth=0.7, zorder=0)
    axis.set_xlim(0, 100)
    axis.set_xlabel("accuracy in %")
    axis.grid(axis="x")
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def _end(axis: Axes, study: Study, arm: Arm, domain: ScoredDomain, row: float) -> float | None:
    """Draws one end of an arm's line and returns its mean in percent; None where it has no score there."""
    shares = 100 * np.array(study.accuracies(arm, domain.name))
    if not len(shares):
        return None
    look: dict[str, Any] = {"color": style.colour(arm), "clip_on": False}
    if len(shares) < ENOUGH:
        axis.plot(shares, np.full(len(shares), row), ".", markersize=2.5, zorder=4, **{**look, "color": "black"})
        reach: tuple[float, float] | None = (shares.min(), shares.max())
    else:
        both = two_way_interval(study.hits(arm, domain))
        reach = (max(0.0, 100 * both[0]), min(100.0, 100 * both[1])) if both else None  # rounded beyond by a hair
    if reach:
        axis.plot(reach, [row, row], linewidth=2.2, alpha=0.5, solid_capstyle="butt", zorder=2, **look)
    face = "white" if domain.home else style.colour(arm)
    axis.plot(shares.mean(), row, style.marker(arm), markersize=4.5, markerfacecolor=face, zorder=3, **look)
    return float(shares.mean())


def signed(points: float) -> str:
    """Returns a change in points to one decimal, with its sign."""
    return f"{round(points, 1) + 0.0:+.1f}".replace("-", "−")  # what rounds to zero has no minus


def _title(study: Study, domain: ScoredDomain, *, alone: bool) -> str:
    role = "home" if domain.home else "away"
    here = f"{domain.name}, n = {len(domain.labels)}"
    if not alone:
        return here.replace(", ", "\n")
    lines = [f"home: {study.home.name}, n = {len(study.home.labels)}"] if study.home and not domain.home else []
    return "\n".join([*lines, f"{role}: {here}"])


def _counts(study: Study, panels: Sequence[ScoredDomain]) -> set[int]:
    """Returns the numbers of seeds that are drawn: one for each arm and end that has a score."""
    ends = [*panels, *([study.home] if study.home else [])]
    return {len(study.of(arm, domain.name)) for arm in study.arms for domain in ends} - {0}


def _legend(counts: Collection[int]) -> list[Line2D]:
    grey: dict[str, Any] = {"color": "#444444", "markersize": 4.5}
    dot = Line2D([], [], marker=".", color="black", linestyle="", markersize=2.5, label="a seed")
    bar = Line2D([], [], color="#444444", linewidth=2.2, alpha=0.5, label="95 %, seeds and images")
    return [
        Line2D([], [], marker="o", linestyle="", markerfacecolor="white", label="home", **grey),
        Line2D([], [], marker="o", linestyle="", label="away", **grey),
        *([dot] if min(counts, default=0) < ENOUGH else []),
        *([bar] if max(counts, default=0) >= ENOUGH else []),
        Line2D([], [], color=_GREY, linestyle="--", linewidth=0.9, label="largest class"),
        Line2D([], [], color=_GREY, linestyle=":", linewidth=0.9, label="chance"),
    ]


def _caption(study: Study, panels: Sequence[ScoredDomain]) -> str:
    home = f" Home: {study.home.name}, n = {len(study.home.labels)}." if study.home and len(panels) > 1 else ""
    counts = _counts(study, panels)
    many = [count for count in counts if count >= ENOUGH]
    spread = f"Bars: 95 % interval over {counted(many)} and the images (two-way bootstrap)." if many else ""
    if len(many) < len(counts):
        spread += f" Small dots: the seeds ({study.seed_list()}), with their range; fewer than five give no interval."
    return (
        "Fig. 4. Accuracy at home (open) and away (filled): means over seeds, grouped by norm; at the right the change "
        f"in points. {spread.strip()}{home} Dashed: always the largest class away; dotted: a class at random."
    )
