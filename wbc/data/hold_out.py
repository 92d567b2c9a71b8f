"""A validation part of the images that a run trains on, the same for every seed and on every machine."""

import hashlib
import logging
from typing import Final

import numpy as np
from jaxtyping import Float, Int64

from wbc.cells import CLASSES
from wbc.data.images import Listing, Part, pick
from wbc.errors import ConfigError, DataError

_VALIDATION: Final = "_validation"
_log = logging.getLogger(__name__)


def is_held_out(name: str) -> bool:
    """Returns whether images of this name are a validation part."""
    return name.endswith(_VALIDATION)


def hold_out(images: Part, share: float) -> tuple[Part, Part]:
    """Returns the images to train on and the held-out ones, called "<name>_validation", both in the order they had.

    Groups are gone through in the order of the SHA-256 of their names. One is held out if that brings the classes
    nearer to their shares and leaves images of each class to train on. So no group is on both sides, and without
    groups each class gives its share, rounded.

    Raises:
        ConfigError: The share, of each class, is not above 0 and at most 0.5.
        DataError: The images are too few, or in too few groups, to hold any out.
    """
    if not 0 < share <= 0.5:
        raise ConfigError(f"validation={share}: must be above 0 and at most 0.5.")
    held = np.isin(np.array(images.groups), _choose(_count(images), share))
    if not held.any():
        raise DataError(
            f"{images.name}: of {len(images.ids)} images in {len(set(images.groups))} groups none can be held out at "
            f"validation={share}: add images, choose a larger share, or train with validation=0."
        )
    validation = pick(images, np.flatnonzero(held), f"{images.name}{_VALIDATION}")
    lacking = [CLASSES[label] for label in sorted(set(images.labels) - set(validation.labels))]
    if lacking:
        _log.warning("%s: no image of %s; too few images or groups", validation.name, ", ".join(lacking))
    return pick(images, np.flatnonzero(~held), images.name), validation


def _count(images: Listing) -> dict[str, Int64[np.ndarray, "5"]]:
    """Returns how many images of each class a group has."""
    counts = {group: np.zeros(len(CLASSES), np.int64) for group in images.groups}
    for group, label in zip(images.groups, images.labels, strict=True):
        counts[group][label] += 1
    return counts


def _choose(counts: dict[str, Int64[np.ndarray, "5"]], share: float) -> list[str]:
    """Returns the groups to hold out."""
    total = np.sum(list(counts.values()), axis=0)
    wanted = share * total
    chosen, held = [], np.zeros_like(total)
    for group in sorted(counts, key=lambda name: hashlib.sha256(name.encode()).digest()):
        after = held + counts[group]
        if _miss(after, wanted) < _miss(held, wanted) and (after < total)[total > 0].all():
            chosen.append(group)
            held = after
    return chosen


def _miss(held: Int64[np.ndarray, "5"], wanted: Float[np.ndarray, "5"]) -> float:
    """Returns how far the classes are from what is wanted, each relative to its own size."""
    return float((np.abs(held - wanted) / np.maximum(wanted, 1)).sum())
