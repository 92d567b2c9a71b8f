"""What training logs to a run: its settings, epochs, checkpoints, and the model that MLflow can load."""

import dataclasses
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import mlflow
import numpy as np
from mlflow.entities import Metric, RunTag
from mlflow.models import ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.types import Schema, TensorSpec

from wbc.cells import CLASSES
from wbc.code import serving_requirements
from wbc.config import RunConfig
from wbc.data.disk import flush_file
from wbc.data.fetch.checksums import file_sha256
from wbc.data.images import Images
from wbc.environment import describe_environment, hardware
from wbc.errors import CheckpointError, DamageError
from wbc.settings import settings_for
from wbc.surroundings import runs_at_once
from wbc.tracking import schema
from wbc.tracking.artifacts import fetch, holds_model
from wbc.tracking.claims import Claim, process_start, withdraw
from wbc.tracking.connection import insist, store_errors
from wbc.tracking.datasets import log_input
from wbc.tracking.read import StoredRun, stored_run
from wbc.tracking.whole import is_trained
from wbc.tracking.writer import Writer
from wbc.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from wbc.training.loop import EpochResult

_LOOKED_UP: Final = (schema.MODEL, schema.METHOD, schema.SEED, schema.SOURCE, *settings_for("rate"))
"""What readers ask a run for: its parameters, and tags where `mlflow run` has logged a word such as auto instead."""
_DECIDING: Final = ("model", "method", "seed", "recipe", *settings_for("trains"))
"""What a run and the checkpoint it goes on from have in common."""
_KEPT: Final = 2
_log = logging.getLogger(__name__)


class TrainingLog:
    """A run that is trained: the log that `wbc.training` writes to. A TrackingError tells that the store fails."""

    @store_errors()
    def __init__(self, run: StoredRun, config: RunConfig, writer: Writer, claim: Claim | None, folder: Path) -> None:
        """Takes the claim to the run and its `checkpoint_folder`."""
        self._id, self._config, self._writer, self._claim, self._folder = run.id, config, writer, claim, folder
        self._uploaded_epoch = 0
        self.trained = is_trained(run)
        """Whether the final checkpoint is there, so that nothing is left to train."""
        history = mlflow.MlflowClient().get_metric_history(run.id, schema.LOSS)
        self._logged_epochs = {point.step for point in history}

    @store_errors()
    def start(self, train: Iterable[Images] = ()) -> None:
        """Logs what describes the run, and the images that it is trained on."""
        self._confirm()
        log_settings(self._id, self._config)
        for images in train:
            log_input(self._id, images, "training")

    def log_epoch(self, epoch: int, result: EpochResult) -> None:
        """Logs the metrics of an epoch, counted from 1; an epoch that an interrupted run has logged stays as it is.

        Raises:
            BusyError: another process has taken the run over.
        """
        if self._claim:
            self._claim.check()
        if epoch not in self._logged_epochs:
            now = int(1000 * time.time())
            values = {schema.training(name): value for name, value in dataclasses.asdict(result).items()}
            metrics = [Metric(name, value, now, epoch) for name, value in values.items()]
            self._writer.later(partial(mlflow.MlflowClient().log_batch, self._id, metrics=metrics))

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Uploads a checkpoint, names it in a tag, keeps the one before: a kill at any point leaves a whole one.

        Meanwhile it lies in the `checkpoint_folder`. That of a finished run has no optimiser; with it goes the model
        that MLflow can load.
        """
        path = self._upload(checkpoint)
        if checkpoint.optimiser is None:
            self._writer.flush()
            self._log_model(path)
        self._writer.later(partial(shutil.rmtree, path.parent, ignore_errors=True))

    def rescue_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Uploads the checkpoint of a run that is being stopped, unless it is on its way already.

        The store has as long as the `Writer` gives it at a run's end; where it is away the checkpoint before stays.
        """
        if checkpoint.epoch != self._uploaded_epoch:
            self._upload(checkpoint)

    @store_errors()
    def load_checkpoint(self) -> Checkpoint | None:
        """Returns the newest checkpoint that is whole, its tensors on the CPU, or None where there is none.

        A damaged or missing one is left aside with a warning.
        """
        run = stored_run(mlflow.get_run(self._id))
        kept = [name for name in _digested(run) if name.startswith(f"{schema.CHECKPOINTS}/")]
        for name in sorted(kept, key=_epoch, reverse=True):
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                try:
                    path, checkpoint = read_kept(run, name, Path(folder))
                    _check_settings(checkpoint, self._config)
                except (DamageError, CheckpointError) as error:
                    _log.warning("%s of run %s is left aside: %s", name, self._id, error)
                    continue
                if checkpoint.optimiser is None and not holds_model(run):  # lost, or stopped between the two
                    self._log_model(path)
                return checkpoint
        if kept:
            _log.warning("run %s has no whole checkpoint: its training starts over", self._id)
        return None

    def end(self) -> None:
        """Deletes the checkpoints before the final one."""
        self._drop_checkpoints([schema.FINAL])

    def _upload(self, checkpoint: Checkpoint) -> Path:
        """Returns the file of a checkpoint, whose upload begins; it is alone in its folder."""
        artifact = schema.checkpoint(checkpoint.epoch, final=checkpoint.optimiser is None)
        path = Path(tempfile.mkdtemp(dir=self._folder), Path(artifact).name)
        write_checkpoint(checkpoint, path)
        self._uploaded_epoch = checkpoint.epoch
        for step in (self._upload_file, self._name_checkpoint, self._drop_older):  # if the run is ours, each
            self._writer.later(partial(step, artifact, path))
        return path

    def _upload_file(self, artifact: str, path: Path) -> None:
        artifacts = get_artifact_repository(mlflow.get_run(self._id).info.artifact_uri)
        artifacts.log_artifact(str(path), schema.CHECKPOINTS)
        if isinstance(artifacts, LocalArtifactRepository):  # a server has a disk of its own
            flush_file(Path(artifacts.get_local_path(artifact)))

    def _name_checkpoint(self, artifact: str, path: Path) -> None:
        tags = {schema.sha256(artifact): file_sha256(path), schema.CHECKPOINT: artifact}
        mlflow.MlflowClient().log_batch(self._id, tags=[RunTag(key, value) for key, value in tags.items()])

    def _drop_older(self, artifact: str, _: Path) -> None:
        kept = [name for name in _digested(stored_run(mlflow.get_run(self._id))) if _epoch(name) < _epoch(artifact)]
        self._drop_checkpoints([artifact, *sorted(kept, key=_epoch)[1 - _KEPT :]])

    @store_errors()
    def _drop_checkpoints(self, but: Iterable[str]) -> None:
        """Deletes other checkpoints, and what a kill has left of them."""
        self._confirm()
        run = stored_run(mlflow.get_run(self._id))
        artifacts = get_artifact_repository(run.artifact_uri)
        names = {file.path for file in artifacts.list_artifacts(schema.CHECKPOINTS)}
        if isinstance(artifacts, LocalArtifactRepository):  # its list hides files that were not copied to their end
            folder = Path(artifacts.artifact_dir, schema.CHECKPOINTS)
            names = {f"{schema.CHECKPOINTS}/{file.name}" for file in folder.iterdir()}
        digested = _digested(run)
        for name in (names | {name for name in digested if name.startswith(f"{schema.CHECKPOINTS}/")}) - set(but):
            if name in digested:
                withdraw(self._id, [schema.sha256(name)])  # which an answer that was lost may have done
            if name in names:
                artifacts.delete_artifacts(name)

    def _confirm(self) -> None:
        if self._claim:
            self._claim.confirm()

    @store_errors()
    def _log_model(self, checkpoint: Path) -> None:
        """Logs the model that MLflow can load, in the place of what a kill or a lost answer has left half-logged."""
        self._confirm()
        signature = ModelSignature(
            Schema([TensorSpec(np.dtype("uint8"), (-1, -1, -1, 3))]),
            Schema([TensorSpec(np.dtype("float32"), (-1, len(CLASSES)))]),
        )
        log = partial(
            mlflow.pyfunc.log_model,
            name=re.sub(r"[^\w+-]", "-", self._config.arm.name),  # MLflow takes no ":" or "." there
            loader_module="wbc.serving",
            data_path=str(checkpoint),
            code_paths=[str(Path(__file__).parents[1])],
            signature=signature,
            pip_requirements=serving_requirements(),
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*An input example was not provided", UserWarning)
            model = insist(log)
        client, experiment_id = mlflow.MlflowClient(), mlflow.get_run(self._id).info.experiment_id
        for other in client.search_logged_models([experiment_id], f"source_run_id = '{self._id}'"):
            if other.model_id != model.model_id:
                client.delete_logged_model(other.model_id)
        client.set_tag(self._id, schema.MODEL_ID, model.model_id)


def log_settings(run_id: str, config: RunConfig) -> None:
    """Logs what describes a run: tags, parameters, config.json and environment.json."""
    client = mlflow.MlflowClient()
    lists = {"targets": ",".join(config.targets), "adapt": ",".join(config.adapt) or "none"}
    values = dataclasses.asdict(config) | lists
    place = {schema.HARDWARE: hardware(config.device), schema.JOBS: str(runs_at_once())}
    # `mlflow run` has logged the words typed, such as auto: logging them again with another value would raise.
    data = client.get_run(run_id).data
    typed, stored = data.params, data.params | data.tags
    told = {name: values[name] for name in _LOOKED_UP if stored.get(name, str(values[name])) != str(values[name])}
    tags = {schema.PROFILE: config.profile, schema.ARM: config.arm.name} | place | told
    client.log_batch(run_id, tags=[RunTag(name, str(value)) for name, value in tags.items()])
    mlflow.log_params({name: value for name, value in values.items() if name not in typed}, run_id=run_id)
    for artifact, described in zip(schema.DESCRIBING, (values, describe_environment()), strict=True):
        text = json.dumps(described, indent=2)
        mlflow.log_text(text, artifact, run_id=run_id)
        client.set_tag(run_id, schema.sha256(artifact), hashlib.sha256(text.encode()).hexdigest())


def read_kept(run: StoredRun, artifact: str, folder: Path) -> tuple[Path, Checkpoint]:
    """Returns a run's checkpoint, fetched into `folder`, and what it holds, its tensors on the CPU.

    Raises:
        DamageError: it is missing, or not the one that was logged, or of another epoch than its name says.
        CheckpointError: it is no checkpoint of this project.
    """
    path = fetch(run, artifact, folder)
    if path is None:
        raise DamageError(f"run {run.id} has lost its {artifact}.")
    try:
        checkpoint = read_checkpoint(path)
    except CheckpointError as error:
        raise DamageError(f"{artifact} of run {run.id} is not a whole checkpoint of this project.") from error
    final, epochs = artifact == schema.FINAL, checkpoint.config.epochs
    epoch = epochs if final else schema.checkpoint_epoch(artifact)
    if checkpoint.epoch != epoch or (checkpoint.optimiser is None) != final:
        raise DamageError(f"{artifact} of run {run.id} holds epoch {checkpoint.epoch} of {epochs}.")
    return path, checkpoint


@contextmanager
def checkpoint_folder(run_id: str) -> Iterator[Path]:
    """Yields a folder below TMPDIR for a run's checkpoints on their way, which goes as the block ends.

    A process that is killed leaves it, with a gigabyte or more. Named by the run's id and the process, it goes when the
    run goes on on that machine.
    """
    for left in Path(tempfile.gettempdir()).glob(f"wbc-{run_id}-*"):
        pid = left.name.split("-")[2]
        if not (pid.isdigit() and process_start(int(pid))):
            shutil.rmtree(left, ignore_errors=True)
    prefix = f"wbc-{run_id}-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _check_settings(checkpoint: Checkpoint, config: RunConfig) -> None:
    """Raises a DamageError if a checkpoint was made with other settings than the run that goes on from it."""
    mine, its = dataclasses.asdict(config), dataclasses.asdict(checkpoint.config)
    other = [f"{name}={its[name]}" for name in _DECIDING if mine[name] != its[name]]
    if other:
        raise DamageError(f"it was made with {', '.join(sorted(other))}.")


def _digested(run: StoredRun) -> list[str]:
    return [name for tag in run.tags if (name := schema.digested(tag))]


def _epoch(artifact: str) -> float:
    return float(schema.checkpoint_epoch(artifact) or (np.inf if artifact == schema.FINAL else 0))
