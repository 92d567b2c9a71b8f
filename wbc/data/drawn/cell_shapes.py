"""Draws what lies on a smear, as densities of two stains: white cells, red cells and platelets.

Lengths are in micrometres and follow the haematology textbooks: a red cell is 7 to 8 across.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float64

from wbc.data.drawn.cell_kinds import CellKind, Granules, Points

FIELD_UM: Final = 21.0
"""Width of the drawn field; a cell crop of the public data sets shows about as much."""

Field = Float64[np.ndarray, "rows columns"]


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A square field of `pixels` by `pixels`, with the origin in its middle."""

    pixels: int

    @cached_property
    def axis(self) -> Float64[np.ndarray, " pixels"]:
        """Position of each row, or column, in micrometres."""
        return (np.arange(self.pixels) + 0.5) * (FIELD_UM / self.pixels) - FIELD_UM / 2

    def fill(self, depth: Field, softness_um: float = 0.0) -> Field:
        """Returns 1 inside an outline and 0 outside, antialiased; `depth` is the signed distance below the outline."""
        cover: Field = np.clip(depth / (softness_um + FIELD_UM / self.pixels) + 0.5, 0.0, 1.0)
        return cover

    def noise(self, grain_um: float, rng: np.random.Generator) -> Field:
        """Returns smooth noise of mean 0 and deviation about 1, whose bumps are about `grain_um` wide."""
        basis = _spline_basis(self.pixels, max(4, round(FIELD_UM / grain_um)))
        bumps: Field = basis @ rng.normal(size=(basis.shape[1], basis.shape[1])) @ basis.T
        return bumps

    def spots(self, centres: Points, radii: Float64[np.ndarray, " points"]) -> Field:
        """Returns the sum of one bell per centre; it passes 0.5 at about its radius."""
        width = radii[:, None] ** 2 / math.log(2)
        columns = np.exp(-((self.axis - centres[:, :1]) ** 2) / width)
        rows = np.exp(-((self.axis - centres[:, 1:]) ** 2) / width)
        sum_of_bells: Field = rows.T @ columns
        return sum_of_bells


@dataclass(frozen=True)
class Densities:
    """Density of the two stains at each pixel; they add where objects overlap."""

    azure: Field
    eosin: Field

    def __add__(self, other: "Densities") -> "Densities":
        return Densities(self.azure + other.azure, self.eosin + other.eosin)


@dataclass(frozen=True)
class WhiteCell:
    """A drawn white cell, with the masks (0 to 1) that a test, or a segmentation, needs."""

    densities: Densities
    body: Field
    nucleus: Field
    centre: tuple[float, float]
    radius_um: float


def draw_white_cell(kind: CellKind, canvas: Canvas, rng: np.random.Generator) -> WhiteCell:
    """Returns one cell of a kind: near the middle, in a random pose."""
    radius = rng.uniform(*kind.radius_um)
    centre = np.clip(rng.normal(0.0, 0.8, 2), -1.8, 1.8)
    x = canvas.axis[None, :] - centre[0] + 0.30 * canvas.noise(3.0, rng)
    y = canvas.axis[:, None] - centre[1] + 0.30 * canvas.noise(3.0, rng)
    depth = _outline(x, y, radius, kind.unevenness, rng)
    body = canvas.fill(depth, 0.25)
    inside = _nucleus_depth(x, y, radius, kind, rng)
    nucleus = canvas.fill(np.minimum(inside, depth - 0.15), kind.nucleus_softness_um) * body

    clumps = 1 + kind.chromatin * np.tanh(canvas.noise(kind.chromatin_grain_um, rng) + 0.5 * canvas.noise(2.2, rng))
    membrane = 0.12 * np.exp(-((inside - 0.2) ** 2) / 0.10)
    chromatin = nucleus * (clumps + membrane)
    plasma = (body - nucleus) * (1 + 0.14 * canvas.noise(1.6, rng) + 0.18 * np.exp(-(depth**2) / 0.6))
    plasma = plasma * (1 - _vacuoles(kind.vacuoles, centre, radius, canvas, rng))
    grains = _granules(kind.granules, centre, radius, canvas, rng) * body
    grains = grains * (1 - nucleus * (1 - kind.granules.over_nucleus))
    azure = kind.nucleus[0] * chromatin + kind.cytoplasm[0] * plasma + kind.granules.azure * grains
    eosin = kind.nucleus[1] * chromatin + kind.cytoplasm[1] * plasma + kind.granules.eosin * grains
    return WhiteCell(Densities(azure, eosin), body, nucleus, (float(centre[0]), float(centre[1])), radius)


def draw_red_cells(around: WhiteCell, canvas: Canvas, rng: np.random.Generator) -> Densities:
    """Returns the red cells about a white one: biconcave, some cut by the border, some lying on each other."""
    crowding = rng.uniform(0.45, 0.95)
    pallor = rng.uniform(0.35, 0.75)
    total = np.zeros((canvas.pixels, canvas.pixels))
    for centre in _scattered(spacing_um=7.4, jitter_um=1.5, rng=rng):
        radius = rng.uniform(3.3, 4.0)
        gap = math.dist(centre, around.centre) - around.radius_um - 0.92 * radius
        if gap < 0 or rng.random() > crowding:
            continue
        turn, squeeze = rng.uniform(0, math.pi), rng.uniform(0.84, 1.0)
        x, y = _turned(canvas.axis[None, :] - centre[0], canvas.axis[:, None] - centre[1], turn)
        reach = np.sqrt((x / squeeze) ** 2 + (y * squeeze) ** 2)
        dent = np.exp(-((np.hypot(x + rng.normal(0, 0.3), y + rng.normal(0, 0.3)) / (0.5 * radius)) ** 2))
        total += canvas.fill(radius - reach, 0.35) * (1 - pallor * dent) * rng.uniform(0.9, 1.1)
    total *= 1 - 0.85 * around.body
    return Densities(0.14 * total, 0.38 * total)


def draw_platelets(around: WhiteCell, canvas: Canvas, rng: np.random.Generator) -> Densities:
    """Returns none, one or two platelets: small azure grains in a pale haze, clear of the white cell."""
    total = np.zeros((canvas.pixels, canvas.pixels))
    for _ in range(rng.choice(3, p=(0.6, 0.3, 0.1))):
        centre = rng.uniform(-FIELD_UM / 2, FIELD_UM / 2, 2)
        grains = canvas.spots(centre + rng.normal(0, 0.4, (6, 2)), rng.uniform(0.2, 0.4, 6))
        total += np.minimum(grains, 1.2) + 0.5 * canvas.spots(centre[None], np.array([0.9]))
    total *= 1 - around.body
    return Densities(0.35 * total, 0.25 * total)


def _outline(x: Field, y: Field, radius: float, unevenness: float, rng: np.random.Generator) -> Field:
    """Returns the depth below the outline of a cell: a circle with a few random waves round it."""
    angle = np.arctan2(y, x)
    edge = np.ones_like(angle)
    for waves in (2, 3, 5):
        edge += rng.normal(0, unevenness / waves**0.5) * np.cos(waves * angle + rng.uniform(0, 2 * math.pi))
    depth: Field = radius * edge - np.hypot(x, y)
    return depth


def _nucleus_depth(x: Field, y: Field, radius: float, kind: CellKind, rng: np.random.Generator) -> Field:
    """Returns the depth below the nucleus's outline: the smooth union of its discs, turned and perhaps mirrored."""
    x, y = _turned(x, y, rng.uniform(0, 2 * math.pi))
    discs = kind.nucleus_discs(rng) * radius
    melt = kind.nucleus_melt * radius
    depths = discs[:, 2, None, None] - np.hypot(x - discs[:, 0, None, None], y - discs[:, 1, None, None])
    peak = depths.max(axis=0)
    union: Field = peak + melt * np.log(np.exp((depths - peak) / melt).sum(axis=0))
    return union


def _granules(
    granules: Granules, centre: Float64[np.ndarray, "2"], radius: float, canvas: Canvas, rng: np.random.Generator
) -> Field:
    count = int(rng.integers(*granules.count, endpoint=True))
    places = centre + radius * _in_disc(count, rng)
    heights = canvas.spots(places, rng.uniform(*granules.radius_um, count))
    return np.clip(1.6 * heights - 0.25, 0.0, 1.25)


def _vacuoles(
    most: int, centre: Float64[np.ndarray, "2"], radius: float, canvas: Canvas, rng: np.random.Generator
) -> Field:
    count = int(rng.integers(0, most, endpoint=True))
    places = centre + 0.9 * radius * _in_disc(count, rng)
    return np.clip(1.5 * canvas.spots(places, rng.uniform(0.35, 0.8, count)), 0.0, 0.9)


def _in_disc(count: int, rng: np.random.Generator) -> Points:
    """Returns points spread evenly over the unit disc."""
    reach, angle = np.sqrt(rng.random(count)), rng.uniform(0, 2 * math.pi, count)
    return np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)


def _scattered(*, spacing_um: float, jitter_um: float, rng: np.random.Generator) -> Points:
    """Returns the points of a shaken hexagonal lattice that covers the field and a margin."""
    steps = np.arange(-3, 4)
    column, row = np.meshgrid(steps, steps)
    lattice = np.stack([column + 0.5 * (row % 2), row * 0.87], axis=-1).reshape(-1, 2) * spacing_um
    lattice = np.stack(_turned(lattice[:, 0], lattice[:, 1], rng.uniform(0, 2 * math.pi)), axis=1)
    lattice = lattice + rng.uniform(-spacing_um / 2, spacing_um / 2, 2) + rng.normal(0, jitter_um, lattice.shape)
    visible: Points = lattice[np.abs(lattice).max(axis=1) < FIELD_UM / 2 + 3.0]
    return visible


def _turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    cos, sin = math.cos(angle), math.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


@lru_cache(maxsize=64)
def _spline_basis(pixels: int, knots: int) -> Float64[np.ndarray, "pixels knots"]:
    """Returns the cubic B-spline at each pixel of each knot, scaled so that white knots give noise of deviation 1."""
    distance = np.abs(np.linspace(0.5, knots - 1.5, pixels)[:, None] - np.arange(knots))
    near, far = 2 / 3 - distance**2 + distance**3 / 2, np.clip(2 - distance, 0, None) ** 3 / 6
    basis = np.where(distance < 1, near, far)
    scaled: Float64[np.ndarray, "pixels knots"] = basis / np.sqrt((basis**2).sum(axis=1, keepdims=True))
    return scaled
