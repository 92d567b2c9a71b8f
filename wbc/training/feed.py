"""What training is fed with: batches on the device, and what is left of the model to compute on them.

With `fast`, images stay in the GPU's memory where they fit and are fetched while it works where they do not, and what
frozen layers make of an image is computed once. Without, each batch is gathered, moved and computed in full.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from wbc.compute import autocast, compiled, gpu_room, layout
from wbc.config import RunConfig
from wbc.data.batches import Augmentation, fetch_ahead, flip, gather
from wbc.data.images import Images
from wbc.methods.catalog import find_method
from wbc.models.build import Classifier
from wbc.recipes import RECIPES
from wbc.training.features import LEAST_EPOCHS, FeatureCache, compute_features

_log = logging.getLogger(__name__)
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
        self._crop_px = config.image_size if RECIPES[config.recipe].crops else None
        self._layout = layout(model, config)
        on_gpu = config.fast and config.device == "cuda"
        self._resident = self._load_all() if on_gpu and not self._crop_px else None
        self._features: FeatureCache | None = None
        self.plain = model
        if config.fast:
            self._keep_features(model)
        self._fetches_ahead = on_gpu and self._resident is None and not (self._features and self._features.on_gpu)
        self.forward = compiled(self.plain, config)

    def load(self, batches: Sequence[Rows], drawn: Augmentation) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields for each batch of image numbers its inputs, augmented as drawn, and its labels, on the device."""

        def fetch(rows: Rows) -> Tensor:
            if self._features:
                return self._features.get(rows, drawn.flips[rows])
            if self._resident is not None:
                return self._gather(rows, drawn.flips[rows])
            return self._copy(rows, drawn.flips[rows], drawn.corners[rows])

        fetched = fetch_ahead(fetch, batches) if self._fetches_ahead else map(fetch, batches)
        for rows, inputs in zip(batches, fetched, strict=True):
            yield inputs.to(self._device, non_blocking=True), self._move(self._labels[rows])

    def _load_all(self) -> UInt8[Tensor, "images size size 3"] | None:
        """Returns the training images in the GPU's memory, or None if they are too many."""
        pixels = self._pixels.square
        return torch.tensor(pixels, device=self._device) if pixels.nbytes <= gpu_room() else None

    def _keep_features(self, model: Classifier) -> None:
        """Computes what the model's frozen layers give, if it begins with any, and trains the rest on that."""
        parts = model.split_frozen()
        if parts is None:
            return
        if self._crop_px:
            _log.info("recipe=%s crops at random: frozen layers are computed each epoch", self._config.recipe)
            return
        if self._config.epochs < LEAST_EPOCHS or find_method(self._config.method).mixing:
            return
        frozen, rest = parts

        def compute(rows: Rows, flips: Bool[np.ndarray, "some 2"]) -> Tensor:
            with torch.no_grad(), autocast(self._config):
                return frozen(self._gather(rows, flips))

        model.train()
        self._features = compute_features(self.images, compute, self._device)
        if self._features:
            self.plain, self._resident = rest, None

    def _gather(self, rows: Rows, flips: Bool[np.ndarray, "batch 2"]) -> UInt8[Tensor, "batch 3 height width"]:
        """Returns uncropped images on the device, flipped."""
        if self._resident is None:
            return self._copy(rows, flips, None).to(self._device)
        batch = flip(self._resident[self._move(rows)].permute(0, 3, 1, 2), self._move(flips))
        return batch.contiguous(memory_format=self._layout)

    def _copy(
        self,
        rows: Rows,
        flips: Bool[np.ndarray, "batch 2"],
        corners: Float[np.ndarray, "batch 2"] | None,
    ) -> UInt8[Tensor, "batch 3 height width"]:
        corners = corners if self._crop_px else None
        batch = gather(self._pixels, rows, crop_px=self._crop_px, corners=corners, flips=flips)
        return batch.contiguous(memory_format=self._layout)

    def _move(self, values: np.ndarray) -> Tensor:
        """Returns a few numbers on the device, without waiting until it has come so far."""
        return torch.from_numpy(values).to(self._device, non_blocking=True)
