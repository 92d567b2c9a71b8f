"""The slides' images, decoded once: how they look, and their pixels at each size that a model takes."""

import hashlib
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int64
from PIL import Image

from wbc.assess.appearance import appearance
from wbc.assess.names import UNLABELLED
from wbc.assess.slides import Cell, Slides, counted
from wbc.cells import CLASSES
from wbc.data.cache import LEAST_PX, Geometry, PixelCache
from wbc.data.cut import Box, as_bmp, square_crop
from wbc.data.decode import decode, is_turned, map_images
from wbc.errors import DataError
from wbc.words import number_of

LEAST_CELLS: Final = 10
"""With fewer cells nothing is said."""
MASK_COLOURS: Final = 16
"""An image of so few colours shows no cell."""
_REASONS: Final = {
    r"an empty file": "an empty file",
    r"pixels; at most|decompression bomb": "more than 40 million pixels: crop it to its cell",
    r"of pixel format": "more than 8 bits per channel",
    r"several images": "several images in one file",
    r"bytes; at most": "a file that is too large",
    r"lies on no part": "a box that lies on no part of its image",
}
"""By a part of a decoder's sentence, the words under which its images are counted."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The slides that could be read, how each cell looks, and its pixels by geometry."""

    slides: Slides
    looks: Float[np.ndarray, "cells features"]
    """The features of `wbc.assess.appearance`."""
    sha256: tuple[str, ...]
    """Of each cell's file; of a cut cell that of the file which `wbc.data.cut` would write."""
    files: tuple[str, ...]
    """The SHA-256 of each cell's file, which is a field for a cut cell."""
    pixels: dict[Geometry, PixelCache]


@dataclass(frozen=True)
class _Read:
    looks: Float[np.ndarray, " features"]
    sha256: str
    file: str
    pixels: tuple[np.ndarray, ...]


@contextmanager
def decoded(slides: Slides, geometries: Sequence[Geometry]) -> Iterator[Decoded]:
    """Yields what was read of slides. Pixels lie in a temporary file, which goes as the block ends.

    Images that are damaged, too small, masks or copies of others are left out and counted.

    Raises:
        DataError: fewer than `LEAST_CELLS` images can be read, or all labels are one class.
    """
    kept, looks, sha256, left_out = list[int](), [], dict[str, int](), Counter(slides.left_out)
    named = list[str]()
    shapes: dict[Geometry, list[tuple[int, int]]] = {geometry: [] for geometry in geometries}
    with tempfile.TemporaryDirectory(prefix="wbc-assess-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # such images are counted
        files = {geometry: Path(folder, str(geometry)) for geometry in geometries}
        handles = {geometry: files[geometry].open("wb") for geometry in geometries}
        for row, read in enumerate(_all(slides, geometries)):
            if isinstance(read, _Read) and read.sha256 in sha256:
                same = slides.cells[row].label == slides.cells[sha256[read.sha256]].label
                read = "a copy of another file" if same else "a copy of another file, under another label"
            if isinstance(read, str):
                left_out[read] += 1
                continue
            sha256[read.sha256] = row
            kept.append(row)
            looks.append(read.looks)
            named.append(read.file)
            for geometry, pixels in zip(geometries, read.pixels, strict=True):
                handles[geometry].write(pixels.tobytes())
                shapes[geometry].append((pixels.shape[0], pixels.shape[1]))
        for handle in handles.values():
            handle.close()
        rest = replace(slides, cells=tuple(slides.cells[row] for row in kept), left_out=left_out)
        _check(rest)
        caches = {each: PixelCache(np.memmap(files[each], np.uint8, "r"), _shaped(shapes[each])) for each in geometries}
        yield Decoded(slides=rest, looks=np.array(looks), sha256=tuple(sha256), files=tuple(named), pixels=caches)


def _all(slides: Slides, geometries: Sequence[Geometry]) -> Iterator[_Read | str]:
    """Yields what is known of each cell, or why it is left out; a field of several cells is decoded once."""
    fields = [(path, [cell.box for cell in cells]) for path, cells in groupby(slides.cells, lambda cell: cell.path)]
    for found in map_images(lambda field: _read(*field, geometries), fields, f"{slides.title}: reading"):
        yield from found


def _read(path: Path, boxes: Sequence[Box | None], geometries: Sequence[Geometry]) -> list[_Read | str]:
    try:
        image, sha256 = decode(path)
    except DataError as error:
        return [_reason(error)] * len(boxes)
    except OSError:
        return ["not readable"] * len(boxes)
    return [_cell(image, sha256, box, geometries) for box in boxes]


def _cell(image: Image.Image, file: str, box: Box | None, geometries: Sequence[Geometry]) -> _Read | str:
    sha256 = file
    try:
        if box and is_turned(image):
            return "a field that is shown turned (EXIF), so that its box may be elsewhere"
        if box:
            image = cut(image, box)
            sha256 = hashlib.sha256(as_bmp(image)).hexdigest()
        if min(image.size) < LEAST_PX:
            return f"fewer than {LEAST_PX} pixels high or wide"
        if image.getcolors(MASK_COLOURS):
            return f"a mask, not a cell: {MASK_COLOURS} colours or fewer"
        sized = tuple(np.asarray(geometry.apply(image)) for geometry in geometries)
    except DataError as error:
        return _reason(error)
    return _Read(looks=appearance(image, geometries[0].crop), sha256=sha256, file=file, pixels=sized)


def _reason(error: DataError) -> str:
    return next((said for part, said in _REASONS.items() if re.search(part, str(error))), "damaged, or no image")


def cut(image: Image.Image, box: Box) -> Image.Image:
    """Returns the square around a box, as cells of `chula` are cut.

    Raises:
        DataError: no part of the box lies on the image.
    """
    return Image.fromarray(np.ascontiguousarray(square_crop(np.asarray(image), box)))


def _check(slides: Slides) -> None:
    labels = {cell.label for cell in slides.cells}
    if len(slides.cells) < LEAST_CELLS:
        count = len(slides.cells)
        raise DataError(
            f"'{slides.title}' holds {number_of(count, 'usable image')}; an answer needs at least {LEAST_CELLS}. "
            f"{counted(slides.left_out)}".rstrip()
        )
    if len(labels) == 1 and UNLABELLED not in labels:
        raise DataError(
            f"all {len(slides.cells)} labels of '{slides.title}' are {CLASSES[labels.pop()]}: this tells nothing of "
            "other "
            "classes. Add their cells, or move the images into a folder that names no class, to assess without labels."
        )


def _shaped(shapes: list[tuple[int, int]]) -> Int64[np.ndarray, "cells 2"]:
    return np.array(shapes, np.int64)


def thumbnail(cell: Cell, size_px: int) -> Image.Image:
    """Returns the middle of a cell's image, square and small."""
    image, _ = decode(cell.path)
    image = cut(image, cell.box) if cell.box else image
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size_px, size_px), Image.Resampling.BILINEAR)
