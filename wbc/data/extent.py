"""How much of the frame a cell fills, by its saturation alone: no label, model or score is looked at."""

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from scipy import ndimage


def extent(image: UInt8[np.ndarray, "height width 3"]) -> float:
    """Returns the side of what is stained in the middle of an image, as a share of the image's side, in [0, 1]."""
    brightest = image.max(axis=2).astype(int)
    saturation = (255 * (brightest - image.min(axis=2)) // np.maximum(brightest, 1)).astype(np.uint8)
    smooth = ndimage.uniform_filter(saturation, size=max(3, min(saturation.shape) // 40))
    parts, count = ndimage.label(smooth > otsu(smooth))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    height, width = saturation.shape
    central = np.unique(parts[height // 4 : -(height // 4), width // 4 : -(width // 4)])
    central = central[central > 0]
    if not len(central):
        return 0.0
    kept: Bool[np.ndarray, "height width"] = np.isin(parts, central[sizes[central] >= sizes[central].max() / 10])
    box = [np.ptp(places) + 1 for places in np.nonzero(kept)]
    return float(np.sqrt(box[0] * box[1] / (height * width)))


def otsu(values: UInt8[np.ndarray, "..."]) -> int:
    """Returns the value that parts these bytes into two classes with the largest variance between them.

    Reference: Otsu 1979, IEEE Trans. SMC 9(1):62-66.
    """
    counts: Int64[np.ndarray, " 256"] = np.bincount(values.ravel(), minlength=256)
    below, total = np.cumsum(counts), counts.sum()
    sums = np.cumsum(counts * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / total - sums) ** 2 / (below * (total - below))
    return int(np.argmax(np.where(np.isfinite(between), between, -1)))  # of one value alone: 0
