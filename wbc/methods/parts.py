"""The six seams of training: what a function at each takes and returns, and the parts of a method put together.

A row of METHODS names for each seam that it sets a function:

- sampler: (labels, labs, seed, epoch) → numbers of the images to visit, as many in each epoch; some may come again.
- augmentation: (training images) → `Augmentation`, which acts after the recipe's flips and crops.
- mixing: (images, labels, random generator) → images in [0, 255], and labels or label distributions.
- loss: (model before its first step, training images) → `Loss`.
- average: (step, steps of the run) → how far the average moves to the weights after that step, from 0 to 1.
- trained: (parameter's name, epoch, epochs) → whether it trains then. What the model freezes stays frozen.
"""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from wbc.config import RunConfig
from wbc.data.images import Images
from wbc.methods.catalog import ADAPTATIONS, SEAMS, find_method
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
        if self.mixing:
            return None
        return self.augmentation.variants if self.augmentation else 1


def adapted(name: str, model: Classifier, images: Images, config: RunConfig) -> Classifier:
    """Returns the model that scores the images under a row of ADAPTATIONS."""
    function = ADAPTATIONS[name].function
    scoring: Classifier = pkgutil.resolve_name(function)(model, images, config) if function else model
    return scoring


def build_parts(method: str, model: Classifier, train: Images) -> Parts:
    """Returns the parts of a method, or of several joined by "+", for a model that has not been trained yet."""
    row = find_method(method)
    parts: dict[str, Any] = {seam: pkgutil.resolve_name(name) for seam in SEAMS if (name := getattr(row, seam))}
    if "augmentation" in parts:
        parts["augmentation"] = parts["augmentation"](train)
    if "loss" in parts:
        parts["loss"] = parts["loss"](model, train)
    return Parts(**parts)
