"""Which cells to label first: a table to fill in, that `assess` reads back as the slides."""

import logging
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float

from wbc.assess.names import UNLABELLED
from wbc.assess.slides import RANDOM, Slides
from wbc.cells import CLASSES
from wbc.evaluation.selective import least_sure
from wbc.seeding import generator

NAME: Final = "label_first.csv"
DRAWN: Final = 200
"""Cells at random, at the top: of all others accuracy could not be told. So many may show that a model is fit."""
OF_CLASS: Final = 10
"""Cells of each class that the model names, so that rare ones are examined."""
UNSURE: Final = 20
"""Cells that the model is least sure of: for learning, not for judging."""
_log = logging.getLogger(__name__)


def order(slides: Slides, scores: Float[np.ndarray, "cells 5"]) -> list[tuple[int, str]]:
    """Returns the rows of all cells in the order to label them, each with why.

    First come `DRAWN` at random, then cells that the model calls a class that is rare among these, then the cells that
    it is least sure of, then the rest. Only those at random, or all cells, tell of accuracy.
    """
    count, said = len(slides.cells), scores.argmax(1)
    shuffled = generator(0, "sheet", count).permutation(count).tolist()
    chosen = dict.fromkeys(shuffled[:DRAWN], RANDOM)
    for label, name in enumerate(CLASSES):
        lacking = OF_CLASS - sum(said[row] == label for row in chosen)
        own = [row for row in shuffled if said[row] == label and row not in chosen]
        chosen |= dict.fromkeys(own[: max(0, lacking)], f"called {name}")
    unsure = [row for row in least_sure(scores, count).tolist() if row not in chosen]
    chosen |= dict.fromkeys(unsure[:UNSURE], "unsure")
    return [*chosen.items(), *((row, "rest") for row in shuffled if row not in chosen)]


def write_sheet(slides: Slides, scores: Float[np.ndarray, "cells 5"], path: Path) -> None:
    """Writes the table: path, label to fill in, slide, patient, box on a field, and why the cell stands there.

    A label that is known stands there already. What a model says does not: it would lead who labels.
    """
    rows = [
        {
            "path": cell.path,
            "label": "" if cell.label == UNLABELLED else CLASSES[cell.label],
            "slide": cell.slide,
            "patient": cell.patient,
            "box": " ".join(f"{edge:g}" for edge in cell.box or ()),
            "draw": why if cell.label == UNLABELLED else cell.draw,
        }
        for row, why in order(slides, scores)
        for cell in [slides.cells[row]]
    ]
    pd.DataFrame(rows).to_csv(path, index=False, lineterminator="\n")


def keep_filled(old: Path, new: Path) -> None:
    """Keeps an old sheet in the place of the new one where somebody has changed it since it was written."""
    if old.exists() and (kept := old.read_bytes()) != new.read_bytes():
        _log.warning("%s has changed since it was written, and stays as it is", old)
        new.write_bytes(kept)
