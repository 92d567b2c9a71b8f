"""What frozen layers make of an image, computed once per image and variant: row (iii) trains its last part only.

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
from jaxtyping import Float, Int64
from torch import Tensor

from wbc.compute import gpu_room
from wbc.processes import stop_if_asked

FLIPS: Final = ((False, False), (False, True), (True, False), (True, True))
"""Whether mirrored left-right, and top-bottom."""
LEAST_EPOCHS: Final = len(FLIPS) + 1
"""Shorter runs compute features as they come: to compute all flips takes as long as four epochs of them."""
GROUP: Final = 32
"""Images that go through the frozen layers at a time."""
DISK_SHARE: Final = 0.5
"""Of the free disk below TMPDIR, the most that features may take; where that is in memory, of the memory."""

_log = logging.getLogger(__name__)


class FeatureCache:
    """The features of a training set's images, in each of their variants; gone with the process, however it ends."""

    def __init__(self, values: Float[Tensor, "samples *size channels"], variants: int) -> None:
        """Takes images × variants rows of features, on a GPU or in a file; pooled ones have no size."""
        self._values, self._variants = values, variants
        self.on_gpu = values.is_cuda

    def get(
        self, rows: Int64[np.ndarray, " batch"], variants: Int64[np.ndarray, " batch"]
    ) -> Float[Tensor, "batch channels *size"]:
        """Returns the features of the images of `rows`, each in the variant said."""
        places = torch.from_numpy(rows * self._variants + variants).to(self._values.device, non_blocking=True)
        return self._values[places].movedim(-1, 1)


def compute_features(
    images: int,
    variants: int,
    compute: Callable[[Int64[np.ndarray, " some"], int], Float[Tensor, "some channels *size"]],
    device: torch.device,
) -> FeatureCache | None:
    """Returns what `compute` gives for each image and variant, kept on the GPU or in a file; None without room there.

    Images go through in the same groups whenever this is called, so that a resumed run trains on the same bits.
    """
    example = compute(np.array([0]), 0)
    size = example.nbytes * variants * images
    told = f"features of the frozen layers for {images:,} images, each in {variants} variants"
    room = _room(size, example.dtype, device, told)
    if room is None:
        return None
    _log.info("%s: %.1f GB are computed once", told, size / 1e9)
    values = room.view(images * variants, *example.movedim(1, -1).shape[1:])
    for start in range(0, images, GROUP):
        stop_if_asked()
        rows = np.arange(start, min(start + GROUP, images))
        for variant in range(variants):
            values[rows * variants + variant] = compute(rows, variant).movedim(1, -1).to(values.device)
    return FeatureCache(values, variants)


def _room(size: int, dtype: torch.dtype, device: torch.device, told: str) -> Tensor | None:
    if device.type == "cuda" and size <= gpu_room():
        return torch.empty(size // dtype.itemsize, dtype=dtype, device=device)
    folder = tempfile.gettempdir()
    if size > DISK_SHARE * shutil.disk_usage(folder).free:
        _log.warning("%s take %.1f GB, too much for %s (TMPDIR): computed again each epoch", told, size / 1e9, folder)
        return None
    try:
        return _reserve(folder, size, dtype)
    except OSError as error:
        _log.warning("%s do not fit below %s: %s; computed again each epoch", told, folder, error.strerror)
        return None


def _reserve(folder: str, size: int, dtype: torch.dtype) -> Tensor:
    """Returns a file of `size` bytes as a tensor; it has its room on the disk from the start, and no name any more."""
    handle, path = tempfile.mkstemp(prefix="wbc-features-", dir=folder)
    try:
        if hasattr(os, "posix_fallocate"):  # a disk that fills up later would end the process by a signal
            os.posix_fallocate(handle, 0, size)
        else:
            os.truncate(handle, size)
        return torch.from_file(path, shared=True, size=size // dtype.itemsize, dtype=dtype)
    finally:
        os.close(handle)
        Path(path).unlink()
