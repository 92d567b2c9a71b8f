"""The slides' images, decoded once: how they look, and their pixels at each size that a model takes."""

import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int64
from PIL import Image

from wbc.assess.appearance import appearance
from wbc.assess.names import UNLABELLED
from wbc.assess.slides import Slides, counted
from wbc.cells import CLASSES
from wbc.data.cache import LEAST_PX, Geometry, PixelCache
from wbc.data.decode import decode, map_images
from wbc.errors import DataError
from wbc.words import number_of

LEAST_CELLS: Final = 10
"""With fewer cells nothing is said."""
_REASONS: Final = {
    r"an empty file": "an empty file",
    r"pixels; at most|decompression bomb": "more than 40 million pixels: crop it to its cell",
    r"of pixel format": "more than 8 bits per channel",
    r"several images": "several images in one file",
    r"bytes; at most": "a file that is too large",
}
"""By a part of a decoder's sentence, the words under which its images are counted."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The slides that could be read, how each cell looks, and its pixels by geometry."""

    slides: Slides
    looks: Float[np.ndarray, "cells features"]
    """The features of `wbc.assess.appearance`."""
    sha256: tuple[str, ...]
    pixels: dict[Geometry, PixelCache]


@dataclass(frozen=True)
class _Read:
    looks: Float[np.ndarray, " features"]
    sha256: str
    pixels: tuple[np.ndarray, ...]


@contextmanager
def decoded(slides: Slides, geometries: Sequence[Geometry]) -> Iterator[Decoded]:
    """Yields what was read of slides. Pixels lie in a temporary file, which goes as the block ends.

    Images that are damaged, too small or copies of others are left out and counted.

    Raises:
        DataError: fewer than `LEAST_CELLS` images can be read, or all labels are one class.
    """
    paths = [cell.path for cell in slides.cells]
    kept, looks, sha256, left_out = list[int](), [], dict[str, int](), Counter(slides.left_out)
    shapes: dict[Geometry, list[tuple[int, int]]] = {geometry: [] for geometry in geometries}
    with tempfile.TemporaryDirectory(prefix="wbc-assess-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # such images are counted
        files = {geometry: Path(folder, str(geometry)) for geometry in geometries}
        handles = {geometry: files[geometry].open("wb") for geometry in geometries}
        for row, read in enumerate(map_images(lambda path: _read(path, geometries), paths, f"{slides.title}: reading")):
            if isinstance(read, _Read) and read.sha256 in sha256:
                read = "a copy of another file"
            if isinstance(read, str):
                left_out[read] += 1
                continue
            sha256[read.sha256] = row
            kept.append(row)
            looks.append(read.looks)
            for geometry, pixels in zip(geometries, read.pixels, strict=True):
                handles[geometry].write(pixels.tobytes())
                shapes[geometry].append((pixels.shape[0], pixels.shape[1]))
        for handle in handles.values():
            handle.close()
        rest = replace(slides, cells=tuple(slides.cells[row] for row in kept), left_out=left_out)
        _check(rest)
        caches = {each: PixelCache(np.memmap(files[each], np.uint8, "r"), _shaped(shapes[each])) for each in geometries}
        yield Decoded(slides=rest, looks=np.array(looks), sha256=tuple(sha256), pixels=caches)


def _read(path: Path, geometries: Sequence[Geometry]) -> _Read | str:
    """Returns what is known of an image, or why it is left out."""
    try:
        image, sha256 = decode(path)
        if min(image.size) < LEAST_PX:
            return f"fewer than {LEAST_PX} pixels high or wide"
        sized = tuple(np.asarray(geometry.apply(image)) for geometry in geometries)
    except DataError as error:
        return next((said for part, said in _REASONS.items() if re.search(part, str(error))), "damaged, or no image")
    except OSError:
        return "not readable"
    return _Read(looks=appearance(image, geometries[0].crop), sha256=sha256, pixels=sized)


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


def thumbnail(path: Path, size_px: int) -> Image.Image:
    """Returns the middle of an image, square and small."""
    image, _ = decode(path)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size_px, size_px), Image.Resampling.BILINEAR)
