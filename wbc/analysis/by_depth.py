"""The picture of how far batch norms' stored statistics lie from each split's; reads a table and needs no PyTorch."""

from itertools import cycle
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

DISTANCES: Final = {"mean_distance": "means, in stored SD", "spread_distance": "spreads, as log ratio"}
"""The columns of the table, and what they are."""
_LINES: Final = (
    ("black", "-"),
    ("#D55E00", "--"),
    ("#0072B2", "-."),
    ("#CC79A7", ":"),
    ("#009E73", (0, (5, 1, 1, 1, 1, 1))),
)
"""Colours of Okabe & Ito (2008), told apart by the colour-blind; the dashes tell them in grey."""


def draw(table: pd.DataFrame) -> Figure:
    """Returns both distances by depth, a line for each split; `wbc.analysis.batch_norm` has the table's columns."""
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    for axes, (column, what) in zip(figure.subplots(1, 2), DISTANCES.items(), strict=True):
        for (split, rows), (colour, dashes) in zip(table.groupby("split", sort=False), cycle(_LINES), strict=False):
            axes.plot(rows["depth"], rows[column], label=str(split), color=colour, linestyle=dashes, linewidth=1)
        axes.set(xlabel="batch norm, by depth", ylabel=f"distance of {what}", ylim=(0, None))
    lines = figure.axes[0].lines
    figure.legend(handles=lines, loc="outside upper center", ncols=len(lines), frameon=False, fontsize=7)
    return figure
