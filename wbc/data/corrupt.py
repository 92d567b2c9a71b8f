"""Held-out images as another lab might have taken them: a colour cast, blur, brightness and scale of its own for each.

A method is chosen by its score on these where no other lab may be looked at. Each image's changes are drawn from its
name, so that all runs are scored on the same pixels. No method's code has a part in it. But `colour_jitter`,
`colour_mixing` and `random_view` train on changes of the same kinds: the choice favours them.
"""

import hashlib
from dataclasses import replace
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFilter

from wbc.data.cache import PixelCache
from wbc.data.hold_out import is_held_out
from wbc.data.images import Images, Part
from wbc.seeding import generator

SUFFIX: Final = "_corrupted"
SIDE: Final = (0.75, 4 / 3)
"""The side of the field of view, as a multiple of the image's; what lies beyond the image is its mirror image."""
BLUR: Final = (0.0, 0.02)
"""The deviation of the Gaussian, as a share of the image's side."""
BRIGHTNESS: Final = (0.7, 1 / 0.7)
"""What all channels are multiplied by."""
CAST: Final = (0.8, 1.25)
"""What each channel is multiplied by besides."""
_VERSION: Final = 1


def corrupted(images: Part) -> Part:
    """Returns the images corrupted, called "<name>_corrupted"; a listing's pixels are not needed."""
    digest = hashlib.sha256(f"{images.digest} corrupted, version {_VERSION}".encode()).hexdigest()
    changes: dict[str, Any] = {"name": f"{images.name}{SUFFIX}", "digest": digest}
    if isinstance(images, Images):
        made = [corrupt(images.pixels[row], name) for row, name in enumerate(images.ids)]
        shapes = np.array([each.shape[:2] for each in made], np.int64)
        changes["pixels"] = PixelCache(np.concatenate([each.ravel() for each in made]), shapes)
    return replace(images, **changes)


def is_held(name: str) -> bool:
    """Returns whether images of this name were held out of training: as they are, or corrupted."""
    return is_held_out(name.removesuffix(SUFFIX))


def corrupt(image: UInt8[np.ndarray, "height width 3"], name: str) -> UInt8[np.ndarray, "height width 3"]:
    """Returns an image with another scale, then a blur, brightness and cast; factors are uniform in their logarithm."""
    rng = generator("corrupt", name)
    height, width = image.shape[:2]
    side, bright, *cast = (_factor(rng, *span) for span in (SIDE, BRIGHTNESS, CAST, CAST, CAST))
    edge = [max(0, round(size * (SIDE[1] - 1) / 2 + 1)) for size in (height, width)]
    wide = np.pad(image, ((edge[0], edge[0]), (edge[1], edge[1]), (0, 0)), mode="symmetric")
    top, left = (edge[axis] + size * (1 - side) / 2 for axis, size in enumerate((height, width)))
    box = (left, top, left + width * side, top + height * side)
    seen = Image.fromarray(wide).resize((width, height), Image.Resampling.BILINEAR, box)
    blurred = seen.filter(ImageFilter.GaussianBlur(rng.uniform(*BLUR) * min(height, width)))
    tinted = np.asarray(blurred, np.float64) * bright * np.array(cast)
    made: UInt8[np.ndarray, "height width 3"] = tinted.round().clip(0, 255).astype(np.uint8)
    return made


def _factor(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
