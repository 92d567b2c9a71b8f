"""Checkpoints: written whole or not at all, read without running code, and never loaded into another model.

The schedule and every random draw are functions of (seed, epoch): weights, optimiser and epoch are all there is to
keep.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch

from wbc.arms import PLAIN
from wbc.config import RunConfig
from wbc.data.disk import whole_file
from wbc.errors import CheckpointError, first_line, in_a_line
from wbc.models.build import Classifier, build
from wbc.models.weights import refuse_packed


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A run's state after `epoch` epochs; `optimiser` is None in the checkpoint of a finished run."""

    config: RunConfig
    epoch: int
    model: dict[str, Any]
    optimiser: dict[str, Any] | None
    average: dict[str, Any] | None = None
    """The averaged weights, where the method averages; in a finished run they are the model."""
    loss: dict[str, Any] | None = None
    """What the method's loss keeps from step to step, where it keeps anything."""


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes to a temporary name, flushes and renames: `path` holds a whole checkpoint or what it held before."""
    fields = {field.name: getattr(checkpoint, field.name) for field in dataclasses.fields(checkpoint)}
    try:
        with whole_file(path) as file:
            torch.save(fields | {"config": dataclasses.asdict(checkpoint.config)}, file)
    except (OSError, RuntimeError) as error:  # RuntimeError: what torch.save makes of a full disk
        raise CheckpointError(f"cannot write the checkpoint {path}: {error}. Free some space and run again.") from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Returns the checkpoint at `path`, its tensors on the CPU.

    Raises:
        CheckpointError: there is none, or the file is damaged or not a checkpoint of this project.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}: give an MLflow run id or the path of a checkpoint file.")
    try:
        refuse_packed(path)
        with ZipFile(path) as records:  # whose CRC-32s PyTorch writes, and does not read
            if spoilt := records.testzip():
                raise BadZipFile(f"{spoilt} is damaged")
        fields = torch.load(path, map_location="cpu", weights_only=True)
        settings = {"fast": False, "method": PLAIN, **fields["config"]}  # older checkpoints name neither
        config = RunConfig(**{**settings, "targets": tuple(settings["targets"])})
        state = {name: fields[name] for name in ("epoch", "model", "optimiser")}
        return Checkpoint(config=config, average=fields.get("average"), loss=fields.get("loss"), **state)
    except Exception as error:  # torch.load raises whatever a damaged pickle leads it to
        whole = is_zipfile(path) and not isinstance(error, UnpicklingError)
        reason = first_line(error) if whole else "no file of PyTorch's, or cut off"
        raise CheckpointError(f"{path} is not a whole checkpoint of this project: {reason}.") from error


def restore_model(checkpoint: Checkpoint) -> Classifier:
    """Returns the checkpoint's model on the CPU.

    Raises:
        CheckpointError: the weights are not those of the model that the checkpoint names.
    """
    model = build(checkpoint.config, None)
    fill_model(model, checkpoint)
    return model


def fill_model(model: Classifier, checkpoint: Checkpoint) -> None:
    """Puts the checkpoint's weights into a model of the kind it names; raises a CheckpointError if they do not fit."""
    try:
        model.load_state_dict(checkpoint.model)
    except RuntimeError as error:
        raise CheckpointError(
            f"the checkpoint's weights are not those of {checkpoint.config.model}: {in_a_line(error)}"
        ) from error
