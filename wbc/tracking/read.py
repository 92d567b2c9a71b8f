"""Reading tracked runs back, for the report: what the store says of them, their files, their curves."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import mlflow
from mlflow.entities import Run
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from wbc.surroundings import project_run
from wbc.tracking.store import connect, search, store_errors

_PAGE: Final = 5000
_NO_TRAINING: Final = ("prepare", "reproduce", "report")
"""Entry points whose own runs, which `mlflow run` opens, are not trainings."""
logging.getLogger("mlflow.store.artifact").setLevel(logging.ERROR)


@dataclass(frozen=True, kw_only=True)
class StoredDataset:
    """A data set as a run logged it."""

    name: str
    digest: str
    context: str
    """training or testing."""
    role: str
    """training, home or away; empty from runs that logged none."""
    origin: str
    """The address or path that it came from, as MLflow keeps it."""
    profile: str
    """JSON: num_rows and a count for each class; empty from runs that logged none."""


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """What the store says of a run."""

    id: str
    name: str
    status: str
    tags: dict[str, str]
    metrics: dict[str, float]
    started: datetime | None
    ended: datetime | None
    datasets: tuple[StoredDataset, ...]
    artifact_uri: str
    link: str | None
    """The run's page, where the store is a server."""

    @property
    def complete(self) -> bool:
        """Whether the run is FINISHED and has logged all that it should."""
        return self.status == "FINISHED" and self.tags.get("complete") == "true"

    @property
    def minutes(self) -> float | None:
        """From start to end, in minutes."""
        return (self.ended - self.started).total_seconds() / 60 if self.started and self.ended else None


def read_runs(profile: str) -> tuple[list[StoredRun], list[StoredRun]]:
    """Returns the runs of a profile in all experiments, and the others of the experiment in use; the newest first.

    Raises:
        TrackingError: the store does not answer.
    """
    experiment_id = connect()
    with store_errors():
        own = [_stored(run) for run in search(f"tags.profile = '{profile}'")]
        there: list[Run] = mlflow.search_runs([experiment_id], output_format="list", max_results=_PAGE)
    others = [run for run in there if run.data.tags.get("profile") != profile and not _opened_for_no_training(run)]
    return own, [_stored(run) for run in others]


def download(run: StoredRun, path: str, folder: Path) -> Path | None:
    """Fetches a file or folder of a run's artifacts into `folder`; returns None where the run has none of that name.

    Raises:
        TrackingError: the artifact store does not answer.
    """
    repository = get_artifact_repository(run.artifact_uri)
    parent = path.rpartition("/")[0]
    with store_errors():
        if path not in {entry.path for entry in repository.list_artifacts(parent or None)}:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        return Path(repository.download_artifacts(path, str(folder)))


def read_curve(run: StoredRun, metric: str) -> dict[int, float]:
    """Returns a metric by step, from 1; a step that an interrupted run logged twice counts once."""
    with store_errors():
        return {point.step: point.value for point in mlflow.MlflowClient().get_metric_history(run.id, metric)}


@contextmanager
def open_report(profile: str, settings: dict[str, Any]) -> Iterator[str]:
    """Yields the id of a new run that a report is logged to, or that of the run that `mlflow run` has opened for it.

    Raises:
        TrackingError: the store does not take it.
    """
    with store_errors():
        experiment_id = connect()
        run_id = project_run()
        name = f"report/{profile}"
        with mlflow.start_run(
            run_id, None if run_id else experiment_id, run_name=name, log_system_metrics=False
        ) as run:
            mlflow.set_tags({"mlflow.runName": name, "kind": "report", "profile": profile})
            mlflow.log_params({key: value for key, value in settings.items() if key not in run.data.params})
            yield str(run.info.run_id)


def log_report(folder: Path) -> None:
    """Logs all files below a folder to the run that is open."""
    mlflow.log_artifacts(str(folder))


def _opened_for_no_training(run: Run) -> bool:
    return "kind" in run.data.tags or run.data.tags.get("mlflow.project.entryPoint") in _NO_TRAINING


def _stored(run: Run) -> StoredRun:
    server = re.sub(r"//[^/]*@", "//", mlflow.get_tracking_uri())  # a link carries no password
    page = f"{server.rstrip('/')}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    return StoredRun(
        id=run.info.run_id,
        name=run.info.run_name or "",
        status=run.info.status,
        tags=dict(run.data.tags),
        metrics=dict(run.data.metrics),
        started=_moment(run.info.start_time),
        ended=_moment(run.info.end_time),
        datasets=tuple(
            StoredDataset(
                name=entry.dataset.name,
                digest=entry.dataset.digest,
                context=next((tag.value for tag in entry.tags if tag.key == MLFLOW_DATASET_CONTEXT), ""),
                role=next((tag.value for tag in entry.tags if tag.key == "role"), ""),
                origin=entry.dataset.source,
                profile=entry.dataset.profile or "",
            )
            for entry in (run.inputs.dataset_inputs if run.inputs else [])
        ),
        artifact_uri=run.info.artifact_uri,
        link=page if server.startswith(("http://", "https://")) else None,
    )


def _moment(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
