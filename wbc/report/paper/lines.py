"""A panel for each domain, and in it a look for each arm that is told apart within its norm too; what figures share."""

import textwrap
from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from wbc.arms import Arm
from wbc.report import style
from wbc.report.study import ScoredDomain, Study, describe_arm

GREY: Final = "#767676"
_COLUMNS: Final = 4
_WITHIN: Final = (("-", "full"), ("--", "none"), (":", "left"), ("-.", "bottom"))
"""Line and filling of the first, second, … arm of a norm."""
_MOST_NAMED: Final = 12
"""With more arms the legend names norms."""


def panels(
    study: Study, domains: Sequence[ScoredDomain], row_in: float, xlabel: str, stacked: int = 1
) -> tuple[Figure, list[list[Axes]]]:
    """Returns a figure and, for each domain, `stacked` panels one below the other, all with the same axes.

    Titles name the domain and its number of images. The arms' legend stands beside one or two domains, and below more.
    """
    columns = min(_COLUMNS, len(domains))
    rows, beside = stacked * -(-len(domains) // columns), columns < 3
    legend = _legend(study, 34 if beside else 60)
    figure = style.new_figure(style.PAGE_IN, 0.55 + row_in * rows + (0 if beside else 0.15 * -(-len(legend) // 2)))
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False, gridspec_kw={"wspace": 0.06})
    for axis in axes[-stacked:, (len(domains) - 1) % columns + 1 :].flat:
        axis.set_axis_off()
    stacks = []
    for place, domain in enumerate(domains):
        first, column = stacked * (place // columns), place % columns
        stack = list(axes[first : first + stacked, column])
        stack[0].set_title(f"{textwrap.fill(domain.name, 24)}\nn = {len(domain.labels)}", fontsize=7)
        stack[-1].set_xlabel(xlabel)
        stack[-1].tick_params(labelbottom=True)
        stacks.append(stack)
    if beside:
        figure.legend(handles=legend, loc="outside right upper", handlelength=2.6)
    else:
        figure.legend(handles=legend, loc="outside lower center", handlelength=2.6, ncols=2)
    return figure, stacks


def look(study: Study, arm: Arm) -> dict[str, Any]:
    """Returns how an arm is drawn: colour and marker of its norm; line and filling set it apart in the norm."""
    alike = [each for each in study.arms if describe_arm(each).norm == describe_arm(arm).norm]
    line, filling = _WITHIN[alike.index(arm) % len(_WITHIN)]
    return {
        "color": style.colour(arm),
        "marker": style.marker(arm),
        "linestyle": line,
        "fillstyle": filling,
        "markerfacecoloralt": "white",
    }


def _legend(study: Study, width: int) -> list[Line2D]:
    """Returns an entry for each arm, whose name is broken beyond `width` letters; for each norm where arms are many."""
    if len(study.arms) > _MOST_NAMED:
        return style.norm_legend(study.arms)
    names = {arm: style.label(study, arm, width) for arm in study.arms}
    return [Line2D([], [], markersize=3.5, label=name, **look(study, arm)) for arm, name in names.items()]
