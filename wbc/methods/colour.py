"""Colours changed at random, image by image: cameras, lamps and stains of other labs."""

from typing import Final

import numpy as np
import torch
from torch import Tensor

from wbc.data.images import Images
from wbc.methods.parts import Augmentation
from wbc.methods.spaces import LUMA, from_lab, mix_channels, restyled, statistics, to_lab

JITTER: Final = 0.4
"""Brightness, contrast and saturation are multiplied by 1 - 0.4 to 1 + 0.4."""
HUE: Final = 0.1
"""Of a full turn, either way."""
STAINS: Final = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""What haematoxylin, eosin and DAB absorb of red, green and blue: Ruifrok and Johnston 2001, Anal Quant Cytol Histol
23(4)."""
STAIN_JITTER: Final = 0.2
MIXING: Final = 0.3


def between(numbers: Tensor, low: float, high: float) -> Tensor:
    """Returns numbers uniform in [0, 1) as numbers uniform in [low, high), shaped to act on a batch of images."""
    return (low + (high - low) * numbers)[:, None, None, None]


def colour_jitter(train: Images) -> Augmentation:
    """Changes brightness, contrast, saturation (0.6 to 1.4 times) and hue (a tenth of a turn), in this order.

    Reference: Krizhevsky et al. 2012 and torchvision's ColorJitter, whose steps these are; there the order is random.
    """

    def apply(images: Tensor, numbers: Tensor) -> Tensor:
        brightness, contrast, saturation = (between(numbers[:, k], 1 - JITTER, 1 + JITTER) for k in range(3))
        pixels = (brightness * images.float()).clamp(0, 255)
        mean = _grey(pixels).mean((2, 3), keepdim=True)
        pixels = (contrast * pixels + (1 - contrast) * mean).clamp(0, 255)
        pixels = (saturation * pixels + (1 - saturation) * _grey(pixels)).clamp(0, 255)
        return turn_hue(pixels, between(numbers[:, 3], -HUE, HUE))

    return Augmentation(apply=apply, numbers=4, variants=None)


def hed_jitter(train: Images) -> Augmentation:
    """Scales and shifts the amount of each of three stains by up to a fifth.

    Amounts are of optical density, -ln((value + 1) / 256), unmixed by the stains of H&E and DAB. Blood is stained by
    Giemsa, so that here they are three directions of colour and no more.

    Reference: Tellez et al. 2019, arXiv:1902.06543, "HED-strong".
    """
    mixed = torch.tensor(STAINS, dtype=torch.float64).T  # columns: what a stain absorbs
    apart = torch.linalg.inv(mixed).float()

    def apply(images: Tensor, numbers: Tensor) -> Tensor:
        density = -((images.float() + 1) / 256).log()
        scales, shifts = (-STAIN_JITTER + 2 * STAIN_JITTER * part[..., None, None] for part in numbers.split(3, 1))
        amounts = mix_channels(density, apart.to(density))
        jittered = mix_channels(amounts * (1 + scales) + shifts, mixed.to(density))
        return (256 * (-jittered).exp() - 1).clamp(0, 255)

    return Augmentation(apply=apply, numbers=6, variants=None)


def lab_jitter(train: Images) -> Augmentation:
    """Gives each image a mean and spread in LAB as an image of the source might have them.

    Both are drawn for each channel from normal distributions that are fitted to the training images. The draws are cut
    at three standard deviations; no spread gets below a tenth of the usual one.

    Reference: Shen et al. 2022, arXiv:2206.12694 (RandStainNA), only in LAB; there the space is drawn too.
    """
    found = statistics(train.pixels, to_lab)
    centre, width = (torch.from_numpy(part.astype(np.float32)) for part in (found.mean(0), found.std(0)))

    def apply(images: Tensor, numbers: Tensor) -> Tensor:
        normal = (2**0.5 * torch.erfinv(2 * numbers - 1)).clamp(-3, 3).view(-1, 2, 3)
        drawn = centre.to(normal) + width.to(normal) * normal
        mean, spread = drawn[:, 0], drawn[:, 1].maximum(0.1 * centre.to(normal)[1])
        lab = restyled(to_lab(images.float()), mean[..., None, None], spread[..., None, None], least=1.0)
        return from_lab(lab)

    return Augmentation(apply=apply, numbers=6, variants=None)


def colour_mixing(train: Images) -> Augmentation:
    """Makes each channel of the three at random: the identity plus up to 0.3, either way, in each of nine places.

    Reference: Xu et al. 2021, arXiv:2007.13003 (random convolutions), with kernels of one pixel, mixed with the image;
    there weights are normal.
    """

    def apply(images: Tensor, numbers: Tensor) -> Tensor:
        change = -MIXING + 2 * MIXING * numbers.view(-1, 3, 3)
        return mix_channels(images.float(), torch.eye(3).to(change) + change).clamp(0, 255)

    return Augmentation(apply=apply, numbers=9, variants=None)


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Returns images with their hue turned by a share of the full circle; greys stay as they are."""
    top, bottom = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    chroma = top - bottom
    red, green, blue = images.split(1, 1)
    towards, peak = (green - blue, blue - red, red - green), images.argmax(1, keepdim=True)
    offsets = [2 * n + difference / chroma.clamp(min=1e-6) for n, difference in enumerate(towards)]
    sixth = torch.cat(offsets, 1).gather(1, peak)
    places = torch.tensor([5.0, 3.0, 1.0]).to(images)[:, None, None] + sixth + 6 * turns
    steps = places.remainder(6)
    return top - chroma * torch.minimum(steps, 4 - steps).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    return (images * images.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
