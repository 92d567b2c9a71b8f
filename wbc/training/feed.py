"""What training is fed with: batches on the device, and what is left of the model to compute on them.

With `fast`, images stay in the GPU's memory where they fit and are fetched while it works where they do not, and what
frozen layers make of an image is computed once. Without, each batch is gathered, moved and computed in full.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from wbc.compute import autocast, compiled, gpu_room
from wbc.config import RunConfig
from wbc.data.batches import Augmentation, flip, gather
from wbc.data.prepare import Images
from wbc.models.build import Classifier
from wbc.models.catalog import find_model
from wbc.recipes import RECIPES
from wbc.training.features import FeatureCache, make_room

Rows = Int64[np.ndarray, " _"]


class Feed:
    """A run's training set, batch by batch, for its model."""

    forward: Callable[[Tensor], Tensor]
    """From the inputs that `load` yields to the scores of the five classes."""
    plain: Callable[[Tensor], Tensor]
    """The same, never compiled."""
    images: int
    """How many there are."""

    def __init__(self, model: Classifier, images: Images, config: RunConfig) -> None:
        """Takes the model as it trains: on its device, in its layout."""
        self.images = len(images.labels)
        self._pixels, self._labels = images.pixels, images.labels
        self._config, self._device = config, torch.device(config.device)
        self._crops = RECIPES[config.recipe].crops
        on_gpu = config.fast and config.device == "cuda"
        self._resident = self._load_all() if on_gpu and not self._crops else None
        self._fetches_ahead = on_gpu and self._resident is None
        self._frozen: Callable[[Tensor], Tensor] | None = None
        self._features: FeatureCache | None = None
        self.plain = model
        if config.fast and not self._crops and not find_model(config.model).mixup:
            self._keep_features(model)
        self.forward = compiled(self.plain, config)

    def load(self, batches: Sequence[Rows], drawn: Augmentation) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields for each batch of image numbers its inputs, augmented as drawn, and its labels, on the device."""
        inputs: Iterator[Tensor]
        if self._features:
            inputs = (self._featured(self._features, rows, drawn) for rows in batches)
        elif self._fetches_ahead:
            inputs = self._ahead(batches, drawn)
        else:
            inputs = (self._flip(self._gather(rows, drawn), rows, drawn) for rows in batches)
        for rows, batch in zip(batches, inputs, strict=True):
            yield batch, self._move(self._labels[rows])

    def _load_all(self) -> UInt8[Tensor, "images size size 3"] | None:
        """Returns the training images in the GPU's memory, or None if they are too many."""
        pixels = self._pixels.square
        return torch.tensor(pixels, device=self._device) if pixels.nbytes <= gpu_room() else None

    def _keep_features(self, model: Classifier) -> None:
        """Makes room for what the model's frozen layers give, if it begins with any, and trains the rest on that."""
        parts = model.split_frozen()
        if parts:
            self._frozen, rest = parts
            example = self._compute(gather(self._pixels, np.array([0])))
            self._features = make_room(self.images, example, self._device)
            if self._features:
                self.plain = rest

    def _compute(self, pixels: UInt8[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels rows columns"]:
        assert self._frozen
        with torch.no_grad(), autocast(self._config):
            return self._frozen(pixels.to(self._device))

    def _featured(self, features: FeatureCache, rows: Rows, drawn: Augmentation) -> Tensor:
        def compute(missing: Bool[np.ndarray, " batch"]) -> Tensor:
            return self._compute(self._flip(self._gather(rows[missing], drawn), rows[missing], drawn))

        return features.get(rows, drawn.flips[rows], compute).to(self._device)

    def _ahead(self, batches: Sequence[Rows], drawn: Augmentation) -> Iterator[Tensor]:
        """Yields the augmented images of each batch, the next of which is gathered at the same time."""

        def fetch(rows: Rows) -> Tensor:
            return self._gather(rows, drawn).pin_memory()

        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(fetch, batches[0])
            for rows, following in zip(batches, [*batches[1:], None], strict=True):
                pixels = coming.result()
                if following is not None:
                    coming = pool.submit(fetch, following)
                yield self._flip(pixels, rows, drawn)

    def _gather(self, rows: Rows, drawn: Augmentation) -> UInt8[Tensor, "batch 3 height width"]:
        if self._resident is not None:
            return self._resident[self._move(rows)].permute(0, 3, 1, 2)
        crop_px, corners = (self._config.image_size, drawn.corners[rows]) if self._crops else (None, None)
        pixels = gather(self._pixels, rows, crop_px=crop_px, corners=corners)
        return pixels if self._config.fast else pixels.contiguous()

    def _flip(self, pixels: Tensor, rows: Rows, drawn: Augmentation) -> UInt8[Tensor, "batch 3 height width"]:
        return flip(pixels.to(self._device, non_blocking=True), self._move(drawn.flips[rows]))

    def _move(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self._device)
