"""Trains a model to its last epoch; where it reports to, and keeps its checkpoints, is the caller's."""

import dataclasses
import logging
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

import torch

from wbc.compute import keep_memory, place
from wbc.config import RunConfig
from wbc.data.images import Images
from wbc.environment import hardware
from wbc.methods.average import WeightAverage
from wbc.models.build import Classifier
from wbc.processes import asked_to_stop
from wbc.terminal import progress
from wbc.training.checkpoint import Checkpoint, fill_model
from wbc.training.feed import Feed
from wbc.training.loop import EpochResult, build_optimiser, saves, train_epoch

_log = logging.getLogger(__name__)


@runtime_checkable
class Log(Protocol):
    """What training reports to."""

    def log_epoch(self, epoch: int, result: EpochResult) -> None:
        """Takes the result of an epoch, counted from 1."""

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keeps a checkpoint in place of the one before; one without an optimiser is of a finished run."""

    def rescue_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keeps the checkpoint of a run that is being stopped, if there is time."""

    def load_checkpoint(self) -> Checkpoint | None:
        """Returns the last checkpoint that was kept whole, or None."""


def fit(model: Classifier, images: Images, config: RunConfig, log: Log) -> None:
    """Trains in place to the last epoch, from the last checkpoint on where there is one.

    `model` has the weights that the run starts from. At the end it has those to be scored: the last ones, or the
    average of a method that averages. Ctrl-C or SIGTERM leaves a checkpoint of the last whole epoch, also where that is
    not one to be saved.
    """
    place(model, config)
    checkpoint = log.load_checkpoint()
    if checkpoint and checkpoint.optimiser is None:
        fill_model(model, checkpoint)
        return
    _log.info("training in %s on %s%s", config.precision, hardware(config.device), "" if config.fast else ", fast=off")
    if config.fast and config.device == "cpu" and config.scale == "full":
        keep_memory()
    optimiser = build_optimiser(model, config)
    feed = Feed(model, images, config)  # before the checkpoint is filled in: a loss may hold on to the first weights
    average = WeightAverage(model, feed.parts.average) if feed.parts.average else None
    kept = feed.parts.loss.state if feed.parts.loss else {}
    if checkpoint:
        _restore(checkpoint, model, optimiser, average, kept)
    unsaved: Checkpoint | None = None
    start = checkpoint.epoch if checkpoint else 0
    try:
        with progress(config.name, config.epochs, "epochs", start=start) as advance:
            for epoch in range(start, config.epochs):
                result = train_epoch(model, optimiser, feed, epoch, config, average, advance)
                log.log_epoch(epoch + 1, result)
                _tell(epoch + 1, config.epochs, result)
                unsaved = _checkpoint(config, epoch + 1, model, optimiser, average, kept)
                if saves(config, epoch):
                    log.save_checkpoint(unsaved)
                    unsaved = None
                else:  # the next epoch changes these tensors in place
                    state = {
                        name: _copied(getattr(unsaved, name)) for name in ("model", "optimiser", "average", "loss")
                    }
                    unsaved = dataclasses.replace(unsaved, **state)
    except BaseException as error:
        stopped = isinstance(error, (KeyboardInterrupt, SystemExit)) or asked_to_stop()
        if unsaved and stopped and all(torch.isfinite(each).all() for each in unsaved.model.values()):
            with suppress(Exception):  # a store that is away: the checkpoint before stays
                log.rescue_checkpoint(unsaved)
        raise


def _tell(epoch: int, epochs: int, result: EpochResult) -> None:
    told = epoch, epochs, result.loss, 100 * result.accuracy, result.lr, result.images_per_s
    _log.info("epoch %d/%d  loss %.4f  accuracy %.1f %%  lr %.2g  %.0f images/s", *told)


def _checkpoint(
    config: RunConfig,
    epoch: int,
    model: Classifier,
    optimiser: torch.optim.Optimizer,
    average: WeightAverage | None,
    loss: dict[str, torch.Tensor],
) -> Checkpoint:
    """Returns the state after `epoch` epochs; after the last one the model is given its averaged weights, if any."""
    if epoch == config.epochs:
        if average:
            model.load_state_dict(average.state)
        return Checkpoint(config=config, epoch=epoch, model=model.state_dict(), optimiser=None)
    averaged = average.state if average else None
    state = optimiser.state_dict()
    weights = model.state_dict()
    return Checkpoint(config=config, epoch=epoch, model=weights, optimiser=state, average=averaged, loss=loss)


def _restore(
    checkpoint: Checkpoint,
    model: Classifier,
    optimiser: torch.optim.Optimizer,
    average: WeightAverage | None,
    loss: dict[str, torch.Tensor],
) -> None:
    fill_model(model, checkpoint)
    if checkpoint.optimiser:
        optimiser.load_state_dict(checkpoint.optimiser)
    if average and checkpoint.average:
        average.fill(checkpoint.average)
    for name, value in (checkpoint.loss or {}).items():
        loss[name].copy_(value)


def _copied(state: Any) -> Any:
    """Returns the dicts and lists of a state with copies of its tensors."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state
