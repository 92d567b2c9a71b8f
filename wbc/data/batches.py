"""Batches from the pixel cache, augmented.

What happens to an image depends on (seed, epoch, image) alone: neither workers, batch size nor a resumed run change it.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from torch import Tensor

from wbc.data.cache import PixelCache
from wbc.seeding import generator


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The random draws of one epoch, a row per sample: sample n is image n modulo the number of images."""

    order: Int64[np.ndarray, " visits"]
    """The order in which the samples are visited."""
    flips: Bool[np.ndarray, "samples 2"]
    """Whether to mirror left-right, and top-bottom; each with probability 1/2."""
    corners: Float[np.ndarray, "samples 2"]
    """Where a random crop starts, vertically and horizontally, as a fraction of the room there is."""
    numbers: Float32[np.ndarray, "samples numbers"]
    """What a method's augmentation decides by, uniform in [0, 1)."""


def draw_augmentation(
    seed: int, epoch: int, images: int, *, visits: Int64[np.ndarray, " visits"] | None = None, numbers: int = 0
) -> Draws:
    """Returns the draws of an epoch, from 0; those of a sample do not depend on how many others are visited before it.

    `visits` are the images to visit, each once by default: each time that one comes again it is a sample more. A
    method's augmentation takes so many `numbers` for each sample.
    """
    if visits is None:
        visits = generator(seed, "order", epoch).permutation(images)
    order = visits + images * pd.Series(visits).groupby(visits).cumcount().to_numpy()
    samples = images * (int(order.max(initial=0)) // images + 1)
    return Draws(
        order=order,
        flips=generator(seed, "flips", epoch).random((samples, 2)) < 0.5,
        corners=generator(seed, "crops", epoch).random((samples, 2)),
        numbers=generator(seed, "augmentation", epoch).random((samples, numbers), np.float32),
    )


def gather(
    pixels: PixelCache,
    rows: Int64[np.ndarray, " batch"],
    *,
    crop_px: int | None = None,
    corners: Float[np.ndarray, "batch 2"] | None = None,
    flips: Bool[np.ndarray, "batch 2"] | None = None,
) -> UInt8[Tensor, "batch 3 height width"]:
    """Returns the images of `rows`, copied out of the cache, mirrored where `flips` says so: left-right, top-bottom.

    With `crop_px` each is cropped to that many pixels a side. With `corners`, a fraction f of the room r starts at
    pixel floor(f (r + 1)): in distribution torchvision's RandomCrop. Without, the crop is central, as its CenterCrop.
    The tensor is a channels-last view.
    """
    height, width = (crop_px, crop_px) if crop_px else pixels[int(rows[0])].shape[:2]
    batch = torch.empty((len(rows), height, width, 3), dtype=torch.uint8)
    copies = batch.numpy()
    for place, row in enumerate(rows):
        image = pixels[int(row)]
        if crop_px:
            room = np.array(image.shape[:2]) - crop_px
            top, left = np.round(room / 2).astype(int) if corners is None else (corners[place] * (room + 1)).astype(int)
            image = image[top : top + crop_px, left : left + crop_px]
        across, down = (False, False) if flips is None else flips[place]
        copies[place] = image[::-1] if down else image
        if across:
            batch[place] = batch[place].flip(1)  # several times as fast as NumPy's copy in reverse order
    return batch.permute(0, 3, 1, 2)


def fetch_ahead(
    fetch: Callable[[Int64[np.ndarray, " _"]], Tensor], batches: Sequence[Int64[np.ndarray, " _"]]
) -> Iterator[Tensor]:
    """Yields what `fetch` returns for each batch, in memory that a GPU copies from; the next is fetched meanwhile."""

    def pinned(rows: Int64[np.ndarray, " _"]) -> Tensor:
        return fetch(rows).pin_memory()

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(pinned, batches[0])
        for following in [*batches[1:], None]:
            fetched = coming.result()
            if following is not None:
                coming = pool.submit(pinned, following)
            yield fetched


def flip(
    images: UInt8[Tensor, "batch 3 height width"], flips: Bool[Tensor, "batch 2"]
) -> UInt8[Tensor, "batch 3 height width"]:
    """Returns images on a device mirrored as `flips` says for each, left-right and top-bottom, all at once."""
    across, down = flips[:, 0, None, None, None], flips[:, 1, None, None, None]
    images = torch.where(across, images.flip(3), images)
    return torch.where(down, images.flip(2), images)
