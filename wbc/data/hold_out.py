"""A validation part of the images that a run trains on, the same for every seed and on every machine."""

import logging
from typing import Final

import numpy as np

from wbc.cells import CLASSES
from wbc.data.divide import choose, with_copies
from wbc.data.images import Part, pick
from wbc.errors import ConfigError, DataError

_VALIDATION: Final = "_validation"
_log = logging.getLogger(__name__)


def is_held_out(name: str) -> bool:
    """Returns whether images of this name are a validation part."""
    return name.endswith(_VALIDATION)


def hold_out(images: Part, share: float) -> tuple[Part, Part]:
    """Returns the images to train on and the held-out ones, called "<name>_validation", both in the order they had.

    `choose` says which: no group, and no copy of a file, is on both sides.

    Raises:
        ConfigError: The share, of each class, is not above 0 and at most 0.5.
        DataError: The images are too few, or in too few groups, to hold any out.
    """
    if not 0 < share <= 0.5:
        raise ConfigError(f"validation={share}: must be above 0 and at most 0.5.")
    held = choose(with_copies(images.groups, images.contents), images.labels, share)
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
