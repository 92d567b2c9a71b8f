"""Norm layers fitted to unlabelled images: their statistics, or their weights by how sure the model is.

Images come once, in batches of 64 or a little fewer. Their order is drawn from the run's seed: classes are mixed as the
split has them. The model that comes out then scores all of them.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wbc.cells import CLASSES
from wbc.compute import autocast, layout
from wbc.config import RunConfig
from wbc.data.batches import gather
from wbc.data.images import Images
from wbc.errors import ConfigError
from wbc.methods.adapt import Source
from wbc.models.build import Classifier
from wbc.recipes import RECIPES
from wbc.seeding import generator

BATCH: Final = 64
SOURCE_IMAGES: Final = 128
"""What the source's statistics count for where they are mixed with the target's: N of Schneider et al."""
LR: Final = 1e-3
MARGIN: Final = 0.4 * math.log(len(CLASSES))
"""SAR learns from images whose entropy is below this."""
RESET: Final = 0.2 * math.log(len(CLASSES)) / math.log(1000)
"""SAR begins anew when the moving average of its loss falls below this; 0.2 was published for 1000 classes."""
RADIUS: Final = 0.05


def adabn(model: Classifier, images: Images, source: Source, config: RunConfig) -> Classifier:
    """Returns the model with each batch norm's mean and variance averaged over batches of the images.

    Within a batch, layers see what layers before them make of its statistics, as in training.

    Reference: Li et al. 2017, arXiv:1603.04779.
    """
    _estimate(model, images, config)
    return model


def adabn_mixed(model: Classifier, images: Images, source: Source, config: RunConfig) -> Classifier:
    """Returns the model with statistics n / (n + N) of the n images' and N / (n + N) the source's, N = 128.

    Reference: Schneider et al. 2020, arXiv:2006.16971, equation 3; there n is a batch's.
    """
    norms = _batch_norms(model)
    statistics = [each for norm in norms for each in (norm.running_mean, norm.running_var) if each is not None]
    before = [each.clone() for each in statistics]
    _estimate(model, images, config)
    for now, source_value in zip(statistics, before, strict=True):
        now.lerp_(source_value, SOURCE_IMAGES / (SOURCE_IMAGES + len(images.labels)))
    return model


def tent(model: Classifier, images: Images, source: Source, config: RunConfig) -> Classifier:
    """Returns the model whose norms' weights and biases make its answers surer: one step of Adam a batch.

    Batch norms use the batch's statistics meanwhile, and in the end those of all images, as in `adabn`.

    Reference: Wang et al. 2021, arXiv:2006.10726, with Adam at 1e-3; there each batch is scored as it comes.
    """
    weights = _free_norms(model, "tent")
    optimiser = torch.optim.Adam(weights, lr=LR)
    for batch in _batches(model, images, config):
        with autocast(config):
            loss = entropy(model(batch)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return _settled(model, images, config)


def sar(model: Classifier, images: Images, source: Source, config: RunConfig) -> Classifier:
    """Returns the model adapted as by `tent`, by the surer images alone and to where the loss is flat.

    It begins anew when the loss says that one class is about to take all.

    Reference: Niu et al. 2023, arXiv:2302.12400. There the optimiser is SGD and the last block's norms stay.
    """
    weights = _free_norms(model, "sar")
    first = [weight.detach().clone() for weight in weights]
    optimiser, average = torch.optim.Adam(weights, lr=LR), None
    for batch in _batches(model, images, config):
        loss = _flat_step(model, weights, batch, optimiser, config)
        if loss is None:
            continue
        average = loss if average is None else 0.9 * average + 0.1 * loss
        if average < RESET:
            with torch.no_grad():
                for weight, start in zip(weights, first, strict=True):
                    weight.copy_(start)
            optimiser, average = torch.optim.Adam(weights, lr=LR), None
    return _settled(model, images, config)


def entropy(scores: Float[Tensor, "batch 5"]) -> Float[Tensor, " batch"]:
    """Returns how unsure scores before softmax are, from 0 to ln 5."""
    logs = scores.float().log_softmax(1)
    return -(logs.exp() * logs).sum(1)


def _flat_step(
    model: Classifier, weights: Sequence[Tensor], batch: Tensor, optimiser: torch.optim.Optimizer, config: RunConfig
) -> float | None:
    """Takes one step of sharpness-aware minimisation; returns its loss, or None where no image is sure enough."""
    with autocast(config):
        unsure = entropy(model(batch))
    sure = unsure < MARGIN
    if not sure.any():
        return None
    uphill = _gradients(unsure[sure].mean(), weights)
    length = torch.stack([gradient.square().sum() for gradient in uphill]).sum().sqrt() + 1e-12
    starts = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, gradient in zip(weights, uphill, strict=True):
            weight.add_(gradient, alpha=RADIUS / float(length))
    with autocast(config):
        there = entropy(model(batch))
    sure = sure & (there < MARGIN)
    loss = there[sure].mean() if sure.any() else None
    downhill = _gradients(loss, weights) if loss is not None else None
    with torch.no_grad():
        for weight, start in zip(weights, starts, strict=True):
            weight.copy_(start)
    if loss is None or downhill is None:
        return None
    for weight, gradient in zip(weights, downhill, strict=True):
        weight.grad = gradient
    optimiser.step()
    return loss.item()


def _gradients(loss: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)


def _settled(model: Classifier, images: Images, config: RunConfig) -> Classifier:
    """Returns a model whose weights were adapted, with batch norm's statistics, if it has any, those of all images."""
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        _estimate(model, images, config)
    return model.eval()


def _free_norms(model: Classifier, name: str) -> list[Tensor]:
    """Returns the weights and biases of all norms, which alone may train; batch norms take the batch's statistics."""
    norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm)]
    model.eval().requires_grad_(False)
    weights = [weight for norm in norms for weight in norm.parameters()]
    if not weights:
        raise ConfigError(f"adaptation '{name}': it adapts norm layers, and this model has none.")
    for norm in norms:
        norm.train()
        norm.requires_grad_(True)
    return list(weights)


def _batch_norms(model: Classifier) -> list[nn.BatchNorm2d]:
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        raise ConfigError("adaptation 'adabn': it estimates batch norm's statistics, and this model has no batch norm.")
    return norms


def _estimate(model: Classifier, images: Images, config: RunConfig) -> None:
    """Sets each batch norm's statistics to the mean over batches; variances are unbiased, as PyTorch keeps them."""
    gather_statistics(model, _batch_norms(model), images, config)


def gather_statistics(model: Classifier, norms: Sequence[nn.BatchNorm2d], images: Images, config: RunConfig) -> None:
    """Sets the statistics of some batch norms to the mean over batches of the images."""
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's word for a plain mean over batches
        norm.train()
    with torch.no_grad(), autocast(config):
        for batch in _batches(model, images, config):
            model.embed(batch)
    model.eval()


def _batches(model: Classifier, images: Images, config: RunConfig) -> Iterator[Tensor]:
    """Yields all images on the device, in batches of equal size, give or take one, as they are scored."""
    count = len(images.labels)
    if count < 2:
        raise ConfigError(f"{images.name} has {count} image: to adapt to it takes at least 2.")
    order = generator(config.seed, "adapt", images.digest).permutation(count)
    crop_px = config.image_size if RECIPES[config.recipe].crops else None
    for first in range(batches := -(-count // BATCH)):
        batch = gather(images.pixels, order[first::batches], crop_px=crop_px)
        yield batch.contiguous(memory_format=layout(model, config)).to(config.device)
