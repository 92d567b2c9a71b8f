"""The known labs beside the slides: how far each lies from home, and whether the slides are one of them."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int64

from wbc.assess.appearance import Distance, Looks, appearance, distance
from wbc.assess.predict import Answers
from wbc.assess.runs import Known
from wbc.data.catalog import DOMAINS
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
    accuracy: float | None
    """Of the run that the map is of; None for slides without labels."""
    balanced: float | None


def shared(names: Sequence[str], sha256: Sequence[str]) -> dict[str, int]:
    """Returns by split how many of its images are among the cells, byte for byte; none for what is not here."""
    wanted, found = set(sha256), {}
    for name in names:
        _, listing = _listing(name)
        contents = {each.partition("@")[0] for each in listing.contents} if listing else set()
        if both := len(contents & wanted):
            found[name] = both
    return found


def training_splits(known: Known) -> list[str]:
    """Returns the names of what the runs were trained on, in this project's data folder."""
    sources = dict.fromkeys(source for arm in known.arms for source in arm.sources)
    return [split.name for source in sources for split in parse_sources(source)]


def is_same_lab(name: str, common: int) -> bool:
    """Returns whether so many common images make the slides a known lab's."""
    _, listing = _listing(name)
    return listing is not None and common >= SAME_LAB * len(listing.ids)


def place(known: Known, answers: Answers, looks: Looks) -> list[Lab]:
    """Returns home, the known labs and last the slides, as one run sees them."""
    run = answers.run
    home = known.home_of(run)
    home_looks = _looks(home.name) if home else None
    home_embedded = read_embeddings(run, home.name) if home else None
    said = run.scores[home.name].argmax(1) if home else None
    labs = []
    for lab in ([home] if home else []) + known.away_of(run):
        seen = home_looks if lab is home else _looks(lab.name)
        embedded = home_embedded if lab is home else read_embeddings(run, lab.name)
        apart = embedded_distance(home_embedded, said, embedded, run.scores[lab.name].argmax(1))
        merits = run.metrics[lab.name]
        labs.append(_lab(lab.name, len(lab.labels), home_looks, seen, apart, merits.accuracy, merits.balanced_accuracy))
    apart = embedded_distance(home_embedded, said, answers.embeddings, answers.scores.argmax(1))
    return [*labs, _lab("your slides", len(looks), home_looks, looks, apart, None, None)]


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
    return Lab(name=name, images=images, distance=known, embedded=apart, accuracy=accuracy, balanced=balanced)


def _listing(name: str) -> tuple[Path, Listing | None]:
    """Returns a split of the catalogue as it is prepared here, and the folder of its images."""
    for domain in DOMAINS.values():
        for split in (Split(domain.key, each) for each in domain.splits):
            if split.name == name:
                with suppress(DataError, OSError):
                    return image_root(domain, data_dir() / domain.slug), list_images(split, data_dir=data_dir())
    return Path(), None


def _looks(name: str) -> Looks | None:
    """Returns the appearance of a known lab; None where its images are not here."""
    root, listing = _listing(name)
    if listing is None or not len(listing.ids):
        return None
    rows = np.unique(np.linspace(0, len(listing.ids) - 1, min(LOOKED_AT, len(listing.ids))).astype(int))
    crop = next(domain.crop for domain in DOMAINS.values() if name.startswith(domain.slug))
    try:
        paths = [root / listing.ids[row] for row in rows]
        return np.array(list(map_images(lambda path: appearance(decode(path)[0], crop), paths, f"{name}: looking")))
    except (DataError, OSError) as error:
        _log.warning("%s: its appearance is not measured: %s", name, error)
        return None
