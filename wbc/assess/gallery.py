"""Thumbnails of the user's own cells: the mistakes that a model is surest of, and the cells it is least sure of."""

import base64
import io
from dataclasses import dataclass
from typing import Final

import numpy as np

from wbc.assess.labelled import Truth
from wbc.assess.pixels import thumbnail
from wbc.assess.slides import Cell, Slides
from wbc.assess.unlabelled import Model
from wbc.cells import CLASSES
from wbc.evaluation.selective import least_sure, surest_mistakes

MISTAKES: Final = 24
UNSURE: Final = 12
MODELS: Final = 3
"""Models that have a gallery, the first of the page."""
SIZE_PX: Final = 72
_QUALITY: Final = 80


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One cell as one model sees it."""

    kind: str
    """mistake or unsure."""
    model: str
    given: str
    """The class that its label says; empty: it has none."""
    said: str
    confidence: float
    """The calibrated probability of `said`, in [0, 1]."""
    id: str
    jpeg: str
    """Base64."""


def tiles(models: list[Model], slides: Slides, truth: Truth | None) -> list[Tile]:
    """Returns the tiles of the first models: mistakes, where there are labels, then unsure cells."""
    small: dict[int, str] = {}
    found = []
    for model in models[:MODELS]:
        chosen = model.chosen.calibrated
        mistakes = np.array([], np.int64)
        if truth is not None:
            mistakes = truth.rows[surest_mistakes(truth.labels[truth.rows], chosen[truth.rows], MISTAKES)]
        for kind, rows in (("mistake", mistakes), ("unsure", least_sure(chosen, UNSURE))):
            for row in rows.tolist():
                cell, said = slides.cells[row], int(chosen[row].argmax())
                small[row] = small.get(row) or jpeg(cell, SIZE_PX)
                found.append(
                    Tile(
                        kind=kind,
                        model=model.name,
                        given=CLASSES[cell.label] if cell.label >= 0 else "",
                        said=CLASSES[said],
                        confidence=float(chosen[row, said]),
                        id=cell.id,
                        jpeg=small[row],
                    )
                )
    return found


def jpeg(cell: Cell, size_px: int) -> str:
    """Returns a cell's picture, square, in base64."""
    content = io.BytesIO()
    thumbnail(cell, size_px).save(content, "jpeg", quality=_QUALITY, optimize=True)
    return base64.b64encode(content.getvalue()).decode()
