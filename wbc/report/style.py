"""The visual language of all figures: one size for a two-column paper, colours told apart by the colour-blind.

Colours are Okabe & Ito's (2008). Normalisation has a colour and a marker, so that grey print tells it too.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from wbc.arms import Arm
from wbc.report.names import NORMS, spoken
from wbc.report.study import Study, describe_arm

COLUMN_IN: Final = 3.4
"""Width of one column, in inches."""
PAGE_IN: Final = 7.0
"""Width of both columns."""
CLASS_COLOURS: Final = ("#882255", "#EE7733", "#0077BB", "#66CCEE", "#000000")
"""In the order of CLASSES; Tol's (2021), of lightness 31, 64, 48, 77 and 0, so that grey print tells them apart."""
DOMAIN_MARKERS: Final = ("x", "o", "^", "s", "D", "v", "P", "*")
_LOOKS: Final = {
    "batch": ("#D55E00", "o"),
    "frozen_batch": ("#E69F00", "s"),
    "group": ("#0072B2", "^"),
    "layer": ("#56B4E9", "D"),
    "none": ("#009E73", "v"),
    "own": ("#999999", "P"),
}
_SETTINGS: Final[dict[str, Any]] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "grid.linewidth": 0.4,
    "grid.color": "#dddddd",
    "pdf.fonttype": 42,  # text stays text: searchable, and accepted by publishers
    "text.parse_math": False,  # a dollar in a name is a dollar
}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure with its caption."""

    name: str
    """The file's name, without suffix."""
    caption: str
    figure: Figure | None
    """None where the runs do not hold what it shows."""
    narrow: bool = False
    """Whether it takes half the page's width."""

    @property
    def title(self) -> str:
        """The caption's beginning, up to its first stop or colon."""
        return re.split(r"(?<!Fig)(?<!Fig\. \d)[.:]( |$)|, in ", self.caption)[0]


@contextmanager
def figure_style() -> Iterator[None]:
    """Draws what the block makes in the project's style, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(mpl.RcParams(_SETTINGS))
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """Returns an empty figure that belongs to no global manager."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def label(study: Study, arm: Arm, width: int = 60) -> str:
    """Returns an arm's name as figures print it; one of more than `width` letters is broken after the network."""
    name = spoken(study, arm)
    network, _, rest = name.partition(", ")
    if len(name) <= width or not rest:
        return textwrap.shorten(name, width, placeholder="…")
    return "\n".join([f"{network},", *textwrap.wrap(rest, width, max_lines=2, placeholder="…")])


def colour(arm: Arm) -> str:
    """Returns the colour of the model's normalisation."""
    return _LOOKS[describe_arm(arm).norm][0]


def marker(arm: Arm) -> str:
    """Returns the marker of the model's normalisation."""
    return _LOOKS[describe_arm(arm).norm][1]


def norm_legend(arms: Iterable[Arm]) -> list[Line2D]:
    """Returns the legend's entries for the normalisations that the models have."""
    present = [norm for norm in _LOOKS if norm in {describe_arm(arm).norm for arm in arms}]
    return [
        Line2D([], [], color=look, marker=mark, linestyle="", markersize=4, label=NORMS[norm])
        for norm in present
        for look, mark in [_LOOKS[norm]]
    ]


def ink(ground: Sequence[float]) -> str:
    """Returns black or white, whichever reads better on a colour (red, green, blue in [0, 1]): a contrast above 4.5.

    Reference: relative luminance of WCAG 2.2.
    """
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in ground[:3])
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "white"


def save(figure: Figure, folder: Path, name: str) -> None:
    """Writes `<name>.pdf` and `<name>.png`, the same bytes for the same figure, in the project's style.

    Matplotlib chooses the kind of font when it writes. Outside the style it embeds Type 3, which publishers refuse.
    """
    with figure_style():
        figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
        figure.set_layout_engine("none")  # what was laid out for the PDF stays where it is: a third of the time
        figure.savefig(folder / f"{name}.png", dpi=200, metadata={"Software": None})
