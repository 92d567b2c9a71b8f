"""The five white cells as a haematologist tells them apart: size, nucleus, chromatin, cytoplasm and granules.

Lengths are in micrometres and follow the textbooks: a lymphocyte is 8 to 11 across, a monocyte 14 to 17.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

Points = Float64[np.ndarray, "points 2"]
Discs = Float64[np.ndarray, "discs 3"]


@dataclass(frozen=True, kw_only=True)
class Granules:
    """Granules of one kind of white cell."""

    count: tuple[int, int]
    radius_um: tuple[float, float]
    azure: float
    eosin: float
    over_nucleus: float
    """Share of a granule's density that shows where it lies above the nucleus, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class CellKind:
    """How one kind of white cell looks: ranges of size, and densities in units of the stain."""

    radius_um: tuple[float, float]
    unevenness: float
    """Deviation of the outline, as a share of the radius."""
    cytoplasm: tuple[float, float]
    """Density of azure and of eosin."""
    nucleus: tuple[float, float]
    """Density of azure and of eosin."""
    nucleus_discs: Callable[[np.random.Generator], Discs]
    """Draws the discs (x, y, radius, in cell radii) that melt into the nucleus."""
    nucleus_melt: float
    """How far neighbouring discs flow together, in cell radii: small leaves strands, large leaves one body."""
    nucleus_softness_um: float
    chromatin: float
    """Contrast of the clumps in the nucleus, 0 to 1."""
    chromatin_grain_um: float
    granules: Granules
    vacuoles: int = 0
    """Most vacuoles a cell may have."""


def _chain(reach: float, span: float, radii: Float64[np.ndarray, " discs"]) -> Discs:
    """Returns discs at even steps along an arc of `span` radians round the cell's middle."""
    angle = np.linspace(-span / 2, span / 2, len(radii))
    return np.stack([reach * np.cos(angle), reach * np.sin(angle), radii], axis=1)


def _lobes(centres: Points, size: tuple[float, float], strand: float, rng: np.random.Generator) -> Discs:
    """Returns discs for one long lobe at each centre, and for the strands that join each lobe with the next."""
    discs = []
    for centre in centres:
        lean, half = rng.uniform(0, math.pi), rng.uniform(0.04, 0.15)
        along = half * np.array([math.cos(lean), math.sin(lean)])
        radius = rng.uniform(*size)
        discs += [(*(centre + along), radius), (*(centre - along), radius * rng.uniform(0.85, 1.05))]
    for start, end in itertools.pairwise(centres):
        discs += [(*(start + step * (end - start)), strand) for step in np.linspace(0.2, 0.8, 6)]
    return np.array(discs)


def _basophil_nucleus(rng: np.random.Generator) -> Discs:
    apart = rng.uniform(0.22, 0.40)
    return _lobes(np.array([[-apart, 0.0], [apart, rng.normal(0, 0.15)]]), (0.36, 0.50), 0.25, rng)


def _eosinophil_nucleus(rng: np.random.Generator) -> Discs:
    aside, apart = rng.uniform(-0.05, 0.30), rng.uniform(0.40, 0.50)
    centres = [[aside, -apart], [aside, apart]]
    if rng.random() < 0.12:
        centres.insert(1, [aside + 0.35, 0.0])
    return _lobes(np.array(centres) + rng.normal(0, 0.04, (len(centres), 2)), (0.27, 0.36), 0.09, rng)


def _lymphocyte_nucleus(rng: np.random.Generator) -> Discs:
    size = rng.uniform(0.80, 0.90)
    places = rng.normal(0, 0.05, (3, 2)) + rng.normal(0, 0.04, 2)
    return np.column_stack([places, np.array([size, 0.92 * size, 0.92 * size])])


def _monocyte_nucleus(rng: np.random.Generator) -> Discs:
    thickness = rng.uniform(0.30, 0.42) * rng.uniform(0.9, 1.12, 7)
    discs = _chain(rng.uniform(0.36, 0.46), rng.uniform(2.1, 4.2), thickness)
    discs[:, 0] -= rng.uniform(0.08, 0.20)
    return discs


def _neutrophil_nucleus(rng: np.random.Generator) -> Discs:
    count = int(rng.choice((3, 4, 5), p=(0.45, 0.40, 0.15)))
    arc = _chain(rng.uniform(0.42, 0.52), rng.uniform(1.25, 1.5) * (count - 1), np.zeros(count))
    centres = arc[:, :2] + rng.normal(0, 0.06, (count, 2)) - np.array([rng.uniform(0.0, 0.15), 0.0])
    return _lobes(centres, (0.21, 0.28), 0.05, rng)


KINDS: Final = (
    CellKind(
        radius_um=(5.2, 6.3),
        unevenness=0.035,
        cytoplasm=(0.25, 0.30),
        nucleus=(0.75, 0.55),
        nucleus_discs=_basophil_nucleus,
        nucleus_melt=0.10,
        nucleus_softness_um=0.9,
        chromatin=0.12,
        chromatin_grain_um=1.2,
        granules=Granules(count=(60, 110), radius_um=(0.34, 0.52), azure=0.85, eosin=0.60, over_nucleus=0.9),
    ),
    CellKind(
        radius_um=(5.8, 6.9),
        unevenness=0.025,
        cytoplasm=(0.08, 0.35),
        nucleus=(1.15, 0.75),
        nucleus_discs=_eosinophil_nucleus,
        nucleus_melt=0.03,
        nucleus_softness_um=0.2,
        chromatin=0.24,
        chromatin_grain_um=1.1,
        granules=Granules(count=(200, 300), radius_um=(0.27, 0.38), azure=0.03, eosin=0.75, over_nucleus=0.15),
    ),
    CellKind(
        radius_um=(4.0, 5.3),
        unevenness=0.030,
        cytoplasm=(0.40, 0.06),
        nucleus=(1.30, 0.85),
        nucleus_discs=_lymphocyte_nucleus,
        nucleus_melt=0.05,
        nucleus_softness_um=0.3,
        chromatin=0.26,
        chromatin_grain_um=1.5,
        granules=Granules(count=(0, 5), radius_um=(0.20, 0.30), azure=0.15, eosin=0.20, over_nucleus=0.1),
    ),
    CellKind(
        radius_um=(7.0, 8.4),
        unevenness=0.055,
        cytoplasm=(0.34, 0.12),
        nucleus=(0.90, 0.55),
        nucleus_discs=_monocyte_nucleus,
        nucleus_melt=0.06,
        nucleus_softness_um=0.4,
        chromatin=0.40,
        chromatin_grain_um=0.9,
        granules=Granules(count=(60, 140), radius_um=(0.16, 0.24), azure=0.16, eosin=0.10, over_nucleus=0.1),
        vacuoles=6,
    ),
    CellKind(
        radius_um=(5.8, 7.0),
        unevenness=0.025,
        cytoplasm=(0.05, 0.15),
        nucleus=(1.20, 0.75),
        nucleus_discs=_neutrophil_nucleus,
        nucleus_melt=0.02,
        nucleus_softness_um=0.2,
        chromatin=0.26,
        chromatin_grain_um=1.2,
        granules=Granules(count=(140, 240), radius_um=(0.16, 0.24), azure=0.08, eosin=0.16, over_nucleus=0.1),
    ),
)
"""The five kinds of white cell, in the order of wbc.cells.CLASSES."""
