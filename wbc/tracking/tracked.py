"""What training and scoring log to an MLflow run: epochs, checkpoints, the model, each domain's scores."""

import dataclasses
import json
import logging
import math
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import mlflow
import numpy as np
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Dataset, DatasetInput, InputTag, Run
from mlflow.models import ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.types import Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from wbc.cells import CLASSES
from wbc.code import serving_requirements
from wbc.config import RunConfig
from wbc.data.disk import flush_file
from wbc.data.images import Images
from wbc.environment import describe_environment, hardware
from wbc.evaluation.confusion import draw_confusion
from wbc.evaluation.metrics import Metrics
from wbc.evaluation.records import Predictions, write_predictions
from wbc.evaluation.samples import draw_samples
from wbc.surroundings import runs_at_once
from wbc.tracking.claims import Claim
from wbc.tracking.connection import insist
from wbc.tracking.store import store_errors
from wbc.tracking.writer import Writer
from wbc.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from wbc.training.loop import EpochResult

_log = logging.getLogger(__name__)
_TAGGED: Final = (
    "model",
    "seed",
    "profile",
    "source",
    "targets",
    "recipe",
    "scale",
    "pretrained",
    "precision",
    "fast",
    "image_size",
)


class TrackedRun:
    """An MLflow run under way: what training and scoring log to it; a TrackingError tells that the store fails."""

    @store_errors()
    def __init__(
        self, run: Run, config: RunConfig, writer: Writer, claim: Claim | None = None, folder: Path | None = None
    ) -> None:
        """Takes the claim to a run that is trained, and its `checkpoint_folder`."""
        self.id: str = run.info.run_id
        self.done = run.data.tags.get("complete") == "true"
        self._config, self._writer, self._claim, self._folder = config, writer, claim, folder
        self._uploaded_epoch = 0
        self._model_id: str | None = run.data.tags.get("model_id")
        self._logged: dict[str, float] = run.data.metrics
        self._logged_epochs = {point.step for point in mlflow.MlflowClient().get_metric_history(self.id, "train/loss")}

    @store_errors()
    def accuracies(self, domains: Iterable[str]) -> dict[str, float]:
        """Returns the accuracy logged for each of the domains, in [0, 1]."""
        metrics = mlflow.get_run(self.id).data.metrics
        return {domain: metrics[f"test/{domain}/accuracy"] for domain in domains}

    @store_errors()
    def scored(self, images: Images) -> bool:
        """Returns whether the domain's metrics, which are logged after all else of it, were there from the start.

        A kill may have come between the run's and the model's: the same points again are new to the model alone.
        """
        logged = {name: value for name, value in self._logged.items() if name.startswith(f"test/{images.name}/")}
        if logged:
            time_ms = mlflow.MlflowClient().get_metric_history(self.id, next(iter(logged)))[0].timestamp
            self._log_scores(logged, self.log_input(images, "testing"), time_ms)
        return bool(logged)

    @store_errors()
    def log_start(self, train: Images | None, tests: Iterable[Images]) -> None:
        """Logs what describes the run: tags, parameters, data sets, config.json and environment.json.

        Scores of a checkpoint file have no training images.
        """
        self._confirm()
        values = dataclasses.asdict(self._config) | {"targets": ",".join(self._config.targets)}
        place = {"hardware": hardware(self._config.device), "jobs": str(runs_at_once())}
        mlflow.set_tags({name: values[name] for name in _TAGGED} | place)
        # `mlflow run` has logged the words typed, such as auto: logging them again with another value would raise.
        typed = mlflow.get_run(self.id).data.params
        mlflow.log_params({name: value for name, value in values.items() if name not in typed})
        mlflow.log_dict(values, "config.json")
        mlflow.log_dict(describe_environment(), "environment.json")
        for images, context in [(train, "training"), *((images, "testing") for images in tests)]:
            if images:
                self.log_input(images, context)

    @store_errors()
    def log_input(self, images: Images, context: str) -> Dataset:
        """Logs a data set, by name, digest, origin and counts, as an input: `context` is training or testing."""
        dataset = _dataset(images)
        inputs = [DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, context)])]
        insist(lambda: mlflow.MlflowClient().log_inputs(self.id, inputs))
        return dataset

    def log_epoch(self, epoch: int, result: EpochResult) -> None:
        """Logs the metrics of an epoch, counted from 1; an epoch that an interrupted run has logged stays as it is.

        Raises:
            BusyError: another process has taken the run over.
        """
        if self._claim:
            self._claim.check()
        if epoch not in self._logged_epochs:
            metrics = {f"train/{name}": value for name, value in dataclasses.asdict(result).items()}
            log = partial(mlflow.log_metrics, metrics, epoch, run_id=self.id, timestamp=int(1000 * time.time()))
            self._writer.later(log)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Uploads a checkpoint, names it in a tag, drops the one before: a kill at any point leaves a whole one.

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

    def _upload(self, checkpoint: Checkpoint) -> Path:
        """Returns the file of a checkpoint, whose upload begins; it is alone in its folder."""
        name = f"epoch_{checkpoint.epoch:04d}.pt" if checkpoint.optimiser else "final.pt"
        path = Path(tempfile.mkdtemp(dir=self._folder), name)
        write_checkpoint(checkpoint, path)
        self._uploaded_epoch = checkpoint.epoch
        for step in (self._upload_file, self._name_checkpoint, self._drop_others):  # if the run is ours, each
            self._writer.later(partial(step, path))
        return path

    @store_errors()
    def load_checkpoint(self) -> Checkpoint | None:
        """Returns the last checkpoint that was saved whole, its tensors on the CPU, or None where there is none."""
        name = mlflow.get_run(self.id).data.tags.get("checkpoint")
        if name is None:
            return None
        with downloaded(self.id, name, self._folder) as path:
            checkpoint = read_checkpoint(path)
            if checkpoint.optimiser is None and self._model_id is None:  # the run was stopped between the two
                self._log_model(path)
        return checkpoint

    def log_domain(self, images: Images, predictions: Predictions, metrics: Metrics) -> None:
        """Logs predictions, embeddings, confusion, sample cells and `test/<domain>/…` metrics of one domain."""
        with tempfile.TemporaryDirectory() as folder:
            write_predictions(predictions, Path(folder))
            (Path(folder) / "samples").mkdir()
            draw_samples(images.ids, images.labels, images.pixels).save(Path(folder) / "samples" / f"{images.name}.png")
            (Path(folder) / "confusion").mkdir()
            draw_confusion(metrics, f"{self._config.model}/seed{self._config.seed} on {images.name}").savefig(
                Path(folder) / "confusion" / f"{images.name}.png", dpi=150
            )
            with store_errors():
                mlflow.log_artifacts(folder, run_id=self.id)
        with store_errors():
            dataset = self.log_input(images, "testing")
            self._log_scores(_flat(metrics, images.name), dataset, int(1000 * time.time()))

    @store_errors()
    def complete(self) -> None:
        """Marks the run as done, once everything else is logged."""
        self._confirm()
        self._drop_checkpoints(but="checkpoint/final.pt")
        mlflow.set_tag("complete", "true")

    def _confirm(self) -> None:
        """Raises a BusyError if another process has taken the run over."""
        if self._claim:
            self._claim.confirm()

    def _log_scores(self, scores: dict[str, float], dataset: Dataset, time_ms: int) -> None:
        self._confirm()
        mlflow.log_metrics(scores, run_id=self.id, timestamp=time_ms, model_id=self._model_id, dataset=dataset)

    def _upload_file(self, path: Path) -> None:
        name = f"checkpoint/{path.name}"
        artifacts = get_artifact_repository(mlflow.get_run(self.id).info.artifact_uri)
        artifacts.log_artifact(str(path), "checkpoint")
        if isinstance(artifacts, LocalArtifactRepository):  # a server has a disk of its own
            flush_file(Path(artifacts.get_local_path(name)))

    def _name_checkpoint(self, path: Path) -> None:
        mlflow.MlflowClient().set_tag(self.id, "checkpoint", f"checkpoint/{path.name}")

    def _drop_others(self, path: Path) -> None:
        self._drop_checkpoints(but=f"checkpoint/{path.name}")

    def _drop_checkpoints(self, but: str) -> None:
        """Deletes earlier checkpoints, and what a kill has left of others."""
        artifacts = get_artifact_repository(mlflow.get_run(self.id).info.artifact_uri)
        names = [file.path for file in artifacts.list_artifacts("checkpoint")]
        if isinstance(artifacts, LocalArtifactRepository):  # its list hides files that were not copied to their end
            names = [f"checkpoint/{file.name}" for file in Path(artifacts.artifact_dir, "checkpoint").iterdir()]
        for name in names:
            if name != but:
                artifacts.delete_artifacts(name)

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
            name="model",
            loader_module="wbc.serving",
            data_path=str(checkpoint),
            code_paths=[str(Path(__file__).parents[1])],
            signature=signature,
            pip_requirements=serving_requirements(),
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*An input example was not provided", UserWarning)
            model = insist(log)
        client, experiment_id = mlflow.MlflowClient(), mlflow.get_run(self.id).info.experiment_id
        for other in client.search_logged_models([experiment_id], f"source_run_id = '{self.id}'"):
            if other.model_id != model.model_id:
                client.delete_logged_model(other.model_id)
        self._model_id = model.model_id
        mlflow.set_tag("model_id", model.model_id)


@contextmanager
def checkpoint_folder(run_id: str) -> Iterator[Path]:
    """Yields a folder below TMPDIR for a run's checkpoints on their way, which goes as the block ends.

    A process that is killed leaves it, with a gigabyte or more; named by the run's id, it goes when the run goes on on
    that machine.
    """
    for left in Path(tempfile.gettempdir()).glob(f"wbc-{run_id}-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"wbc-{run_id}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def downloaded(run_id: str, name: str, below: Path | None = None) -> Iterator[Path]:
    """Yields an artifact as a file, below a folder or TMPDIR, that is there for as long as the block lasts."""
    with tempfile.TemporaryDirectory(dir=below) as folder:
        yield Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/{name}", dst_path=folder))


def _dataset(images: Images) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a path may be read in several ways, says MLflow
        source = resolve_dataset_source(images.origin)
    # MLflow declares a `profile` that MetaDataset never defines; its digests hold 36 characters.
    described = MetaDataset(source, name=images.name, digest=images.digest[:32])  # type: ignore[abstract]
    counts = np.bincount(images.labels, minlength=len(CLASSES)).tolist()
    profile = {"num_rows": len(images.labels), **dict(zip(CLASSES, counts, strict=True))}
    fields: dict[str, Any] = {"schema": None, **described.to_dict(), "profile": json.dumps(profile)}
    return Dataset(**fields)


def _flat(metrics: Metrics, domain: str) -> dict[str, float]:
    """Returns the metrics by name; those that are not defined on the domain are left out."""
    values = {name: getattr(metrics, name) for name in ("accuracy", "balanced_accuracy", "macro_f1", "ece")}
    for name in ("precision", "recall", "f1"):
        values |= {f"{name}/{cell}": value for cell, value in zip(CLASSES, getattr(metrics, name), strict=True)}
    return {f"test/{domain}/{name}": value for name, value in values.items() if not math.isnan(value)}
