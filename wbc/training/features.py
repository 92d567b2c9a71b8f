"""What frozen layers make of an image, computed once per image and variant: row (iii) trains its last part only.

The frozen layers come first, have no dropout, and their batch norms use fixed statistics: what comes out of them
depends on the image alone. With flips as the only augmentation there are four variants of each; a random crop has
thousands. On a CPU, small ones stay in the data folder: runs that start from the same weights, such as the seeds of a
study on ImageNet's, share them.
"""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from wbc.compute import gpu_room
from wbc.data.disk import one_writer, whole_file
from wbc.data.fetch.checksums import file_sha256
from wbc.processes import stop_if_asked
from wbc.surroundings import data_dir

FLIPS: Final = ((False, False), (False, True), (True, False), (True, True))
"""Whether mirrored left-right, and top-bottom."""
LEAST_EPOCHS: Final = len(FLIPS) - 1
"""Shorter runs compute features as they come: to compute all flips takes as long as four epochs of them."""
GROUP: Final = 32
"""Images that go through the frozen layers at a time."""
DISK_SHARE: Final = 0.5
"""Of the free disk below TMPDIR, the most that features may take; where that is in memory, of the memory."""
SHARED_BYTES: Final = 10**9
"""The most that all features in the data folder take; larger ones go with their process."""

_log = logging.getLogger(__name__)
Compute = Callable[[Int64[np.ndarray, " some"], int], Float[Tensor, "some channels *size"]]


class FeatureCache:
    """The features of a training set's images, in each of their variants."""

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
    images: int, variants: int, compute: Compute, device: torch.device, known_by: str
) -> FeatureCache | None:
    """Returns what `compute` gives for each image and variant; None where there is no room for it.

    On a GPU it is kept in its memory, else in the data folder, or in a file that goes with the process. Images go
    through in the same groups whenever this is called, so that a resumed run trains on the same bits. `known_by` names
    the images, the weights and the settings: other runs of the same find what is kept.
    """
    example = compute(np.array([0]), 0).movedim(1, -1)
    size = example.nbytes * variants * images
    told = f"features of the frozen layers for {images:,} images, each in {variants} variants"
    groups = _groups(images, variants, compute)
    if device.type == "cpu" and size <= SHARED_BYTES:
        key = hashlib.sha256(known_by.encode() + _bytes(example)).hexdigest()[:32]  # other code gives other bytes
        try:
            kept = _shared(data_dir() / "features" / key, size, groups, told)
            return FeatureCache(kept.view(example.dtype).view(-1, *example.shape[1:]), variants)
        except OSError as error:
            _log.info("%s are not kept for later runs: %s", told, error.strerror)
    room = _room(size, example.dtype, device, told)
    if room is None:
        return None
    _log.info("%s: %.1f GB are computed once", told, size / 1e9)
    values, filled = room.view(-1, *example.shape[1:]), 0
    for group in groups:
        values[filled : filled + len(group)] = group.to(values.device)
        filled += len(group)
    return FeatureCache(values, variants)


def _groups(images: int, variants: int, compute: Compute) -> Iterator[Float[Tensor, "samples *size channels"]]:
    """Yields the features of some images after the other, all variants of an image behind each other."""
    for start in range(0, images, GROUP):
        stop_if_asked()
        rows = np.arange(start, min(start + GROUP, images))
        each = [compute(rows, variant).movedim(1, -1) for variant in range(variants)]
        yield torch.stack(each, dim=1).flatten(0, 1)


def _bytes(values: Tensor) -> bytes:
    return values.contiguous().view(torch.uint8).numpy().tobytes()


def _shared(folder: Path, size: int, groups: Iterator[Tensor], told: str) -> UInt8[Tensor, " size"]:
    """Returns the bytes of the features that a folder holds; computes them first where it has none that are whole."""
    path, digest = folder / "features", folder / "sha256"
    if not _is_whole(path, digest):
        with one_writer(folder):
            if not _is_whole(path, digest):
                _log.info("%s: %.2f GB are computed once, for later runs too", told, size / 1e9)
                _make_room(folder.parent, size)
                with whole_file(path) as handle:
                    for group in groups:
                        handle.write(_bytes(group))
                digest.write_text(file_sha256(path), encoding="ascii")
    return torch.from_numpy(np.memmap(path, np.uint8, mode="c"))


def _is_whole(path: Path, digest: Path) -> bool:
    return path.exists() and digest.exists() and file_sha256(path) == digest.read_text(encoding="ascii")


def _make_room(folder: Path, size: int) -> None:
    """Deletes the features that were made first, until there is room for others; who reads them keeps them."""
    kept = sorted(folder.glob("*/features"), key=lambda path: path.stat().st_mtime)
    while kept and sum(path.stat().st_size for path in kept) + size > SHARED_BYTES:
        kept.pop(0).unlink(missing_ok=True)


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
