"""Builds a classifier from a row of the catalogue: backbone, head, what is frozen, weights and their normalisation."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import safetensors.torch
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from wbc.config import RunConfig
from wbc.data.disk import whole_file
from wbc.errors import ConfigError, WeightsError, first_line
from wbc.models.catalog import TIMM_PREFIX, Backbone, find_backbone, find_model
from wbc.models.surgery import build_head, freeze_layers, frozen_batch_norms, split_at_first_trainable
from wbc.models.thin import build_network
from wbc.models.weights import IMAGENET_MEAN, IMAGENET_STD, declared_normalisation, find_weights, load_weights
from wbc.recipes import RECIPES
from wbc.seeding import derive_seed

Pixels: TypeAlias = UInt8[Tensor, "batch 3 height width"] | Float[Tensor, "batch 3 height width"]
_widths: Final[dict[tuple[str, str, int], int]] = {}
"""Of features, by backbone, scale and image size: they are followed once, which is slower than making a network."""


class Classifier(nn.Module):
    """A network with its own normalisation: bytes of an image in, five scores before softmax out."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, *, backbone: nn.Module, head: nn.Sequential, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self._frozen_norms = frozen_batch_norms(backbone)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def normalise(self, images: Pixels) -> Float[Tensor, "batch 3 height width"]:
        """Returns the backbone's input for images with values from 0 to 255."""
        if not images.is_contiguous(memory_format=torch.channels_last):
            return torch.div(images, 255).sub_(self.mean).div_(self.std)
        # Line by line the same arithmetic goes several times as fast as in steps of three channels.
        mean, std = (values.flatten().repeat(images.shape[3]) for values in (self.mean, self.std))
        if images.is_cuda or images.requires_grad or torch.compiler.is_compiling():
            pixels = torch.div(images, 255)
            pixels.permute(0, 2, 3, 1).flatten(2).sub_(mean).div_(std)
            return pixels
        pixels = torch.empty_like(images, dtype=mean.dtype)
        for image, out in zip(images, pixels, strict=True):  # each stays in the processor's cache
            torch.div(image, 255, out=out).permute(1, 2, 0).flatten(1).sub_(mean).div_(std)
        return pixels

    def embed(self, images: Pixels) -> Float[Tensor, "batch dim"]:
        """Returns the input of the last linear layer, for images with values from 0 to 255, mixed or not."""
        features: Tensor = self.backbone(self.normalise(images))
        for layer in list(self.head)[:-1]:
            features = layer(features)
        return features

    def forward(self, images: Pixels) -> Float[Tensor, "batch 5"]:
        """Returns the scores of the five classes, before softmax."""
        scores: Tensor = self.head[-1](self.embed(images))
        return scores

    def split_frozen(
        self, *, embeddings: bool = False
    ) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]] | None:
        """Returns two functions that make up `forward`, of which the first trains nothing; None if it begins otherwise.

        The first takes images and depends on nothing but each image; the second takes what it returns. With
        `embeddings` the two make up `embed`.
        """
        parts = split_at_first_trainable(self.backbone)
        if parts is None:
            return None
        first, rest = parts
        head = self.head[:-1] if embeddings else self.head
        return lambda images: first(self.normalise(images)), lambda features: head(rest(features))

    def train(self, mode: bool = True) -> "Classifier":
        """Sets training mode; frozen batch norms stay frozen."""
        super().train(mode)
        for norm in self._frozen_norms:
            norm.eval()
        return self


def build_model(
    name: str,
    *,
    scale: Literal["full", "tiny"],
    image_size: int,
    pretrained: str,
    seed: int,
    normalisation: Literal["weights", "imagenet"] = "weights",
) -> Classifier:
    """Returns the classifier of a row, in training mode on the CPU; the global generators stay as they were.

    Args:
        name: a key of `MODELS`, or "timm:" and timm's name.
        scale: the network as published, or the same topology thin.
        image_size: height and width of the images in pixels.
        pretrained: "imagenet", "none", or the path of a file of weights or of a folder of them.
        seed: decides the initial weights; backbone and head draw from separate streams.
        normalisation: what the weights declare (recipe=paper), or ImageNet's (recipe=released): the two differ for
            ResNetV2 only. Thin networks always take ImageNet's.

    Raises:
        ConfigError: no such model, no thin variant of it, or an image size it does not take.
        WeightsError: the weights cannot be had or do not fit.
    """
    row = find_model(name)
    record = find_backbone(row.backbone)
    if scale == "tiny" and row.backbone.startswith(TIMM_PREFIX):
        raise ConfigError(f"model '{name}' has no thin variant: scale=full is the only one of a timm: backbone.")
    if scale == "tiny" and pretrained == "imagenet":
        raise WeightsError("no ImageNet weights exist for scale=tiny: give pretrained=PATH or pretrained=none.")
    with _stream(seed, "init"):
        backbone = _build_backbone(record, scale, image_size)
    kind = row.backbone, scale, image_size
    width = _widths[kind] = _widths.get(kind) or _count_features(backbone, record.name, image_size)
    if pretrained != "none":
        load_weights(backbone, find_weights(pretrained, row.backbone, record), row.backbone, record)
    with _stream(seed, "head"):
        head = build_head(row.head, width)
    freeze_layers(backbone, row.trainable, norms=row.norm != "frozen_batch")
    imagenet = scale == "tiny" or normalisation == "imagenet"
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if imagenet else declared_normalisation(record)
    return Classifier(backbone=backbone, head=head, mean=mean, std=std).train()


def build(config: RunConfig, weights: Path | None) -> Classifier:
    """Returns a run's model before its first epoch, from a file of weights or from random ones."""
    return build_model(
        config.model,
        scale=config.scale,
        image_size=config.image_size,
        pretrained=str(weights or "none"),
        seed=config.seed,
        normalisation=RECIPES[config.recipe].normalisation,
    )


def backbone_state(model: Classifier) -> dict[str, Tensor]:
    """Returns the backbone's weights on the CPU, without the head."""
    return {name: value.detach().cpu().contiguous() for name, value in model.backbone.state_dict().items()}


def write_backbone(model: Classifier, path: Path) -> None:
    """Writes the backbone's weights as .safetensors, which `pretrained=PATH` takes for each row of that backbone."""
    with whole_file(path) as file:
        file.write(safetensors.torch.save(backbone_state(model)))


@contextmanager
def _stream(seed: int, name: str) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would reseed the GPUs as well, which fork_rng with no devices does not restore.
        torch.default_generator.manual_seed(derive_seed(seed, name))
        yield


def check_image_size(config: RunConfig) -> None:
    """Raises a ConfigError if a run's images do not divide into the patches of its network; builds nothing."""
    backbone = find_backbone(find_model(config.model).backbone)
    _check_patches(backbone, backbone.full if config.scale == "full" else backbone.tiny, config.image_size)


def _check_patches(backbone: Backbone, keywords: Mapping[str, Any], image_size: int) -> None:
    patch = keywords.get("patch_size", 1)
    if image_size % patch:
        raise ConfigError(
            f"image_size={image_size} does not divide into the patches of {backbone.name}: {patch} pixels."
        )


def _build_backbone(backbone: Backbone, scale: Literal["full", "tiny"], image_size: int) -> nn.Module:
    keywords = backbone.full if scale == "full" else backbone.tiny
    _check_patches(backbone, keywords, image_size)
    try:
        return build_network(backbone, keywords, image_size)
    except (AssertionError, ValueError) as error:
        raise _unfit_size(backbone.name, image_size, error) from error


def _count_features(backbone: nn.Module, name: str, image_size: int) -> int:
    """Returns the width of the features, and refuses an unfit image size before training meets it.

    The pass is on the meta device, which follows shapes and computes nothing.
    """
    shapes = {key: value.to("meta") for key, value in (*backbone.named_parameters(), *backbone.named_buffers())}
    image = torch.empty(1, 3, image_size, image_size, device="meta")
    try:
        with torch.no_grad():
            features = torch.func.functional_call(backbone.eval(), shapes, (image,))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise _unfit_size(name, image_size, error) from error
    if features.ndim != 2:
        raise ConfigError(f"{name} does not pool its features: shape {tuple(features.shape)}, expected (1, width).")
    return int(features.shape[1])


def _unfit_size(name: str, image_size: int, error: Exception) -> ConfigError:
    return ConfigError(f"{name} does not take image_size={image_size}: {first_line(error)}")
