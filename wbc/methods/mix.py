"""Mixup, which the released code offers beside the paper's recipe."""

from typing import Final

import numpy as np
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import one_hot

from wbc.cells import CLASSES

SMOOTHING: Final = 0.1


def mix(
    images: UInt8[Tensor, "batch 3 height width"], labels: Int64[Tensor, " batch"], rng: np.random.Generator
) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch 5"]]:
    """Returns each image blended with the one opposite in the batch, in [0, 255], and its label distribution.

    One weight per batch, uniform in [0, 1]; labels are smoothed by 0.1 before they are blended.

    Reference: Zhang et al. 2018, arXiv:1710.09412, with alpha 1 and pairs as in timm's Mixup, which the released code
    uses.
    """
    weight = float(rng.beta(1.0, 1.0))
    pixels = images.float()
    soft = one_hot(labels, len(CLASSES)).float() * (1 - SMOOTHING) + SMOOTHING / len(CLASSES)
    return weight * pixels + (1 - weight) * pixels.flip(0), weight * soft + (1 - weight) * soft.flip(0)
