"""The known labs beside the slides: how far each lies from home, and whether the slides are one of them."""

import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int64

from wbc.assess.appearance import PARTS, Distance, Looks, appearance, distance
from wbc.assess.pixels import Decoded
from wbc.assess.predict import Answers
from wbc.assess.runs import Known
from wbc.data.catalog import DOMAINS, FOLDER, find_domain
from wbc.data.decode import decode, map_images
from wbc.data.images import Listing, list_images
from wbc.data.prepare import image_root
from wbc.data.splits import Split, parse_sources
from wbc.errors import DataError
from wbc.report.files import read_embeddings
from wbc.surroundings import data_dir

LOOKED_AT: Final = 150
"""Images of a known lab whose appearance is measured, evenly from its list."""
LEAST: Final = 5
"""Cells of a class from which its embeddings count."""
LEAST_FILLED: Final = 0.8
"""Cells that fill less of their image than so much of what they fill at home are better cropped."""
SAME_LAB: Final = 0.05
"""The share of a lab's images from which on the slides count as that lab."""
Classes = Int64[np.ndarray, " images"]
Embeddings = Float[np.ndarray, "images dim"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A lab on the map."""

    name: str
    images: int
    distance: Distance | None
    """From home, by appearance; None where its images are not prepared on this machine."""
    embedded: float | None
    """How far its embeddings lie from home's, class by class (`embedded_distance`)."""
    fills: float | None
    """The share of an image's side that the stained part fills, the median."""
    accuracy: float | None
    """Of the run that the map is of; None for slides without labels."""
    balanced: float | None


def shared(splits: Iterable[Split], cells: Decoded) -> dict[str, set[int]]:
    """Returns by split which cells are of it, by row; nothing for a split that is not on this machine.

    A cell is of a split if its file or its cut is an image of it, byte for byte, or if its file is called like a slide
    or field of it.
    """
    found = {}
    for split in splits:
        if (listing := _listing(split)) is None:
            continue
        domain, contents = find_domain(split.key), {each.partition("@")[0] for each in listing.contents}
        groups = set(listing.groups) if domain.group else set()
        pairs = zip(cells.slides.cells, cells.sha256, cells.files, strict=True)
        both = {
            row
            for row, (cell, cut, file) in enumerate(pairs)
            if not contents.isdisjoint((cut, file)) or domain.group_of(cell.path.name) in groups
        }
        if both:
            found[split.name] = both
    return found


def training_splits(known: Known) -> list[Split]:
    """Returns what the runs were trained on."""
    sources = dict.fromkeys(source for arm in known.arms for source in arm.sources)
    return [split for source in sources for split in parse_sources(source)]


def split_of(known: Known, name: str) -> Split | None:
    """Returns the split of a score: of the catalogue, or a user's folder where it lay; None for one that is neither."""
    origins = {each.origin for run in known.runs for each in run.stored.datasets if each.name == name}
    splits = [Split(domain.key, each) for domain in DOMAINS.values() for each in (*domain.splits, *domain.parts)]
    with suppress(ValueError, LookupError, TypeError):
        splits += [Split(f"{FOLDER}{json.loads(origin)['uri']}", "all") for origin in origins]
    return next((split for split in splits if split.name == name), None)


def is_same_lab(split: Split, common: int) -> bool:
    """Returns whether so many cells that are of a split make the slides those of its lab."""
    listing = _listing(split)
    return listing is not None and common >= SAME_LAB * len(listing.ids)


def place(known: Known, answers: Answers, looks: Looks) -> list[Lab]:
    """Returns home, the known labs and last the slides, as one run sees them."""
    run = answers.run
    home = known.home_of(run)
    home_looks = _looks(known, home.name) if home else None
    home_embedded = read_embeddings(run, home.name) if home else None
    said = run.scores[home.name].argmax(1) if home else None
    labs = []
    for lab in ([home] if home else []) + known.away_of(run):
        seen = home_looks if lab is home else _looks(known, lab.name)
        embedded = home_embedded if lab is home else read_embeddings(run, lab.name)
        apart = embedded_distance(home_embedded, said, embedded, run.scores[lab.name].argmax(1))
        merits = run.metrics[lab.name]
        labs.append(_lab(lab.name, len(lab.labels), home_looks, seen, apart, merits.accuracy, merits.balanced_accuracy))
    apart = embedded_distance(home_embedded, said, answers.embeddings, answers.scores.argmax(1))
    return [*labs, _lab("your slides", len(looks), home_looks, looks, apart, None, None)]


def how_to_crop(labs: list[Lab], crop: float) -> str | None:
    """Returns which crop to try where the slides' cells fill little of their image; None where they fill enough."""
    home, slides = labs[0], labs[-1]
    if not (home.distance and home.fills and slides.fills) or slides.fills >= LEAST_FILLED * home.fills:
        return None
    return (
        f"Your cells fill little of their images: what is stained takes {100 * slides.fills:.0f} % of the side, and "
        f"{100 * home.fills:.0f} % where the models learned. Try the middle of each image, and compare the answers: "
        f'ARGS="--crop {crop * slides.fills / home.fills:.2g}".'
    )


def embedded_distance(
    home: Embeddings | None, home_said: Classes | None, other: Embeddings | None, said: Classes
) -> float | None:
    """Returns how far a lab's embeddings lie from the centres of home's classes; 1: as far as home's own.

    Of each class that the model says it is the median distance to the centre at home, over that of home's own cells.
    The mean weighs classes by the lab's cells. None where one is not known.
    """
    if home is None or home_said is None or other is None:
        return None
    ratios, weights = [], []
    for label in np.unique(said):
        own, new = home[home_said == label], other[said == label]
        if len(own) >= LEAST and len(new):
            centre = own.mean(0)
            usual = float(np.median(np.linalg.norm(own - centre, axis=1)))
            ratios.append(float(np.median(np.linalg.norm(new - centre, axis=1))) / max(usual, 1e-9))
            weights.append(len(new))
    return float(np.average(ratios, weights=weights)) if ratios else None


def _lab(
    name: str,
    images: int,
    home: Looks | None,
    seen: Looks | None,
    apart: float | None,
    accuracy: float | None,
    balanced: float | None,
) -> Lab:
    known = distance(home, seen) if home is not None and seen is not None and min(len(home), len(seen)) > 1 else None
    fills = float(np.median(seen[:, PARTS["size"]])) if seen is not None else None
    return Lab(
        name=name, images=images, distance=known, embedded=apart, fills=fills, accuracy=accuracy, balanced=balanced
    )


def _listing(split: Split) -> Listing | None:
    """Returns what a split holds; None where it is not prepared on this machine."""
    with suppress(DataError, OSError):
        return list_images(split, data_dir=data_dir())
    return None


def _looks(known: Known, name: str) -> Looks | None:
    """Returns the appearance of a known lab; None where its images are not here."""
    split = split_of(known, name)
    listing = _listing(split) if split else None
    if split is None or listing is None or not len(listing.ids):
        return None
    domain = find_domain(split.key)
    root = image_root(domain, data_dir() / domain.slug)
    rows = np.unique(np.linspace(0, len(listing.ids) - 1, min(LOOKED_AT, len(listing.ids))).astype(int))
    paths = [root / listing.ids[row] for row in rows]
    try:
        found = map_images(lambda path: appearance(decode(path)[0], domain.crop), paths, f"{name}: looking")
        return np.array(list(found))
    except (DataError, OSError) as error:
        _log.warning("%s: its appearance is not measured: %s", name, error)
        return None
