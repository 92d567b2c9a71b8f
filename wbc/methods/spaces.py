"""Colour spaces, for batches on any device: LAB, and how images lie in a space."""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wbc.data.cache import PixelCache

Convert = Callable[[Tensor], Tensor]
LUMA: Final = (0.299, 0.587, 0.114)
"""The shares of red, green and blue in grey: ITU-R BT.601, as in torchvision and PIL."""
_XYZ: Final = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE: Final = (0.950456, 1.0, 1.088754)
"""Of daylight, D65."""
_KNEE: Final = 6 / 29
_STATISTICS_OF: Final = 512
"""Images, evenly spaced over the training set, that statistics are taken of."""


def mix_channels(
    images: Float[Tensor, "batch 3 height width"], matrix: Float[Tensor, "... 3 3"]
) -> Float[Tensor, "batch 3 height width"]:
    """Returns each pixel times a matrix, one for all images or one each: output channels are the matrix's rows."""
    return torch.einsum("...ij,...jhw->...ihw", matrix, images)


def to_lab(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
    """Returns CIE L*a*b* (L from 0 to 100) of sRGB images with values from 0 to 255.

    Reference: IEC 61966-2-1 for sRGB; CIE 15, with the white of D65.
    """
    values = images / 255
    linear = torch.where(values > 0.04045, ((values + 0.055) / 1.055).pow(2.4), values / 12.92)
    xyz = mix_channels(linear, linear.new_tensor(_XYZ)) / linear.new_tensor(_WHITE)[:, None, None]
    bent = torch.where(xyz > _KNEE**3, xyz.clamp(min=1e-12).pow(1 / 3), xyz / (3 * _KNEE**2) + 4 / 29)
    x, y, z = bent.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def from_lab(lab: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
    """Returns sRGB images with values from 0 to 255; colours that sRGB lacks are cut to the nearest it has."""
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    bent = torch.stack([y + a / 500, y, y - b / 200], 1)
    xyz = torch.where(bent > _KNEE, bent.pow(3), 3 * _KNEE**2 * (bent - 4 / 29))
    linear = mix_channels(
        xyz * xyz.new_tensor(_WHITE)[:, None, None], torch.linalg.inv(xyz.new_tensor(_XYZ, dtype=torch.float64)).to(xyz)
    ).clamp(0, 1)
    values = torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=1e-12).pow(1 / 2.4) - 0.055, 12.92 * linear)
    return (255 * values).clamp(0, 255)


def same(images: Tensor) -> Tensor:
    """Returns images as they are: RGB with values from 0 to 255."""
    return images.float()


def moments(values: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, Tensor]:
    """Returns the mean and the spread (standard deviation) of each image and channel, each batch x 3 x 1 x 1."""
    return values.mean((2, 3), keepdim=True), values.std((2, 3), correction=0, keepdim=True)


def restyled(
    values: Float[Tensor, "batch 3 height width"], mean: Tensor, spread: Tensor, *, least: float
) -> Float[Tensor, "batch 3 height width"]:
    """Returns values moved to another mean and spread; a spread below `least` counts as `least`, never as 0."""
    own_mean, own_spread = moments(values)
    return (values - own_mean) / own_spread.clamp(min=least) * spread + mean


def statistics(pixels: PixelCache, convert: Convert) -> Float[np.ndarray, "some 2 3"]:
    """Returns the mean and spread of each channel in a colour space, of up to 512 images evenly spaced over a set."""
    rows = np.unique(np.linspace(0, len(pixels) - 1, min(len(pixels), _STATISTICS_OF)).astype(int))
    found = []
    for row in rows:
        image = torch.from_numpy(np.array(pixels[int(row)])).permute(2, 0, 1)[None].float()
        found.append(torch.stack(moments(convert(image)), 1)[0, :, :, 0, 0].numpy())
    return np.stack(found)
