"""One epoch of training: AdamW on batches from the pixel cache, a loss that must stay finite."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from wbc.compute import autocast
from wbc.config import RunConfig
from wbc.errors import DataError, TrainingError
from wbc.methods.average import WeightAverage
from wbc.models.build import Classifier
from wbc.models.folding import folded
from wbc.processes import stop_if_asked
from wbc.recipes import RECIPES
from wbc.seeding import derive_seed, generator
from wbc.training.feed import Feed
from wbc.training.schedule import learning_rates


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """What an epoch came to, over the images as they were augmented."""

    loss: float
    accuracy: float
    """In [0, 1]; of images that are blended, the share in which the class of most weight scores highest."""
    lr: float
    images_per_s: float


def build_optimiser(model: Classifier, config: RunConfig) -> torch.optim.AdamW:
    """Returns AdamW over the trainable parameters; betas and epsilon are PyTorch's, as in the released code."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trainable, lr=config.lr, weight_decay=config.weight_decay, fused=config.fast or None)


def train_epoch(
    model: Classifier,
    optimiser: torch.optim.Optimizer,
    feed: Feed,
    epoch: int,
    config: RunConfig,
    average: WeightAverage | None = None,
    advance: Callable[[float], None] = lambda _: None,
) -> EpochResult:
    """Trains one epoch, counted from 0, in place and returns its result; `feed` is of this model and its images.

    Everything random comes from (seed, epoch): a run resumed at an epoch's start draws what it would have drawn.
    `average` follows the weights of each step. `advance` is called with the share of the epoch that a step has done.

    Raises:
        TrainingError: the loss was not finite; the message names epoch and step. Earlier checkpoints are untouched.
    """
    device, lr, drawn = torch.device(config.device), learning_rate(config, epoch), feed.draw(epoch)
    for group in optimiser.param_groups:
        group["lr"] = lr
    choose_trained(model, optimiser, feed, epoch, config.epochs)
    losses, correct, seen, started = [], torch.zeros((), dtype=torch.int64, device=device), 0, time.perf_counter()
    mixing = generator(config.seed, "mixup", epoch)
    rows = batches(drawn.order, config.batch_size)
    if feed.parts.mixing and RECIPES[config.recipe].mixup_drops_odd_image:
        rows = [batch[: len(batch) // 2 * 2] for batch in rows]
    model.train()
    with seeded(device, config.seed, "dropout", epoch), _folded(model, config):
        for step, (inputs, labels) in enumerate(feed.load(rows, drawn)):
            stop_if_asked()
            mixed, targets = feed.parts.mixing(inputs, labels, mixing) if feed.parts.mixing else (inputs, labels)
            with autocast(config):
                scores, loss = compute_loss(model, feed, mixed, targets, rows[step])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if average:
                average.update(model, epoch * len(rows) + step, config.epochs * len(rows))
            losses.append(loss.detach() * len(labels))
            correct += (scores.argmax(1) == (targets.argmax(1) if targets.ndim > 1 else targets)).sum()
            seen += len(labels)
            advance(len(labels) / len(drawn.order))
    total = finite_sum(losses, epoch)
    if saves(config, epoch):
        model.eval()
        with torch.no_grad(), autocast(config):
            check_scores(feed.split_outputs(feed.plain(inputs), model.head[-1])[0], epoch)
    return EpochResult(
        loss=total / seen, accuracy=correct.item() / seen, lr=lr, images_per_s=seen / (time.perf_counter() - started)
    )


def compute_loss(
    model: Classifier, feed: Feed, inputs: Tensor, targets: Tensor, samples: Int64[np.ndarray, " batch"]
) -> tuple[Float[Tensor, "batch 5"], Float[Tensor, ""]]:
    """Returns the scores of a batch and the loss that the run's method gives for its labels or label distributions."""
    scores, embeddings = feed.split_outputs(feed.forward(inputs), model.head[-1])
    if feed.parts.loss is None:
        return scores, cross_entropy(scores, targets)
    return scores, feed.parts.loss.compute(scores, targets, embeddings, feed.labs(samples))


def choose_trained(model: Classifier, optimiser: torch.optim.Optimizer, feed: Feed, epoch: int, epochs: int) -> None:
    """Sets which of the optimiser's parameters train in an epoch, where the run's method says so."""
    if feed.parts.trained:
        held = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
        for name, parameter in model.named_parameters():
            if id(parameter) in held:
                parameter.requires_grad_(feed.parts.trained(name, epoch, epochs))


def learning_rate(config: RunConfig, epoch: int) -> float:
    """Returns the learning rate of an epoch under the run's recipe."""
    rotated = RECIPES[config.recipe].rotated_schedule
    epochs, warmup_epochs = config.epochs, config.warmup_epochs
    return learning_rates(epochs=epochs, warmup_epochs=warmup_epochs, peak=config.lr, rotated=rotated)[epoch]


def saves(config: RunConfig, epoch: int) -> bool:
    """Returns whether the weights after an epoch, counted from 0, are saved: the last ones, and some before."""
    return epoch + 1 == config.epochs or (epoch + 1) % config.checkpoint_every == 0


def batches(order: Int64[np.ndarray, " images"], size: int) -> list[Int64[np.ndarray, " batch"]]:
    """Returns `order` cut into batches; a last batch of a single image, which batch norm cannot train on, is left out.

    Raises:
        DataError: there are fewer than two images.
    """
    if len(order) < 2:
        raise DataError(f"{len(order)} training image(s): training needs at least 2.")
    usable = len(order) - (len(order) % size == 1)
    return [order[start : start + size] for start in range(0, usable, size)]


@contextmanager
def seeded(device: torch.device, *stream: object) -> Iterator[None]:
    """Seeds PyTorch's generators, which dropout draws from, inside the block and puts them back after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(*stream))
        yield


def check_scores(scores: Float[Tensor, "batch 5"], epoch: int) -> None:
    """Raises a TrainingError if the last update of an epoch, whose effect no loss has seen, broke the model."""
    if not torch.isfinite(scores).all():
        raise TrainingError(
            f"the model's scores are not finite after epoch {epoch + 1}: try a lower lr or precision=fp32. "
            "The last checkpoint is kept."
        )


def finite_sum(losses: list[Tensor], epoch: int) -> float:
    """Returns the sum of the losses of an epoch's steps, read from the device at once.

    Raises:
        TrainingError: one of them is not finite.
    """
    values = torch.stack(losses)
    wrong = (~torch.isfinite(values)).nonzero()
    if len(wrong):
        step = int(wrong[0])
        raise TrainingError(
            f"loss is {values[step].item()} in epoch {epoch + 1}, step {step + 1} of {len(losses)}: "
            "try a lower lr or precision=fp32. The last checkpoint is kept."
        )
    return float(values.sum())


def _folded(model: Classifier, config: RunConfig) -> AbstractContextManager[None]:
    """Folds frozen batch norm where that is faster: on a CPU, in fp32, for bf16 would round the folded weights.

    For GPUs the compiler does it.
    """
    folds = config.fast and config.device == "cpu" and config.precision == "fp32"
    return folded(model.backbone) if folds else nullcontext()
