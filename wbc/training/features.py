"""What frozen layers make of an image, computed once per image and flip: row (iii) trains the last part only.

The frozen layers come first, have no dropout, and their batch norms use fixed statistics: what comes out of them
depends on the image alone. With flips as the only augmentation there are four variants of each; a random crop has
thousands.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from wbc.compute import gpu_room

FLIPS: Final = 4
"""Not flipped, top-bottom, left-right, both."""
DISK_SHARE: Final = 0.5
"""Of the free disk below TMPDIR, the most that features may take."""

_log = logging.getLogger(__name__)


class FeatureCache:
    """The features of a training set's images, filled as they are asked for; gone with the process, however it ends."""

    def __init__(self, values: Tensor, images: int) -> None:
        """Takes room for images × 4 rows of height × width × channels, on a device or in a file."""
        self._values = values
        self._known = np.zeros(images * FLIPS, np.bool_)

    def get(
        self,
        rows: Int64[np.ndarray, " batch"],
        flips: Bool[np.ndarray, "batch 2"],
        compute: Callable[[Bool[np.ndarray, " batch"]], Float[Tensor, "missing channels height width"]],
    ) -> Float[Tensor, "batch channels height width"]:
        """Returns the features of images flipped as said; `compute` gives those of the batch that are not there yet."""
        places = rows * FLIPS + flips @ (2, 1)
        missing = ~self._known[places]
        if missing.any():
            computed = compute(missing).permute(0, 2, 3, 1)
            self._values[torch.from_numpy(places[missing]).to(self._values.device)] = computed.to(self._values.device)
            self._known[places] = True
        return self._values[torch.from_numpy(places).to(self._values.device)].permute(0, 3, 1, 2)


def make_room(
    images: int, features: Float[Tensor, "1 channels height width"], device: torch.device
) -> FeatureCache | None:
    """Returns a cache for features like the ones given, on the GPU or else in a file; None if neither has the room."""
    _, channels, height, width = features.shape
    shape = (images * FLIPS, height, width, channels)
    size = features[0].nbytes * FLIPS * images
    told = f"features of the frozen layers: {images:,} images × {FLIPS} flips, {size / 1e9:.1f} GB"
    if device.type == "cuda" and size <= gpu_room():
        _log.info("%s on the GPU", told)
        return FeatureCache(torch.empty(shape, dtype=features.dtype, device="cuda"), images)
    folder = tempfile.gettempdir()
    if size <= DISK_SHARE * shutil.disk_usage(folder).free:
        try:
            values = _reserve(folder, size, features.dtype)
        except OSError as error:
            _log.warning("%s do not fit below %s (%s): computed again each epoch", told, folder, error)
            return None
        _log.info("%s below %s", told, folder)
        return FeatureCache(values.view(shape), images)
    _log.warning("%s are too much for the GPU or %s (TMPDIR): computed again each epoch", told, folder)
    return None


def _reserve(folder: str, size: int, dtype: torch.dtype) -> Tensor:
    """Returns a file of `size` bytes as a tensor; it has its room on the disk from the start, and no name any more."""
    handle, path = tempfile.mkstemp(prefix="wbc-features-", dir=folder)
    try:
        os.posix_fallocate(handle, 0, size)  # a disk that fills up later would end the process by a signal
        return torch.from_file(path, shared=True, size=size // dtype.itemsize, dtype=dtype)
    finally:
        os.close(handle)
        Path(path).unlink()
