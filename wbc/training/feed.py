"""What training is fed with: batches on the device, and what is left of the model to compute on them.

With `fast`, images stay in the GPU's memory if they fit; else they are fetched while it works. What frozen layers make
of an image is computed once. Without, each batch is gathered, moved and computed in full.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from torch import Tensor
from torch.nn import Module

from wbc.compute import autocast, compiled, gpu_room, layout
from wbc.config import RunConfig
from wbc.data.batches import Draws, draw_augmentation, fetch_ahead, flip, gather
from wbc.data.images import Images
from wbc.methods.parts import build_parts
from wbc.models.build import Classifier, backbone_state
from wbc.recipes import RECIPES
from wbc.seeding import generator
from wbc.training.features import FLIPS, LEAST_EPOCHS, FeatureCache, compute_features

_log = logging.getLogger(__name__)
Rows = Int64[np.ndarray, " _"]


class Feed:
    """A run's training set, batch by batch, for its model, and the parts of its method."""

    forward: Callable[[Tensor], Tensor]
    """From the inputs that `load` yields to scores before softmax, or to embeddings where the loss takes them."""
    plain: Callable[[Tensor], Tensor]
    """The same, never compiled."""
    images: int
    """How many there are."""

    def __init__(self, model: Classifier, images: Images, config: RunConfig) -> None:
        """Takes the model as it trains: on its device, in its layout, with the weights it starts from."""
        self.images = len(images.labels)
        self.parts = build_parts(config.method, model, images)
        self._pixels, self._labels, self._labs = images.pixels, images.labels, images.labs
        self._digest = images.digest
        self._config, self._device = config, torch.device(config.device)
        self._crop_px = config.image_size if RECIPES[config.recipe].crops else None
        self._layout = layout(model, config)
        on_gpu = config.fast and config.device == "cuda"
        self._resident = self._load_all() if on_gpu and not self._crop_px else None
        self._features: FeatureCache | None = None
        self._embeds = self.parts.loss is not None and self.parts.loss.embeddings
        self.plain = model.embed if self._embeds else model
        if config.fast:
            self._keep_features(model)
        self._fetches_ahead = on_gpu and self._resident is None and not (self._features and self._features.on_gpu)
        self.forward = compiled(self.plain, config)

    def draw(self, epoch: int) -> Draws:
        """Returns which samples an epoch visits, and what happens to each."""
        numbers = self.parts.augmentation.numbers if self.parts.augmentation else 0
        return draw_augmentation(self._config.seed, epoch, self.images, visits=self._visits(epoch), numbers=numbers)

    def _visits(self, epoch: int) -> Rows:
        """Returns the images that an epoch visits, in order: rounds over all, the last one cut at `visits`."""
        first = self._round(0)
        wanted = self._config.visits or len(first)
        rounds = -(-wanted // len(first))
        return np.concatenate([self._round(epoch * rounds + each) for each in range(rounds)])[:wanted]

    def _round(self, number: int) -> Rows:
        """Returns the images in the order of one round, which is an epoch where `visits` is not set."""
        seed, sampler = self._config.seed, self.parts.sampler
        if sampler:
            return sampler(self._labels, self._labs, seed, number)
        return generator(seed, "order", number).permutation(self.images)

    def load(self, batches: Sequence[Rows], drawn: Draws) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields for each batch of samples its inputs, augmented as drawn, and its labels, on the device."""

        def fetch(samples: Rows) -> Tensor:
            rows = samples % self.images
            if self._features:
                return self._features.get(rows, self._variants(drawn, samples))
            if self._resident is not None:
                return self._gather(rows, drawn.flips[samples])
            return self._copy(rows, drawn.flips[samples], drawn.corners[samples])

        fetched = fetch_ahead(fetch, batches) if self._fetches_ahead else map(fetch, batches)
        for samples, inputs in zip(batches, fetched, strict=True):
            moved = inputs.to(self._device, non_blocking=True)
            if not self._features:
                moved = self._augment(moved, drawn.numbers[samples])
            yield moved, self._move(self._labels[samples % self.images])

    def labs(self, samples: Rows) -> Int64[Tensor, " batch"]:
        """Returns each sample's lab, on the device."""
        return self._move(self._labs[samples % self.images])

    def split_outputs(self, outputs: Tensor, last: Module) -> tuple[Tensor, Tensor | None]:
        """Returns the scores, and the embeddings where the loss takes them, of what `forward` or `plain` gives."""
        return (last(outputs), outputs) if self._embeds else (outputs, None)

    def _load_all(self) -> UInt8[Tensor, "images size size 3"] | None:
        """Returns the training images in the GPU's memory, or None if they are too many."""
        pixels = self._pixels.square
        return torch.tensor(pixels, device=self._device) if pixels.nbytes <= gpu_room() else None

    def _keep_features(self, model: Classifier) -> None:
        """Computes what the model's frozen layers give, if it begins with any, and trains the rest on that."""
        parts, variants = model.split_frozen(embeddings=self._embeds), self.parts.variants
        if parts is None:
            return
        if self._crop_px or variants is None:
            what = f"method={self._config.method}" if variants is None else f"recipe={self._config.recipe}"
            _log.info("%s makes other images each epoch: frozen layers are computed each time", what)
            return
        passes = self._config.epochs * (self._config.visits or self.images) / self.images
        if passes < LEAST_EPOCHS * variants:
            return
        frozen, rest = parts

        def compute(rows: Rows, variant: int) -> Tensor:
            images = self._gather(rows, np.array([FLIPS[variant % len(FLIPS)]] * len(rows)))
            numbers = self.parts.augmentation.numbers if self.parts.augmentation else 0
            middle = (variant // len(FLIPS) + 0.5) / variants
            inputs = self._augment(images, np.full((len(rows), numbers), middle, np.float32))
            with torch.no_grad(), autocast(self._config):
                return frozen(inputs)

        model.train()
        self._features = compute_features(
            self.images, variants * len(FLIPS), compute, self._device, self._known_by(model)
        )
        if self._features:
            self.plain, self._resident = rest, None

    def _known_by(self, model: Classifier) -> str:
        """Returns what decides the features of frozen layers: images, weights, and the settings that they depend on."""
        config, weights = self._config, hashlib.sha256()
        for name, values in backbone_state(model).items():
            weights.update(name.encode() + values.numpy().tobytes())
        augmented = config.method if self.parts.augmentation else ""
        settings = (config.model, augmented, config.recipe, config.image_size, config.precision, self._embeds)
        return repr((self._digest, weights.hexdigest(), *settings))

    def _variants(self, drawn: Draws, samples: Rows) -> Rows:
        """Returns which variant of its image each sample is: its flips, and what the method's augmentation makes."""
        variants: Rows = drawn.flips[samples] @ (2, 1)
        count = self.parts.variants or 1
        if count > 1:
            variants = variants + len(FLIPS) * (drawn.numbers[samples, 0] * count).astype(np.int64)
        return variants

    def _augment(self, images: Tensor, numbers: Float32[np.ndarray, "batch numbers"]) -> Tensor:
        """Returns images on the device as the method's augmentation changes them."""
        if self.parts.augmentation is None:
            return images
        return self.parts.augmentation.apply(images, self._move(numbers))

    def _gather(self, rows: Rows, flips: Bool[np.ndarray, "batch 2"]) -> UInt8[Tensor, "batch 3 height width"]:
        """Returns uncropped images on the device, flipped."""
        if self._resident is None:
            return self._copy(rows, flips, None).to(self._device)
        batch = flip(self._resident[self._move(rows)].permute(0, 3, 1, 2), self._move(flips))
        return batch.contiguous(memory_format=self._layout)

    def _copy(
        self, rows: Rows, flips: Bool[np.ndarray, "batch 2"], corners: Float[np.ndarray, "batch 2"] | None
    ) -> UInt8[Tensor, "batch 3 height width"]:
        corners = corners if self._crop_px else None
        batch = gather(self._pixels, rows, crop_px=self._crop_px, corners=corners, flips=flips)
        return batch.contiguous(memory_format=self._layout)

    def _move(self, values: np.ndarray) -> Tensor:
        """Returns a few numbers on the device, without waiting until it has come so far."""
        return torch.from_numpy(values).to(self._device, non_blocking=True)
