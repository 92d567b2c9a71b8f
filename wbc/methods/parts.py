"""The six seams of training: what a function at each takes and returns, and the parts of a method put together.

A row of METHODS names for each seam that it sets a function:

- sampler: (labels, labs, seed, epoch) → numbers of the images to visit, as many in each epoch; some may come again.
- augmentation: (training images) → `Augmentation`, which acts after the recipe's flips and crops; several follow each
  other.
- mixing: (images, labels, random generator) → images in [0, 255], and labels or label distributions.
- loss: (model before its first step, training images) → `Loss`.
- average: (step, steps of the run) → how far the average moves to the weights after that step, from 0 to 1.
- trained: (parameter's name, epoch, epochs) → whether it trains then. What the model freezes stays frozen.
"""

import math
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from wbc.data.images import Images
from wbc.methods.catalog import SEAMS, find_method
from wbc.models.build import Classifier

Integers = Int64[np.ndarray, " _"]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """A change of a batch on its device, decided by numbers drawn for each sample from (seed, epoch, sample) alone."""

    apply: Callable[[UInt8[Tensor, "batch 3 height width"], Float[Tensor, "batch numbers"]], Tensor]
    """From bytes and numbers, uniform in [0, 1), to images with values from 0 to 255."""
    numbers: int
    """How many it takes for each sample."""
    variants: int | None
    """How many different images it makes of one; None for more than can be counted.

    Countable variants follow from the first number alone: variant v of n for any in [v / n, (v + 1) / n).
    """


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What is minimised."""

    compute: Callable[[Tensor, Tensor, Tensor | None, Int64[Tensor, " batch"]], Float[Tensor, ""]]
    """From scores before softmax, labels or label distributions, embeddings and each image's lab."""
    embeddings: bool = False
    """Whether it takes the inputs of the last linear layer; else it is given None."""
    state: dict[str, Tensor] = field(default_factory=dict)
    """What it keeps from step to step and changes in place; checkpoints hold it."""
    keeps_features: bool = True
    """Whether frozen layers still make of an image what they made of it before; else they are computed each time."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A method's functions; None where training is as in the paper."""

    sampler: Callable[[Integers, Integers, int, int], Integers] | None = None
    augmentation: Augmentation | None = None
    mixing: Callable[[Tensor, Tensor, np.random.Generator], tuple[Tensor, Tensor]] | None = None
    loss: Loss | None = None
    average: Callable[[int, int], float] | None = None
    trained: Callable[[str, int, int], bool] | None = None

    @property
    def variants(self) -> int | None:
        """How many images the method makes of one, besides flips; None for more than can be counted."""
        if self.mixing or (self.loss and not self.loss.keeps_features):
            return None
        return self.augmentation.variants if self.augmentation else 1


def chain(augmentations: Sequence[Augmentation]) -> Augmentation:
    """Returns augmentations that follow each other as one; each has numbers that no other sees."""
    if len(augmentations) == 1:
        return augmentations[0]
    counts = [each.variants for each in augmentations]
    variants = math.prod(count for count in counts if count) if all(counts) else None
    numbers_of = [each.numbers for each in augmentations]

    def apply(images: Tensor, numbers: Tensor) -> Tensor:
        drawn = numbers.split(numbers_of, 1)
        if variants:  # all follow from the first number: it says which variant of each
            number = (numbers[:, :1] * variants).floor()
            for place, count in enumerate(filter(None, counts)):
                drawn = *drawn[:place], ((number % count + 0.5) / count).expand_as(drawn[place]), *drawn[place + 1 :]
                number = (number / count).floor()
        for each, part in zip(augmentations, drawn, strict=True):
            images = each.apply(images, part)
        return images

    return Augmentation(apply=apply, numbers=sum(numbers_of), variants=variants)


def build_parts(method: str, model: Classifier, train: Images) -> Parts:
    """Returns the parts of a method, or of several joined by "+", for a model that has not been trained yet."""
    row = find_method(method)
    named = {seam: name for seam in SEAMS if (name := getattr(row, seam))}
    several = named.pop("augmentation", None)
    parts: dict[str, Any] = {seam: pkgutil.resolve_name(name) for seam, name in named.items()}
    if several:
        parts["augmentation"] = chain([pkgutil.resolve_name(name)(train) for name in several.split(", ")])
    if "loss" in parts:
        parts["loss"] = parts["loss"](model, train)
    return Parts(**parts)
