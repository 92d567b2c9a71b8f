"""Which cells to label first: a table to fill in, that `assess` reads back as the slides."""

import logging
from dataclasses import fields
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float

from wbc.assess.names import UNLABELLED
from wbc.assess.options import AssessConfig
from wbc.assess.slides import RANDOM, Slides
from wbc.cells import CLASSES
from wbc.config import split_names
from wbc.evaluation.selective import least_sure
from wbc.report.render import inert
from wbc.report.study import typed
from wbc.seeding import generator

NAME: Final = "label_first.csv"
PAGE: Final = "label_first.html"
"""The same to click through, with pictures."""
FILLED: Final = "labelled.csv"
"""What that page saves."""
DRAWN: Final = 200
"""Cells at random, at the top: of all others accuracy could not be told. So many may show that a model is fit."""
OF_CLASS: Final = 10
"""Cells of each class that the model names, so that rare ones are examined."""
REST: Final = "rest"
"""Why a cell stands there that need not be labelled."""
UNSURE: Final = 20
"""Cells that the model is least sure of: for learning, not for judging."""
_log = logging.getLogger(__name__)


def order(slides: Slides, scores: Float[np.ndarray, "cells 5"]) -> list[tuple[int, str]]:
    """Returns the rows of all cells in the order to label them, each with why.

    First come `DRAWN` at random, then cells that the model calls a class that is rare among these, then the cells that
    it is least sure of, then the rest, and last those that have a label. Only those at random, or all cells, tell of
    accuracy.
    """
    count, said = len(slides.cells), scores.argmax(1)
    order = generator(0, "sheet", count).permutation(count).tolist()
    shuffled = [row for row in order if slides.cells[row].label == UNLABELLED]
    chosen = dict.fromkeys(shuffled[:DRAWN], RANDOM)
    for label, name in enumerate(CLASSES):
        lacking = OF_CLASS - sum(said[row] == label for row in chosen)
        own = [row for row in shuffled if said[row] == label and row not in chosen]
        chosen |= dict.fromkeys(own[: max(0, lacking)], f"called {name}")
    left = set(shuffled) - set(chosen)
    unsure = [row for row in least_sure(scores, count).tolist() if row in left]
    chosen |= dict.fromkeys(unsure[:UNSURE], "unsure")
    last = [*shuffled, *(row for row in order if slides.cells[row].label != UNLABELLED)]
    return [*chosen.items(), *((row, REST) for row in last if row not in chosen)]


def sheet(slides: Slides, ordered: list[tuple[int, str]]) -> pd.DataFrame:
    """Returns the table: path, label to fill in, slide, patient, box on a field, and why the cell stands there.

    A label that is known stands there already. What a model says does not: it would lead who labels.
    """
    rows = [
        {
            "path": str(cell.path),
            "label": "" if cell.label == UNLABELLED else CLASSES[cell.label],
            "slide": cell.slide,
            "patient": cell.patient,
            "box": " ".join(f"{edge:g}" for edge in cell.box or ()),
            "draw": why if cell.label == UNLABELLED else cell.draw,
        }
        for row, why in ordered
        for cell in [slides.cells[row]]
    ]
    return inert(pd.DataFrame(rows))


def write_sheet(table: pd.DataFrame, path: Path) -> None:
    """Writes the table to fill in."""
    table.to_csv(path, index=False, lineterminator="\n")


def again(options: AssessConfig) -> str:
    """Returns the command that assesses the labelled table as the slides were, by the same runs."""
    chosen = {
        "SLIDES": FILLED,
        "RUN_ID": options.run,
        "PROFILE": options.profile,
        "MODELS": " ".join(split_names(options.models or "")),
        "SEEDS": " ".join(split_names(options.seeds or "")),
    }
    usual = {each.name: each.default for each in fields(options)}
    given = {name: getattr(options, name) for name in ("error", "crop")}
    others = [f"--{name} {value:g}" for name, value in given.items() if value != usual[name]]
    words = [typed(name, text) for name, text in chosen.items() if text]
    return " ".join(["make assess", *words, *([typed("ARGS", " ".join(others))] if others else [])])


def keep_filled(old: Path, new: Path) -> None:
    """Keeps an old sheet in the place of the new one where somebody has filled in a label that the new one lacks."""
    if old.exists() and not _filled(old) <= _filled(new):
        _log.warning("%s has labels that somebody filled in, and stays as it is", old)
        new.write_bytes(old.read_bytes())


def _filled(path: Path) -> set[tuple[str, ...]]:
    """Returns path, box and label of each labelled row; of a file that a spreadsheet saved otherwise, only its name."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        rows = table[table["label"] != ""].reindex(columns=["path", "box", "label"], fill_value="")
    except (LookupError, ValueError):
        return {(path.name,)}
    return set(rows.itertuples(index=False, name=None))
