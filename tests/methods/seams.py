"""A method at each seam, as somebody would add it: one function each."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from wbc.data.images import Images
from wbc.methods.parts import Augmentation, Integers, Loss
from wbc.models.build import Classifier
from wbc.seeding import generator


def labelled(labels: Integers) -> dict[str, Any]:
    """Returns the fields of images of one lab that hold their labels."""
    return {"labels": labels, "labs": np.zeros_like(labels)}


def balanced(labels: Integers, labs: Integers, seed: int, epoch: int) -> Integers:
    """Visits each class equally often."""
    weights = 1 / np.bincount(labels)[labels]
    return generator(seed, "balanced", epoch).choice(len(labels), len(labels), p=weights / weights.sum())


def brightness(train: Images) -> Augmentation:
    """Multiplies an image by a half to one and a half."""

    def apply(images: Tensor, numbers: Tensor) -> Tensor:
        return (images * (0.5 + numbers[..., None, None])).clamp(max=255)

    return Augmentation(apply=apply, numbers=1, variants=None)


def turned(train: Images) -> Augmentation:
    """Turns an image by no or by a quarter turn."""

    def apply(images: Tensor, numbers: Tensor) -> Tensor:
        return torch.where(numbers[..., None, None] < 0.5, images, images.transpose(2, 3))

    return Augmentation(apply=apply, numbers=1, variants=2)


def halved(images: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Blends each image with the one before it, half and half."""
    soft = one_hot(labels, 5).float()
    return (images.float() + images.float().roll(1, 0)) / 2, (soft + soft.roll(1, 0)) / 2


def adjusted(model: Classifier, train: Images) -> Loss:
    """Adds the logarithm of the class shares to the scores."""
    shares = torch.from_numpy(np.bincount(train.labels, minlength=5) / len(train.labels)).float()

    def compute(scores: Tensor, targets: Tensor, embeddings: Tensor | None, labs: Tensor) -> Tensor:
        return cross_entropy(scores + shares.log(), targets)

    return Loss(compute=compute)


def short(model: Classifier, train: Images) -> Loss:
    """Keeps embeddings short, those of the second lab more."""

    def compute(scores: Tensor, targets: Tensor, embeddings: Tensor | None, labs: Tensor) -> Tensor:
        assert embeddings is not None
        return cross_entropy(scores, targets) + (embeddings.square().mean(1) * (1 + labs)).mean()

    return Loss(compute=compute, embeddings=True)


def slow(step: int, steps: int) -> float:
    """Follows the weights a fifth of the way."""
    return 0.2


def head_first(name: str, epoch: int, epochs: int) -> bool:
    """Trains the head alone in the first epoch."""
    return name.startswith("head.") or epoch > 0
