"""The average of the weights of several seeds' models: a soup."""

import dataclasses
from collections.abc import Sequence
from typing import Final

import torch

from wbc.errors import ConfigError
from wbc.settings import settings_for
from wbc.training.checkpoint import Checkpoint

_SHARED: Final = ("model", "method", "source", "recipe", "pretrained", "validation", *settings_for("trains"))


def average_weights(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """Returns the first of the finished runs' checkpoints with the mean of all weights; counters are the first's.

    Batch norm's statistics are averaged too. Where they were gathered in training, they are to be computed anew.

    Reference: Wortsman et al. 2022, arXiv:2203.05482, uniform soup; there learning rates and augmentations vary too.

    Raises:
        ConfigError: the runs differ in more than their seed, or each seed starts from different weights.
    """
    first, *others = (each.config for each in checkpoints)
    for name in _SHARED:
        values = dict.fromkeys(str(getattr(config, name)) for config in (first, *others))
        if len(values) > 1:
            raise ConfigError(f"run: weights of {name}={' and '.join(values)} have no average: name seeds of one arm.")
    if first.pretrained in ("none", "patterns"):
        raise ConfigError(
            f"run: with pretrained={first.pretrained} each seed starts from different weights, which have no average."
        )
    if len({config.seed for config in (first, *others)}) < len(checkpoints):
        raise ConfigError("run: a seed is named twice: name each once.")
    mean = {
        name: torch.stack([each.model[name] for each in checkpoints]).mean(0) if value.is_floating_point() else value
        for name, value in checkpoints[0].model.items()
    }
    return dataclasses.replace(checkpoints[0], model=mean)
