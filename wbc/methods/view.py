"""Geometry, and torchvision's collection of changes."""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample
from torchvision.transforms.v2 import TrivialAugmentWide

from wbc.data.images import Images
from wbc.methods.parts import Augmentation

SIDE: Final = (0.6, 1.25)
"""The side of the field of view, as a multiple of the image's."""


def random_view(train: Images) -> Augmentation:
    """Shows another field of view: 0.6 to 1.25 times the image's side, anywhere in it, resized to the same pixels.

    Sides are uniform in their logarithm. What lies beyond the image is its mirror image. Labs differ in how much of the
    frame a cell fills.

    Reference: Szegedy et al. 2015, arXiv:1409.4842, section 6, whose crops only enlarge and change the aspect too.
    """

    def apply(images: Tensor, numbers: Tensor) -> Tensor:
        low, high = map(math.log, SIDE)
        side = (low + (high - low) * numbers[:, 0]).exp()
        shift = (2 * numbers[:, 1:] - 1) * (1 - side)[:, None]
        views = torch.diag_embed(side[:, None].expand(-1, 2))
        grid = affine_grid(torch.cat([views, shift[..., None]], 2), list(images.shape), align_corners=False)
        seen = grid_sample(images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        return seen.clamp(0, 255)

    return Augmentation(apply=apply, numbers=3, variants=None)


def trivial_augment(train: Images) -> Augmentation:
    """Changes each image in one of fourteen ways, at one of 31 strengths, both drawn for it alone.

    Each image has another change: they go one by one, as torchvision computes them, and not as a batch.

    Reference: Müller & Hutter 2021, arXiv:2103.10158 (TrivialAugment, wide), by torchvision's TrivialAugmentWide.
    """
    change = TrivialAugmentWide()

    def apply(images: Tensor, numbers: Tensor) -> Tensor:
        whole = images.round().to(torch.uint8)
        changed = []
        with torch.random.fork_rng(devices=[]):
            for image, number in zip(whole, numbers[:, 0].double().tolist(), strict=True):
                torch.default_generator.manual_seed(int(number * 2**32))  # torchvision draws from it, and nothing else
                changed.append(change(image))
        return torch.stack(changed)

    return Augmentation(apply=apply, numbers=1, variants=None)
