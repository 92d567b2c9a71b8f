"""A laboratory's cells, and what was made of what lay beside them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from wbc.assess.names import UNLABELLED
from wbc.cells import CLASSES
from wbc.data.cut import Box

RANDOM: Final = "random"
"""What the sheet's column `draw` says of cells that were drawn at random."""
NO_CLASS: Final = "no class: left out"


class Cell(NamedTuple):
    """One image that is offered."""

    path: Path
    id: str
    """The path as a reader knows it: below the folder, or as the table has it."""
    label: int
    """0 to 4, or UNLABELLED."""
    slide: str
    """What names its slide; empty: not known."""
    patient: str
    draw: str = RANDOM
    """Why it is labelled; cells that were chosen otherwise than at random tell nothing of accuracy."""
    box: Box | None = None
    """Where it lies on its image, which is a field; None: it is the image."""


@dataclass(frozen=True, kw_only=True)
class Slides:
    """Cells, and what was made of the names beside them."""

    name: str
    """In letters, digits and _, no other folder's."""
    title: str
    """What the user calls it."""
    cells: tuple[Cell, ...]
    taken_for: tuple[tuple[str, str, int], ...]
    """By folder or label: what it was taken for, and its images."""
    left_out: Mapping[str, int]
    """By reason: how many files and boxes were not taken."""
    found: str = ""
    """What boxes there were, in a sentence; empty: none."""

    @property
    def clusters(self) -> tuple[str, ...]:
        """What each cell shares with those that look like it: its patient, else its slide, else its image or field."""
        return tuple(cell.patient or cell.slide or str(cell.path) for cell in self.cells)

    @property
    def slides(self) -> tuple[str, ...]:
        """The names of the slides, sorted; none where there are not at least two."""
        names = sorted({cell.slide for cell in self.cells} - {""})
        return tuple(names) if len(names) > 1 else ()


def counted(left_out: Mapping[str, int]) -> str:
    """Returns in a sentence how many files were left out, by reason; nothing where none was."""
    if not left_out:
        return ""
    reasons = sorted(left_out.items(), key=lambda pair: (-pair[1], pair[0]))
    return f"Left out: {', '.join(f'{count} ({reason})' for reason, count in reasons)}."


def said(label: int) -> str:
    """Returns what a name was taken for, by the label that it got."""
    return CLASSES[label] if label != UNLABELLED else "cells without a label"


def listed(taken: Counter[tuple[str, str]]) -> tuple[tuple[str, str, int], ...]:
    """Returns what names were taken for, sorted, with how many images."""
    return tuple((name, what, count) for (name, what), count in sorted(taken.items()))
