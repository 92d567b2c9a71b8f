"""Styles of images mixed with each other, in the image or in what the first layers make of it; labels stay."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn.functional import cross_entropy

from wbc.data.images import Images
from wbc.errors import ConfigError
from wbc.methods.parts import Augmentation, Loss
from wbc.models.build import Classifier

PLACES: Final = (("layer1", "layer2"), ("stages.0", "stages.1"), ("blocks.0", "blocks.1"))
"""Stages of networks after which MixStyle acts: ResNet's, ResNetV2's and ConvNeXt's, EfficientNet's."""
STRENGTH: Final = 0.1
CHANCE: Final = 0.5


def fourier(train: Images) -> Augmentation:
    """Mixes the amplitudes of an image's Fourier transform with those of the image opposite in the batch; phases stay.

    The share of the other's amplitudes is uniform in [0, 1).

    Reference: Xu et al. 2021, arXiv:2105.11183, equation 6 with η = 1; Yang & Soatto 2020, arXiv:2004.05498, exchange
    low frequencies only.
    """

    def apply(images: Tensor, numbers: Tensor) -> Tensor:
        waves = torch.fft.rfft2(images.float())
        amplitudes, share = waves.abs(), numbers[..., None, None]
        mixed = amplitudes + share * (amplitudes.flip(0) - amplitudes)
        blended = torch.fft.irfft2(torch.polar(mixed, waves.angle()), s=images.shape[2:])
        clean: Tensor = blended.clamp(0, 255)
        return clean

    return Augmentation(apply=apply, numbers=1, variants=None)


def mixstyle(model: Classifier, train: Images) -> Loss:
    """Mixes the mean and spread of each channel with another image's, after two early stages, while the model trains.

    Of half the images, drawn for each batch; the loss is that of the paper.

    Reference: Zhou et al. 2021, arXiv:2104.02008, with α = 0.1 and p = 0.5, other images at random. There p is a
    chance of the batch.

    Raises:
        ConfigError: the network has no maps of features, or its stages are not known here.
    """
    for place in _places(model.backbone):
        place.register_forward_hook(mix_styles)

    def compute(scores: Tensor, targets: Tensor, embeddings: Tensor | None, labs: Tensor) -> Tensor:
        return cross_entropy(scores, targets)

    return Loss(compute=compute, keeps_features=False)


def mix_styles(module: nn.Module, inputs: Any, features: Tensor) -> Tensor | None:
    """Returns features with mixed styles in training, and else None: they stay; draws come from PyTorch's generators.

    Training seeds these for each epoch, as for dropout.
    """
    if not module.training:
        return None
    if features.ndim != 4:
        raise ConfigError("method 'mixstyle': it mixes maps of features, and this network has tokens.")
    count, kind = len(features), features.device
    concentration = torch.tensor(STRENGTH, device=kind)
    share = Beta(concentration, concentration).sample((count, 1, 1, 1))
    share = torch.where(torch.rand(count, 1, 1, 1, device=kind) < CHANCE, share, 1.0).to(features)
    mean = features.mean((2, 3), keepdim=True).detach()
    spread = (features.var((2, 3), correction=0, keepdim=True) + 1e-6).sqrt().detach()
    other = torch.randperm(count, device=kind)
    new_mean, new_spread = (share * part + (1 - share) * part[other] for part in (mean, spread))
    return (features - mean) / spread * new_spread + new_mean


def _places(network: nn.Module) -> Sequence[nn.Module]:
    """Returns the two modules after which styles are mixed."""
    layers = dict(network.named_modules())
    for names in PLACES:
        if all(name in layers for name in names):
            return [layers[name] for name in names]
    pools = [layer for layer in layers.values() if isinstance(layer, nn.MaxPool2d)]  # VGG's and SqueezeNet's
    if len(pools) < 2:
        raise ConfigError(
            f"method 'mixstyle': {type(network).__name__} has no stages with maps of features that it could act after; "
            "choose another model or method."
        )
    return pools[:2]
