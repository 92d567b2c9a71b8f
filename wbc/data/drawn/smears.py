"""Drawn blood smears: the demo's data, in two stainings, so that the whole benchmark runs with no download.

python -m wbc.data.drawn.smears OUT.png        draws a sheet of all classes in all stainings
"""

import functools
import math
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image, ImageDraw
from threadpoolctl import ThreadpoolController

from wbc.cells import CLASSES
from wbc.data.drawn.cell_kinds import KINDS, CellKind
from wbc.data.drawn.cell_shapes import FIELD_UM, Canvas, Densities, draw_platelets, draw_red_cells, draw_white_cell
from wbc.errors import ConfigError, unknown
from wbc.processes import shared_memory_errors
from wbc.seeding import generator
from wbc.terminal import progress

DRAWING_VERSION: Final = 1
"""Raised whenever the images that `draw_cell` returns change: then drawn domains are drawn again."""
SUPERSAMPLING: Final = 1.5
_CHUNK: Final = 32


@dataclass(frozen=True, kw_only=True)
class Staining:
    """One laboratory's stain, microscope and camera: what a domain shift changes and the cells do not."""

    azure: tuple[float, float, float]
    """Absorbance (natural logarithm) of red, green and blue per unit of azure."""
    eosin: tuple[float, float, float]
    """Absorbance of red, green and blue per unit of eosin."""
    strength: tuple[float, float]
    """Mean amount of azure and of eosin that the tissue takes up."""
    strength_spread: float
    """Deviation of each amount's logarithm from image to image."""
    background: tuple[int, int, int]
    """Red, green and blue of the empty slide, 0 to 255."""
    exposure_spread: float
    """Deviation of the exposure's logarithm from image to image."""
    balance_spread: float
    """Deviation of each channel's own exposure, as a logarithm, from image to image: the white balance drifts."""
    blur: float
    """Deviation of the point spread, as a share of the image's width; each image varies it by a third."""
    gradient: float
    """Most that illumination rises or falls from the middle to an edge, as a share."""
    noise: float
    """Deviation of the sensor's noise on the empty slide, in grey levels."""


STAININGS: Final[dict[str, Staining]] = {
    "source": Staining(
        azure=(0.92, 0.78, 0.20),
        eosin=(0.10, 0.64, 0.52),
        strength=(1.0, 1.0),
        strength_spread=0.10,
        background=(244, 230, 212),
        exposure_spread=0.03,
        balance_spread=0.012,
        blur=0.006,
        gradient=0.04,
        noise=2.5,
    ),
    "target": Staining(
        azure=(0.80, 0.84, 0.12),
        eosin=(0.20, 0.56, 0.42),
        strength=(0.82, 0.90),
        strength_spread=0.12,
        background=(224, 223, 208),
        exposure_spread=0.04,
        balance_spread=0.015,
        blur=0.011,
        gradient=0.10,
        noise=4.0,
    ),
}


def transmit(
    densities: Densities, staining: Staining, strength: tuple[float, float] = (1.0, 1.0)
) -> Float64[np.ndarray, "3 rows columns"]:
    """Returns the light that passes, in grey levels: the Beer-Lambert law, for each channel.

    `strength` holds factors for azure and for eosin.
    """
    azure = strength[0] * np.asarray(staining.azure)[:, None, None] * densities.azure
    eosin = strength[1] * np.asarray(staining.eosin)[:, None, None] * densities.eosin
    light: Float64[np.ndarray, "3 rows columns"]
    light = np.asarray(staining.background)[:, None, None] * np.exp(-azure - eosin)
    return light


def draw_cell(
    label: int, staining: Staining, *, size_px: int, rng: np.random.Generator
) -> UInt8[np.ndarray, "size size 3"]:
    """Returns an RGB crop of a white cell of class `label` among red cells.

    Raises:
        ConfigError: `label` is not one of the five classes.
    """
    if not 0 <= label < len(CLASSES):
        raise ConfigError(f"label {label} is no class; allowed: 0 to {len(CLASSES) - 1} ({', '.join(CLASSES)}).")
    with _blas().limit(limits=1):  # the matrices are small: threads would only wait for each other
        return _draw(KINDS[label], staining, size_px, rng)


def write_smears(
    folder: Path, staining: str, counts: Mapping[str, tuple[int, int, int, int, int]], size_px: int, workers: int
) -> None:
    """Writes `<folder>/<split>/<Class>/<nnnn>.png`; an image depends on its staining, split, class and number alone.

    `counts` has for each split how many images of each class. With `workers` above 1 so many processes draw.

    Raises:
        ConfigError: `staining` is unknown.
    """
    if staining not in STAININGS:
        raise unknown("staining", staining, STAININGS)
    names = [
        (split, label, number)
        for split, per_class in counts.items()
        for label, count in enumerate(per_class)
        for number in range(count)
    ]
    for split, label in {(split, label) for split, label, _ in names}:
        (folder / split / CLASSES[label]).mkdir(parents=True, exist_ok=True)
    chunks = [(folder, staining, size_px, names[at : at + _CHUNK]) for at in range(0, len(names), _CHUNK)]
    with progress(f"drawing smears, {staining}", len(names), "images") as advance:
        if workers <= 1:
            for chunk in chunks:
                _write_chunk(chunk)
                advance(len(chunk[-1]))
            return
        with shared_memory_errors():
            drawing = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        with drawing as pool:
            for chunk, _ in zip(chunks, pool.map(_write_chunk, chunks), strict=True):
                advance(len(chunk[-1]))


def _draw(
    kind: CellKind, staining: Staining, size_px: int, rng: np.random.Generator
) -> UInt8[np.ndarray, "size size 3"]:
    canvas = Canvas(pixels=round(SUPERSAMPLING * size_px))
    cell = draw_white_cell(kind, canvas, rng)
    densities = cell.densities + draw_red_cells(cell, canvas, rng) + draw_platelets(cell, canvas, rng)
    azure, eosin = np.asarray(staining.strength) * np.exp(rng.normal(0, staining.strength_spread, 2))
    light = transmit(densities, staining, (azure, eosin)) * _illumination(canvas, staining, rng)
    lens = _lens(canvas, size_px, staining.blur * rng.uniform(0.67, 1.33))
    seen = lens @ light @ lens.T
    grain = rng.normal(0, staining.noise, seen.shape) * np.sqrt(np.clip(seen, 0, 255) / max(staining.background))
    image: UInt8[np.ndarray, "size size 3"]
    image = np.ascontiguousarray(np.clip(np.rint(seen + grain), 0, 255).astype(np.uint8).transpose(1, 2, 0))
    return image


def _write_chunk(chunk: tuple[Path, str, int, list[tuple[str, int, int]]]) -> None:
    folder, staining, size_px, names = chunk
    for split, label, number in names:
        rng = generator("smears", staining, split, CLASSES[label], number)
        image = Image.fromarray(draw_cell(label, STAININGS[staining], size_px=size_px, rng=rng))
        image.save(folder / split / CLASSES[label] / f"{number:04d}.png", compress_level=1)


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def _illumination(
    canvas: Canvas, staining: Staining, rng: np.random.Generator
) -> Float64[np.ndarray, "3 rows columns"]:
    """Returns the brightness of the empty slide, about 1: each channel's exposure, and a slope in some direction."""
    slope, direction = rng.uniform(0, staining.gradient), rng.uniform(0, 2 * math.pi)
    across = canvas.axis / (FIELD_UM / 2)
    tilt = math.cos(direction) * across[None, :] + math.sin(direction) * across[:, None]
    exposure = np.exp(rng.normal(0, staining.exposure_spread) + rng.normal(0, staining.balance_spread, 3))
    return exposure[:, None, None] * (1 + slope * tilt)


def _lens(canvas: Canvas, size_px: int, blur: float) -> Float64[np.ndarray, "size pixels"]:
    """Returns the matrix that blurs and samples a row of the canvas; a border blurs with what is inside it."""
    pixel = (np.arange(size_px) + 0.5) / size_px
    point = (np.arange(canvas.pixels) + 0.5) / canvas.pixels
    width = math.hypot(blur, 0.4 / size_px)
    weight = np.exp(-((pixel[:, None] - point) ** 2) / (2 * width**2))
    lens: Float64[np.ndarray, "size pixels"] = weight / weight.sum(axis=1, keepdims=True)
    return lens


def _write_sheet(path: Path, rows: int = 4, size_px: int = 96) -> None:
    """Writes a labelled sheet: a column for each class, and rows of each staining in turn."""
    margin, gap = 52, 2
    pitch = size_px + gap
    sheet = Image.new("RGB", (margin + pitch * len(CLASSES), 18 + pitch * rows), "white")
    pen = ImageDraw.Draw(sheet)
    for label, name in enumerate(CLASSES):
        pen.text((margin + pitch * label + 4, 3), name, fill="black")
    for row in range(rows):
        staining = list(STAININGS)[row % len(STAININGS)]
        pen.text((4, 18 + pitch * row + size_px // 2 - 6), staining, fill="black")
        for label, name in enumerate(CLASSES):
            rng = generator("smears", staining, "sheet", name, row)
            cell = Image.fromarray(draw_cell(label, STAININGS[staining], size_px=size_px, rng=rng))
            sheet.paste(cell, (margin + pitch * label, 18 + pitch * row))
    sheet.save(path, optimize=True)


if __name__ == "__main__":
    _write_sheet(Path(sys.argv[1]))
