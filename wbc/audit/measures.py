"""What the audit measures of an image while it is decoded once: digest of its pixels, signs of its look, quality."""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image
from scipy import ndimage
from scipy.fft import dctn

from wbc.data.extent import otsu

SIDE: Final = 16
"""A look has SIDE × SIDE signs, of which the first, of the mean brightness, says nothing and is always false."""
_LOOK_PX: Final = 64
_QUALITY_PX: Final = 128
_STRIP_LEVELS: Final = 16
"""How far the pixels of a row may differ, in levels of 255, for it to be of one colour: JPEG leaves some."""
_STEP_LEVELS: Final = 8
"""How far nine tenths of the picture beside a strip must differ from it: a plain ground goes on behind it."""
_BESIDE: Final = 4
"""How many rows behind a strip that is measured: JPEG mixes the first with the strip."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What is known of an image after its pixels are gone."""

    pixels: str
    """SHA-256 of width, height and the decoded 8-bit RGB, in hexadecimal: the same whatever the file's format."""
    look: Bool[np.ndarray, "16 16"]
    """The signs of its 16 × 16 lowest frequencies."""
    contrast: float
    """The range of grey levels without the lowest and highest hundredth, of 255."""
    sharpness: float
    """The variance of the Laplacian of the grey image at 128 × 128 pixels."""
    strip: float
    """The largest share of its height or width, at one side, that is of one colour and no part of the picture."""
    touch: float
    """The largest share of one side that the nucleus, by its purple, covers."""


def measure(image: Image.Image) -> Measures:
    """Returns the measures of an 8-bit RGB image.

    The look is the signs of a discrete cosine transform of the grey image at 64 × 64 pixels, whatever its shape. In a
    mirrored image the frequencies of one direction that are odd change their sign, in a turned one the directions
    change places as well (`wbc.audit.copies`). Brightness and contrast change no sign.

    Reference: perceptual hashes by DCT, Zauner 2010, "Implementation and benchmarking of perceptual image hash
    functions", section 3.2; there a sign is relative to the median, here to zero, so that it follows mirrors.
    Sharpness: Pech-Pacheco et al. 2000, ICPR, "Diatom autofocusing in brightfield microscopy".
    """
    content = np.asarray(image)
    grey = image.convert("L")
    small = np.asarray(grey.resize((_QUALITY_PX, _QUALITY_PX), Image.Resampling.BILINEAR), np.float32)
    low, high = np.percentile(small, [1, 99])
    return Measures(
        pixels=hashlib.sha256(f"{image.width} {image.height} ".encode() + content.tobytes()).hexdigest(),
        look=_look(np.asarray(grey.resize((_LOOK_PX, _LOOK_PX), Image.Resampling.BILINEAR), np.float64)),
        contrast=float(high - low),
        sharpness=float(ndimage.laplace(small).var()),
        strip=max(_strip(turned) for side in (content, content.swapaxes(0, 1)) for turned in (side, side[::-1])),
        touch=_touch(np.asarray(image.resize((_LOOK_PX, _LOOK_PX), Image.Resampling.BOX), np.int64)),
    )


def _look(grey: Float[np.ndarray, "size size"]) -> Bool[np.ndarray, "16 16"]:
    look: Bool[np.ndarray, "16 16"] = dctn(grey)[:SIDE, :SIDE] > 0
    look[0, 0] = False
    return look


def _strip(content: UInt8[np.ndarray, "rows columns 3"]) -> float:
    """Returns the share of rows, from the first on, that are of one colour, where the picture differs behind them."""
    rows = len(content)
    count = next((row for row in range(rows) if np.ptp(content[row], axis=0).max() > _STRIP_LEVELS), rows)
    if count in (0, rows):
        return 0.0
    beside = content[min(count + _BESIDE, rows - 1)].astype(np.int64)
    step = np.abs(beside - np.median(content[count // 2], axis=0)).max(axis=1)
    return count / rows if np.quantile(step, 0.1) > _STEP_LEVELS else 0.0


def _touch(colours: Int64[np.ndarray, "size size 3"]) -> float:
    """Returns the share of a side that the nucleus covers: the most central part of what is most purple.

    Purple is parted in two, and its upper part again, since red cells that touch the cell are purple too.
    """
    purple = ((colours[..., 0] + colours[..., 2]) // 2 - colours[..., 1]).clip(0).astype(np.uint8)
    stained = purple > otsu(purple)
    parts, count = ndimage.label(purple > otsu(purple[stained]) if stained.any() else stained)
    quarter = len(parts) // 4
    central = np.bincount(parts[quarter:-quarter, quarter:-quarter].ravel(), minlength=count + 1)[1:]
    if not central.any():
        return 0.0
    nucleus = parts == 1 + central.argmax()
    return float(max(side.mean() for side in (nucleus[0], nucleus[-1], nucleus[:, 0], nucleus[:, -1])))
