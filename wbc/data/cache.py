"""The pixel cache: a domain's images, decoded and resized once, as one memory-mapped file of 8-bit RGB.

`cache-<kind><size>[-crop<share>].bin` holds height × width × 3 bytes per image, in the manifest's order. The `.json`
beside it holds shapes, the manifest's digest and a SHA-256 per split.
"""

import copy
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from jaxtyping import Int64, UInt8
from PIL import Image

from wbc.data.decode import decode_known, map_images
from wbc.data.disk import one_writer, whole_file
from wbc.data.manifest import digest
from wbc.errors import ConfigError, DataError

VERSION: Final = 1
LEAST_PX: Final = 16
"""A crop that leaves less of an image, in height or width, shows no cell any more."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Geometry:
    """How images are brought to size, bilinearly, as torchvision's Resize does on PIL images."""

    kind: Literal["squash", "short_side"]
    """"squash": to size_px × size_px, whatever the shape; "short_side": the short side to size_px, the shape kept."""
    size_px: int
    """At least 1."""
    crop: float = 1.0
    """The share of each side that is taken, from the centre, before that."""

    def __post_init__(self) -> None:
        if self.size_px < 1:
            raise ConfigError(f"size_px is {self.size_px}; an image must be at least 1 pixel wide.")

    def __str__(self) -> str:
        return f"{self.kind}{self.size_px}" + (f"-crop{self.crop:g}" if self.crop < 1 else "")

    def cropped(self, crop: float) -> "Geometry":
        """Returns this geometry for a domain with a `crop`."""
        return replace(self, crop=crop)

    def apply(self, image: Image.Image) -> Image.Image:
        """Returns the image, or its centre, at this size.

        Raises:
            DataError: The image is too small for the crop.
        """
        image = self._centre(image) if self.crop < 1 else image
        width, height = image.size
        short = min(width, height)
        if self.kind == "squash":
            size = (self.size_px, self.size_px)
        else:
            size = (int(self.size_px * width / short), int(self.size_px * height / short))
        return image.resize(size, Image.Resampling.BILINEAR)

    def _centre(self, image: Image.Image) -> Image.Image:
        width, height = (round(side * self.crop) for side in image.size)
        if min(width, height) < LEAST_PX:
            raise DataError(
                f"has {image.width} × {image.height} pixels, of which crop={self.crop:g} takes {width} × {height}: at "
                f"least {LEAST_PX} × {LEAST_PX} are needed; choose a larger crop or leave the image out"
            )
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))


class PixelCache:
    """Images of one split or several, read-only; each access is a view into a memory map, nothing is copied."""

    def __init__(self, pixels: UInt8[np.ndarray, " bytes"], shapes: Int64[np.ndarray, "n 2"]) -> None:
        """Takes the images' bytes one after the other, and their heights and widths in pixels."""
        sizes = 3 * shapes.prod(axis=1)
        self._maps: tuple[UInt8[np.ndarray, " _"], ...] = (pixels,)
        self._files, self._starts, self._shapes = np.zeros_like(sizes), np.cumsum(sizes) - sizes, shapes

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        index = range(len(self))[index]
        height, width = self._shapes[index]
        start = self._starts[index]
        image: UInt8[np.ndarray, "height width 3"]
        image = self._maps[self._files[index]][start : start + 3 * height * width].reshape(height, width, 3)
        return image

    @classmethod
    def join(cls, parts: "Sequence[PixelCache]") -> "PixelCache":
        """Returns the images of all parts, one part after the other."""
        joined = copy.copy(parts[0])
        joined._maps = tuple(each for part in parts for each in part._maps)
        before = np.cumsum([0] + [len(part._maps) for part in parts])
        joined._files = np.concatenate([part._files + first for part, first in zip(parts, before, strict=False)])
        joined._starts = np.concatenate([part._starts for part in parts])
        joined._shapes = np.concatenate([part._shapes for part in parts])
        return joined

    def pick(self, rows: Int64[np.ndarray, " picked"]) -> "PixelCache":
        """Returns the images of these rows, in this order."""
        picked = copy.copy(self)
        picked._files, picked._starts, picked._shapes = self._files[rows], self._starts[rows], self._shapes[rows]
        return picked

    @property
    def square(self) -> UInt8[np.ndarray, "n size size 3"]:
        """All images, of one square size as under "squash", as one array: a view if they lie in a row, else a copy."""
        size = self._shapes[0, 0]
        if not (self._shapes == size).all():
            raise ValueError("these images are not all of one square size; take them one by one.")
        each = 3 * size * size
        breaks = 1 + np.flatnonzero((np.diff(self._starts) != each) | (np.diff(self._files) != 0))
        runs = []  # images that lie one behind the other in a file
        for rows in np.split(np.arange(len(self)), breaks):
            first = self._starts[rows[0]]
            run = self._maps[self._files[rows[0]]][first : first + each * len(rows)]
            runs.append(run.reshape(-1, size, size, 3))
        return runs[0] if len(runs) == 1 else np.concatenate(runs)


def ensure_cache(home: Path, geometry: Geometry, rows: pd.DataFrame, root: Path) -> None:
    """Writes the cache of the manifest `rows`, whose images lie below `root`, unless it is there."""
    if find_fault(home, geometry, rows) is None:
        return
    with one_writer(home):
        fault = find_fault(home, geometry, rows)
        if fault is None:
            return
        if _paths(home, geometry)[0].exists():
            _log.warning("%s: %s; building it again", _paths(home, geometry)[0], fault)
        _write(home, geometry, rows, root)


def load_cache(home: Path, geometry: Geometry, rows: pd.DataFrame, root: Path, split: str) -> PixelCache:
    """Returns one split's images, their checksum verified; a cache that is missing or wrong is built anew."""
    ensure_cache(home, geometry, rows, root)
    cache = _read(home, geometry, rows, split)
    if cache is None:
        _log.warning("%s: its checksum does not fit; building it again", _paths(home, geometry)[0])
        with one_writer(home):
            _write(home, geometry, rows, root)
        cache = _read(home, geometry, rows, split)
    if cache is None:
        raise DataError(f"'{_paths(home, geometry)[0]}' does not read back as it was written; check the disk.")
    return cache


def _paths(home: Path, geometry: Geometry) -> tuple[Path, Path]:
    return home / f"cache-{geometry}.bin", home / f"cache-{geometry}.json"


def find_fault(home: Path, geometry: Geometry, rows: pd.DataFrame) -> str | None:
    """Returns why the cache cannot be used, by its size and description alone; None if it can."""
    data, description = _paths(home, geometry)
    if not (data.exists() and description.exists()):
        return "it is not complete"
    try:
        meta = json.loads(description.read_bytes())
        made_for = meta["version"], meta["manifest"]
        size = sum(3 * height * width for height, width in meta["shapes"])
        whole = len(meta["shapes"]) == len(rows) and meta["sha256"].keys() == set(rows["split"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its description is damaged"
    if made_for != (VERSION, digest(rows)):
        return "it is of another version or of other images"
    if not whole:
        return "its description is damaged"
    if data.stat().st_size != size:
        return f"it has {data.stat().st_size:,} bytes and should have {size:,}"
    return None


def find_damage(home: Path, geometry: Geometry, rows: pd.DataFrame) -> str | None:
    """Returns what is wrong with the content of a cache that has no fault else; reads all of it."""
    if all(_read(home, geometry, rows, split) is not None for split in rows["split"].unique()):
        return None
    return f"{_paths(home, geometry)[0]} has not its checksum any more; delete it"


def _read(home: Path, geometry: Geometry, rows: pd.DataFrame, split: str) -> PixelCache | None:
    data, description = _paths(home, geometry)
    meta: dict[str, Any] = json.loads(description.read_bytes())
    mask = (rows["split"] == split).to_numpy()
    sizes = 3 * np.array(meta["shapes"], np.int64).prod(axis=1)
    begin, length = int(sizes[: mask.argmax()].sum()), int(sizes[mask].sum())
    pixels = np.memmap(data, np.uint8, "r", offset=begin, shape=(length,))
    if hashlib.sha256(pixels.data).hexdigest() != meta["sha256"].get(split):
        return None
    return PixelCache(pixels, np.array(meta["shapes"], np.int64)[mask])


def _write(home: Path, geometry: Geometry, rows: pd.DataFrame, root: Path) -> None:
    data, description = _paths(home, geometry)
    shapes: list[tuple[int, int]] = []
    sums = {split: hashlib.sha256() for split in rows["split"].unique()}
    with whole_file(data) as handle:
        for split, image in zip(rows["split"], _resized(rows, root, geometry, home.name), strict=True):
            content = image.tobytes()
            handle.write(content)
            sums[split].update(content)
            shapes.append((image.height, image.width))
    meta = {
        "version": VERSION,
        "manifest": digest(rows),
        "sha256": {split: value.hexdigest() for split, value in sums.items()},
        "shapes": shapes,
    }
    with whole_file(description) as handle:
        handle.write(json.dumps(meta).encode())


def _resized(rows: pd.DataFrame, root: Path, geometry: Geometry, name: str) -> Iterator[Image.Image]:
    def resize(item: tuple[str, str]) -> Image.Image:
        path, sha256 = item
        image = decode_known(root / path, sha256)
        try:
            return geometry.apply(image)
        except DataError as error:
            raise DataError(f"'{root / path}' {error}.") from error

    return map_images(resize, list(zip(rows["path"], rows["sha256"], strict=True)), f"{name}: resizing to {geometry}")
