"""Sample cells of a domain as one picture, so that reports can show what was scored without the images."""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Int64
from PIL import Image

from wbc.cells import CLASSES
from wbc.data.cache import PixelCache

SAMPLES: Final = 6
"""Cells of each class."""
_SIZE_PX: Final = 96


def draw_samples(ids: Sequence[str], labels: Int64[np.ndarray, " images"], pixels: PixelCache) -> Image.Image:
    """Returns a row of `SAMPLES` cells for each class, transparent where there are fewer; the same in every run.

    Which cells are shown is decided by a hash of their ids: neighbours in a folder are often of one slide.
    """
    size = min(_SIZE_PX, *pixels[0].shape[:2])
    sheet = Image.new("RGBA", (SAMPLES * size, len(CLASSES) * size))
    order = sorted(range(len(ids)), key=lambda index: hashlib.sha256(ids[index].encode()).digest())
    for label in range(len(CLASSES)):
        chosen = [index for index in order if labels[index] == label][:SAMPLES]
        for place, index in enumerate(chosen):
            cell = Image.fromarray(pixels[index])
            side = min(cell.size)
            box = ((cell.width - side) // 2, (cell.height - side) // 2)
            square = cell.crop((*box, box[0] + side, box[1] + side))
            sheet.paste(square.resize((size, size), Image.Resampling.LANCZOS), (place * size, label * size))
    return sheet
