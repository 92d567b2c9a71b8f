"""Runs, metrics and artifacts in MLflow: the only module that knows of it.

The store is wherever `MLFLOW_TRACKING_URI` points, else `mlflow.db` in the working directory. A run is found again by
its tag `fingerprint`; only one with the tag `complete`, set last, counts as done.
"""

import dataclasses
import logging
import math
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import mlflow
import numpy as np
import requests
from filelock import FileLock
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.types import Schema, TensorSpec
from sqlalchemy.exc import SQLAlchemyError

from wbc.cells import CLASSES
from wbc.config import RunConfig
from wbc.data.prepare import Images
from wbc.environment import describe_environment, serving_requirements
from wbc.errors import TrackingError
from wbc.evaluation.confusion import draw_confusion
from wbc.evaluation.metrics import Metrics
from wbc.evaluation.records import Predictions, write_predictions
from wbc.processes import only_process, sigterm_exits
from wbc.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from wbc.training.loop import EpochResult

EXPERIMENT: Final = "white-blood-cells"
"""The experiment of runs that are started without one named in `MLFLOW_EXPERIMENT_NAME`."""

_log = logging.getLogger(__name__)
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # a .venv made by uv has no pip to name
_TAGGED: Final = ("model", "seed", "profile", "source", "targets", "recipe", "scale", "pretrained", "precision")


class TrackedRun:
    """An MLflow run under way: what training and scoring log to it."""

    def __init__(self, run: Run, config: RunConfig) -> None:
        self.id: str = run.info.run_id
        self.done = run.data.tags.get("complete") == "true"
        self._config = config
        self._model_id: str | None = run.data.tags.get("model_id")
        self._logged_epochs = {point.step for point in mlflow.MlflowClient().get_metric_history(self.id, "train/loss")}

    def accuracies(self, domains: Iterable[str]) -> dict[str, float]:
        """Returns the accuracy logged for each of the domains, in [0, 1]."""
        metrics = mlflow.get_run(self.id).data.metrics
        return {domain: metrics[f"test/{domain}/accuracy"] for domain in domains}

    def log_start(self, train: Images, tests: list[Images], fingerprint: str) -> None:
        """Logs what identifies the run: tags, parameters, data sets, config.json and environment.json."""
        values = dataclasses.asdict(self._config) | {"targets": ",".join(self._config.targets)}
        mlflow.set_tags({name: values[name] for name in _TAGGED} | {"fingerprint": fingerprint})
        # `mlflow run` has logged the words typed, such as auto: logging them again with another value would raise.
        typed = mlflow.get_run(self.id).data.params
        mlflow.log_params({name: value for name, value in values.items() if name not in typed})
        mlflow.log_dict(values, "config.json")
        mlflow.log_dict(describe_environment(), "environment.json")
        for images, context in [(train, "training"), *((images, "testing") for images in tests)]:
            mlflow.log_input(_dataset(images), context=context)

    def log_epoch(self, epoch: int, result: EpochResult) -> None:
        """Logs the metrics of an epoch, counted from 1; an epoch that an interrupted run has logged stays as it is."""
        if epoch not in self._logged_epochs:
            metrics = {f"train/{name}": value for name, value in dataclasses.asdict(result).items()}
            mlflow.log_metrics(metrics, step=epoch)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Uploads a checkpoint, names it in a tag, drops the one before: a kill at any point leaves a whole one.

        The checkpoint of a finished run has no optimiser; with it goes the model that MLflow can load.
        """
        before = mlflow.get_run(self.id).data.tags.get("checkpoint")
        name = f"epoch_{checkpoint.epoch:04d}.pt" if checkpoint.optimiser else "final.pt"
        with tempfile.TemporaryDirectory() as folder:
            write_checkpoint(checkpoint, Path(folder) / name)
            mlflow.log_artifact(str(Path(folder) / name), "checkpoint")
            if not checkpoint.optimiser:
                self._log_model(Path(folder) / name)
        mlflow.set_tag("checkpoint", f"checkpoint/{name}")
        if before and before != f"checkpoint/{name}":
            get_artifact_repository(mlflow.get_artifact_uri()).delete_artifacts(before)

    def load_checkpoint(self) -> Checkpoint | None:
        """Returns the last checkpoint that was saved whole, its tensors on the CPU, or None where there is none."""
        if "checkpoint" not in mlflow.get_run(self.id).data.tags:
            return None
        return fetch_checkpoint(self.id)

    def log_domain(self, images: Images, predictions: Predictions, metrics: Metrics) -> None:
        """Logs predictions, embeddings, the confusion image and `test/<domain>/…` metrics of one domain."""
        with tempfile.TemporaryDirectory() as folder:
            write_predictions(predictions, Path(folder))
            (Path(folder) / "confusion").mkdir()
            draw_confusion(metrics, f"{self._config.model} on {images.name}").savefig(
                Path(folder) / "confusion" / f"{images.name}.png", dpi=150
            )
            mlflow.log_artifacts(folder)
        dataset = _dataset(images)
        mlflow.log_input(dataset, context="testing")
        mlflow.log_metrics(_flat(metrics, images.name), model_id=self._model_id, dataset=dataset)

    def complete(self) -> None:
        """Marks the run as done, once everything else is logged."""
        mlflow.set_tag("complete", "true")

    def _log_model(self, checkpoint: Path) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*An input example was not provided", UserWarning)
            model = mlflow.pyfunc.log_model(
                name="model",
                loader_module="wbc.serving",
                data_path=str(checkpoint),
                code_paths=[str(Path(__file__).parent)],
                signature=ModelSignature(
                    Schema([TensorSpec(np.dtype("uint8"), (-1, -1, -1, 3))]),
                    Schema([TensorSpec(np.dtype("float32"), (-1, len(CLASSES)))]),
                ),
                pip_requirements=serving_requirements(),
            )
        self._model_id = model.model_id
        mlflow.set_tag("model_id", model.model_id)


@contextmanager
def open_run(config: RunConfig, fingerprint: str) -> Iterator[TrackedRun]:
    """Yields the run of this fingerprint: the finished one (`done`), the interrupted one to go on with, or a new one.

    It ends as FINISHED, as KILLED after Ctrl-C or SIGTERM, and as FAILED after any other exception.

    Raises:
        TrackingError: the tracking server does not answer, or another process of this machine is at this very run.
    """
    experiment_id = connect()
    with only_process(fingerprint), sigterm_exits():
        earlier = _search(f"tags.fingerprint = '{fingerprint}'")
        run = next((run for run in earlier if run.data.tags.get("complete") == "true"), earlier[0] if earlier else None)
        _forward_project_run(run)
        if run and run.data.tags.get("complete") == "true":
            yield TrackedRun(run, config)
            return
        if run:
            _log.info("going on with the interrupted run %s", run.info.run_id)
        name = f"{config.model}/seed{config.seed}"
        mlflow.end_run()
        active = mlflow.start_run(
            run_id=run.info.run_id if run else os.environ.get("MLFLOW_RUN_ID"),
            experiment_id=None if run or "MLFLOW_RUN_ID" in os.environ else experiment_id,
            run_name=name,
            log_system_metrics=True,
        )
        mlflow.set_tag("mlflow.runName", name)
        status = "FAILED"
        try:
            yield TrackedRun(active, config)
            status = "FINISHED"
        except (KeyboardInterrupt, SystemExit):
            status = "KILLED"
            raise
        finally:
            mlflow.end_run(status)


@contextmanager
def open_scoring(config: RunConfig, run_id: str | None) -> Iterator[TrackedRun]:
    """Yields the finished run that further domains are scored for; for a checkpoint file (None), a run of its own."""
    experiment_id = connect()
    if run_id:
        _forward_project_run(_get_run(run_id))
        active = mlflow.start_run(run_id=run_id)
    else:
        project_run = os.environ.get("MLFLOW_RUN_ID")
        name = f"{config.model}/seed{config.seed}/evaluate"
        active = mlflow.start_run(project_run, None if project_run else experiment_id, run_name=name)
        mlflow.set_tags({"model": config.model, "seed": config.seed, "mlflow.runName": name})
    try:
        yield TrackedRun(active, config)
    finally:
        mlflow.end_run("FINISHED")


def fetch_checkpoint(run_id: str) -> Checkpoint:
    """Returns the last whole checkpoint of a run, its tensors on the CPU.

    Raises:
        TrackingError: there is no such run, or it has no checkpoint.
    """
    name = _get_run(run_id).data.tags.get("checkpoint")
    if name is None:
        raise TrackingError(
            f"run {run_id} has no checkpoint: it was stopped before its first one, or is no training run."
        )
    with tempfile.TemporaryDirectory() as folder:
        return read_checkpoint(Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/{name}", dst_path=folder)))


def latest_run() -> str:
    """Returns the id of the last training run that was completed.

    Raises:
        TrackingError: there is none.
    """
    connect()
    done = _search("tags.complete = 'true'")
    if not done:
        raise TrackingError("no finished training run here yet: train a model first (make train).")
    return str(done[0].info.run_id)


def connect() -> str:
    """Returns the id of the experiment that runs go to, having made sure that the store answers.

    A fresh SQLite store is set up by one process at a time: several at once would leave it broken.

    Raises:
        TrackingError: the store does not answer.
    """
    uri = mlflow.get_tracking_uri()
    if uri.startswith(("http://", "https://")):
        _check_server(uri)
    database = Path(uri.removeprefix("sqlite:///")).absolute() if uri.startswith("sqlite:///") else None
    lock = FileLock(f"{database}.lock") if database else nullcontext()
    artifacts = str(database.with_name("mlartifacts")) if database else None
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    try:
        with lock:
            client = mlflow.MlflowClient()
            experiment = client.get_experiment_by_name(name)
            experiment_id: str = experiment.experiment_id if experiment else client.create_experiment(name, artifacts)
            return experiment_id
    except (MlflowException, OSError, SQLAlchemyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TrackingError(f"cannot use the tracking store {uri}: {reason}. Check MLFLOW_TRACKING_URI.") from error


def leave_project_run() -> None:
    """Makes runs that follow in this process runs of their own, also where `mlflow run` has started it."""
    os.environ.pop("MLFLOW_RUN_ID", None)


def _check_server(uri: str) -> None:
    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=10)
        reason = "" if answer.ok else f"it answers {answer.status_code} {answer.reason}"
    except requests.RequestException as error:
        reason = f"{type(error).__name__}"
    if reason:
        raise TrackingError(
            f"no MLflow server at {uri} ({reason}). Start it, or unset MLFLOW_TRACKING_URI to use mlflow.db here."
        )


def _get_run(run_id: str) -> Run:
    connect()
    try:
        return mlflow.get_run(run_id)
    except MlflowException as error:
        raise TrackingError(f"no run {run_id} in {mlflow.get_tracking_uri()}: {str(error).splitlines()[0]}") from error


def _search(filter_string: str) -> list[Run]:
    return mlflow.search_runs(
        search_all_experiments=True,
        filter_string=filter_string,
        order_by=["attributes.start_time DESC"],
        output_format="list",
    )


def _forward_project_run(run: Run | None) -> None:
    """Points the run that `mlflow run` opened for this process to the one with the results, where that is another."""
    project_run = os.environ.get("MLFLOW_RUN_ID")
    if project_run and run and project_run != run.info.run_id:
        client = mlflow.MlflowClient()
        client.set_tag(project_run, "forwarded_to", run.info.run_id)
        client.set_tag(project_run, "mlflow.runName", f"see {run.info.run_name}")
        leave_project_run()


def _dataset(images: Images) -> MetaDataset:
    # A digest column of the store holds 36 characters.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MetaDataset(  # type: ignore[abstract]  # MLflow declares a `profile` that it never defines
            resolve_dataset_source(images.origin), name=images.name, digest=images.digest[:32]
        )


def _flat(metrics: Metrics, domain: str) -> dict[str, float]:
    """Returns the metrics by name; those that are not defined on the domain are left out."""
    values = {name: getattr(metrics, name) for name in ("accuracy", "balanced_accuracy", "macro_f1", "ece")}
    for name in ("precision", "recall", "f1"):
        values |= {f"{name}/{cell}": value for cell, value in zip(CLASSES, getattr(metrics, name), strict=True)}
    return {f"test/{domain}/{name}": value for name, value in values.items() if not math.isnan(value)}
