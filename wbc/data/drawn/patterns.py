"""Drawn patterns: ten classes of coloured shapes and textures on which the demo pretrains its thin backbones.

They stand in for ImageNet: edges, corners and grain in any colour, and nothing that resembles a blood cell's classes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from wbc.seeding import generator

_CHUNK: Final = 250

Maps = Float32[np.ndarray, "count size size"]
PerImage = Float32[np.ndarray, "count 1 1"]


@dataclass(frozen=True)
class Plane:
    """Coordinates of each image's pixels after a random turn, zoom and shift: about -1 to 1 across the image."""

    u: Maps
    v: Maps
    edge: PerImage
    """Width of a pixel in these coordinates."""

    def fill(self, depth: Maps) -> Maps:
        """Returns 1 where `depth` is positive and 0 outside, with an antialiased edge."""
        cover: Maps = np.clip(depth / self.edge + np.float32(0.5), 0, 1)
        return cover


def draw_patterns(
    count: int, size_px: int, seed: int
) -> tuple[UInt8[np.ndarray, "count size size 3"], Int64[np.ndarray, " count"]]:
    """Returns RGB images and their labels, indices into `PATTERN_CLASSES`, shuffled and about equally many of each."""
    labels = generator("patterns", seed, "labels").permutation(np.arange(count, dtype=np.int64) % len(PATTERN_CLASSES))
    images = np.empty((count, size_px, size_px, 3), dtype=np.uint8)
    for label, field in enumerate(_FIELDS.values()):
        places = np.flatnonzero(labels == label)
        for start in range(0, len(places), _CHUNK):
            chunk = places[start : start + _CHUNK]
            rng = generator("patterns", seed, PATTERN_CLASSES[label], start)
            images[chunk] = _coloured(field(_plane(len(chunk), size_px, rng), rng), rng)
    return images, labels


def _plane(count: int, size_px: int, rng: np.random.Generator) -> Plane:
    zoom = _spread(0.9, 1.7, count, rng)
    turn = _spread(0.0, 2 * math.pi, count, rng)
    axis = np.linspace(-1, 1, size_px, dtype=np.float32)
    x = zoom * (axis[None, None, :] - _spread(-0.3, 0.3, count, rng))
    y = zoom * (axis[None, :, None] - _spread(-0.3, 0.3, count, rng))
    cos, sin = np.cos(turn), np.sin(turn)
    return Plane(cos * x + sin * y, cos * y - sin * x, 2 * zoom / np.float32(size_px))


def _coloured(field: Maps, rng: np.random.Generator) -> UInt8[np.ndarray, "count size size 3"]:
    """Returns images that run from one random colour to another as `field` runs from 0 to 1, lit unevenly and noisy."""
    count, size_px, _ = field.shape
    ground, figure = _two_colours(count, rng)
    axis = np.linspace(-1, 1, size_px, dtype=np.float32)
    across, down = (_spread(-0.15, 0.15, count, rng) for _ in range(2))
    light = 1 + across * axis[None, None, :] + down * axis[None, :, None]
    image: Float32[np.ndarray, "count size size 3"]
    image = light[..., None] * (ground + field[..., None] * (figure - ground))
    grain = rng.standard_normal((count, size_px, size_px, 1), dtype=np.float32)
    image = image + _spread(0.0, 14.0, count, rng)[..., None] * grain
    pixels: UInt8[np.ndarray, "count size size 3"] = np.clip(image, 0, 255).astype(np.uint8)
    return pixels


def _two_colours(
    count: int, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "count 1 1 3"], Float32[np.ndarray, "count 1 1 3"]]:
    """Returns pairs of colours that differ by at least 60 grey levels in some channel."""
    ground = rng.uniform(0, 255, (count, 3))
    figure = rng.uniform(0, 255, (count, 3))
    channel = rng.integers(0, 3, count)
    row = np.arange(count)
    step = rng.uniform(60, 127, count)
    figure[row, channel] = ground[row, channel] + np.where(ground[row, channel] < 127.5, step, -step)
    return ground.astype(np.float32)[:, None, None, :], figure.astype(np.float32)[:, None, None, :]


def _spread(low: float, high: float, count: int, rng: np.random.Generator) -> PerImage:
    """Returns a uniform draw for each image."""
    return rng.uniform(low, high, count).astype(np.float32)[:, None, None]


def _stripes(plane: Plane, rng: np.random.Generator) -> Maps:
    pitch = _spread(0.25, 0.7, len(plane.u), rng)
    return plane.fill(pitch / 4 - np.abs(plane.u % pitch - pitch / 2))


def _waves(plane: Plane, rng: np.random.Generator) -> Maps:
    count = len(plane.u)
    pitch, bend = _spread(0.35, 0.7, count, rng), _spread(0.15, 0.3, count, rng)
    u = plane.u + bend * np.sin(_spread(4.0, 7.0, count, rng) * plane.v)
    return plane.fill(pitch / 4 - np.abs(u % pitch - pitch / 2))


def _checks(plane: Plane, rng: np.random.Generator) -> Maps:
    pitch = _spread(0.4, 0.9, len(plane.u), rng)
    u, v = (pitch / 4 - np.abs(axis % pitch - pitch / 2) for axis in (plane.u, plane.v))
    across, along = plane.fill(u), plane.fill(v)
    either: Maps = across + along - 2 * across * along
    return either


def _dots(plane: Plane, rng: np.random.Generator) -> Maps:
    pitch = _spread(0.35, 0.7, len(plane.u), rng)
    u, v = (axis % pitch - pitch / 2 for axis in (plane.u, plane.v))
    return plane.fill(_spread(0.2, 0.35, len(plane.u), rng) * pitch - np.hypot(u, v))


def _rings(plane: Plane, rng: np.random.Generator) -> Maps:
    pitch = _spread(0.3, 0.6, len(plane.u), rng)
    return plane.fill(pitch / 4 - np.abs(np.hypot(plane.u, plane.v) % pitch - pitch / 2))


def _crosses(plane: Plane, rng: np.random.Generator) -> Maps:
    count = len(plane.u)
    arm, half = _spread(0.5, 0.9, count, rng), _spread(0.1, 0.22, count, rng)
    near, far = np.minimum(abs(plane.u), abs(plane.v)), np.maximum(abs(plane.u), abs(plane.v))
    return plane.fill(np.minimum(half - near, arm - far))


def _triangles(plane: Plane, rng: np.random.Generator) -> Maps:
    return plane.fill(_polygon_depth(plane, 3, _spread(0.3, 0.5, len(plane.u), rng)))


def _squares(plane: Plane, rng: np.random.Generator) -> Maps:
    return plane.fill(_polygon_depth(plane, 4, _spread(0.4, 0.7, len(plane.u), rng)))


def _stars(plane: Plane, rng: np.random.Generator) -> Maps:
    count = len(plane.u)
    points = np.floor(_spread(5.0, 8.0, count, rng))
    edge = 0.6 + _spread(0.18, 0.28, count, rng) * np.cos(points * np.arctan2(plane.v, plane.u))
    return plane.fill(edge - np.hypot(plane.u, plane.v))


def _grain(plane: Plane, rng: np.random.Generator) -> Maps:
    """Returns squares of random grey, one to four pixels wide; they alone stay upright."""
    count, size_px, _ = plane.u.shape
    coarse = rng.random((count, size_px, size_px), dtype=np.float32)
    index = np.arange(size_px) // rng.integers(1, 5, (count, 1))
    squares: Maps = coarse[np.arange(count)[:, None, None], index[:, :, None], index[:, None, :]]
    return squares


def _polygon_depth(plane: Plane, sides: int, inner_radius: PerImage) -> Maps:
    """Returns the depth below the nearest side of a regular polygon."""
    turns = (2 * math.pi * side / sides for side in range(sides))
    depth: Maps = inner_radius - np.maximum.reduce([math.cos(t) * plane.u + math.sin(t) * plane.v for t in turns])
    return depth


_FIELDS: Final[dict[str, Callable[[Plane, np.random.Generator], Maps]]] = {
    "stripes": _stripes,
    "waves": _waves,
    "checks": _checks,
    "dots": _dots,
    "rings": _rings,
    "crosses": _crosses,
    "triangles": _triangles,
    "squares": _squares,
    "stars": _stars,
    "grain": _grain,
}

PATTERN_CLASSES: Final = tuple(_FIELDS)
