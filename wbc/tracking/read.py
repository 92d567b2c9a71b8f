"""Runs as the store has them: what plan, report, doctor and claims ask of it. Reading never writes."""

import gc
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import import_module

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from wbc.errors import shown
from wbc.tracking import schema
from wbc.tracking.claims import standing_claims
from wbc.tracking.connection import store_errors
from wbc.tracking.store import connect, no_run, search_by_pages
from wbc.tracking.views import page

logging.getLogger("mlflow.store.artifact").setLevel(logging.ERROR)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StoredDataset:
    """A data set as a run logged it."""

    name: str
    digest: str
    """The first 32 digits of the SHA-256 of its labels and contents."""
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
    """The last value of each."""
    started: datetime | None
    ended: datetime | None
    datasets: tuple[StoredDataset, ...]
    artifact_uri: str
    link: str | None
    """The run's page, where the store is a server."""
    owners: tuple[str, ...] = ()
    """Which processes work on it, as host:pid."""
    params: dict[str, str] = field(default_factory=dict)
    experiment_id: str = ""
    fault: str | None = None
    """Why nothing can be made of a run that says it is a training; None where all is well."""

    @property
    def settings(self) -> dict[str, str]:
        """The run's parameters and tags; a tag counts where both name a setting.

        Runs of before have tags of what they are looked up by. Others have one only where `mlflow run` has logged the
        word that was typed, such as auto.
        """
        return self.params | self.tags

    @property
    def trained_as(self) -> str | None:
        """What decided the weights; None for a run from before, or of another kind."""
        return self.tags.get(schema.TRAINED_AS)

    @property
    def fingerprint(self) -> str | None:
        """The identity of a run from before; None for others."""
        return self.tags.get(schema.FINGERPRINT)

    @property
    def scored(self) -> dict[str, str]:
        """What each domain was scored as."""
        return {domain: value for tag, value in self.tags.items() if (domain := schema.scored_domain(tag))}

    @property
    def complete(self) -> bool:
        """Whether the run is FINISHED and logged all that it was opened for."""
        return self.status == "FINISHED" and self.tags.get(schema.COMPLETE) == "true"

    @property
    def minutes(self) -> float | None:
        """From start to end, in minutes."""
        return (self.ended - self.started).total_seconds() / 60 if self.started and self.ended else None


def read_runs(profile: str) -> list[StoredRun]:
    """Returns the runs of a study in all experiments, the newest first."""
    connect()
    return _read(f"tags.{schema.PROFILE} = '{profile}'")


def read_trainings(trained_as: str | None = None, *, profile: str | None = None) -> list[StoredRun]:
    """Returns the training runs of the store, all, those of one identity or those of one study, the newest first.

    Runs of which nothing can be made are left out with a warning. Not to be called by several threads at once.
    """
    wanted = f"tags.{schema.TRAINED_AS} " + (f"= '{trained_as}'" if trained_as else "LIKE '%'")
    runs = _read(f"{wanted} AND tags.{schema.PROFILE} = '{profile}'" if profile else wanted)
    for run in runs:
        if run.fault:
            _log.warning("run %s is left out: %s", run.id, run.fault)
    return [run for run in runs if not run.fault]


def _read(wanted: str) -> list[StoredRun]:
    with store_errors(), _no_collection():
        return [stored_run(run) for run in search_by_pages(wanted)]


def read_run(run_id: str) -> StoredRun:
    """Returns one run; raises a TrackingError if the store has none of this id."""
    connect()
    with store_errors():
        try:
            return stored_run(mlflow.get_run(run_id))
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise no_run(run_id) from error


def stored_run(run: Run) -> StoredRun:
    """Returns what MLflow has of a run; whatever is odd about it ends in `fault`."""
    server = re.sub(r"//[^/]*@", "//", mlflow.get_tracking_uri())  # a link carries no password
    link = f"{server.rstrip('/')}/{page(f'experiments/{run.info.experiment_id}/runs/{run.info.run_id}')}"
    tags = dict(run.data.tags)
    datasets = tuple(_datasets(run))
    started, ended = _moment(run.info.start_time), _moment(run.info.end_time)
    return StoredRun(
        id=run.info.run_id,
        name=shown(run.info.run_name or ""),
        status=run.info.status,
        tags=tags,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        started=started,
        ended=ended,
        datasets=datasets,
        artifact_uri=run.info.artifact_uri or "",
        link=link if server.startswith(("http://", "https://")) else None,
        experiment_id=run.info.experiment_id,
        owners=tuple(standing_claims(run).values()),
        fault=_fault(run, datasets, started, ended),
    )


def read_curve(run: StoredRun, metric: str) -> dict[int, float]:
    """Returns a metric by step, from 1; a step that an interrupted run logged twice counts once."""
    with store_errors():
        return {point.step: point.value for point in mlflow.MlflowClient().get_metric_history(run.id, metric)}


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keeps Python from looking for garbage, which takes two thirds of the time: all objects stay."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _datasets(run: Run) -> Iterator[StoredDataset]:
    for entry in run.inputs.dataset_inputs if run.inputs else []:
        tags = {tag.key: tag.value for tag in entry.tags}
        context = tags.get(MLFLOW_DATASET_CONTEXT, "")
        yield StoredDataset(
            name=entry.dataset.name,
            digest=entry.dataset.digest,
            context=context,
            role=tags.get(schema.ROLE, "training" if context == "training" else ""),
            origin=entry.dataset.source,
            profile=entry.dataset.profile or "",
        )


def _fault(
    run: Run, datasets: tuple[StoredDataset, ...], started: datetime | None, ended: datetime | None
) -> str | None:
    """Returns what is odd about a run that says it is a training."""
    tags, info = run.data.params | run.data.tags, run.info
    if not {schema.TRAINED_AS, schema.FINGERPRINT} & tags.keys():
        return None
    if not tags.get(schema.MODEL) and tags.get(schema.COMPLETE) == "true":
        return "it names no model"
    seed = tags.get(schema.SEED, "" if tags.get(schema.COMPLETE) == "true" else "0")
    if not re.fullmatch(r"[0-9]{1,18}", seed):
        return f"its seed '{seed}' is not a whole number"
    if not re.fullmatch(r"[0-9]{1,9}", tags.get(schema.JOBS, "1")):
        return f"its number of jobs '{tags[schema.JOBS]}' is not a whole number"
    if started is None or (info.end_time and ended is None) or (ended and ended < started):
        return f"its times are odd: {info.start_time} to {info.end_time} ms"
    address = run.info.artifact_uri or "none:"
    foreign = address.startswith(("http:", "https:")) and "/mlflow-artifacts/artifacts" not in address
    if foreign or not _reachable(address.rpartition(":")[0].partition(":")[0]):
        return f"MLflow knows no artifacts at '{run.info.artifact_uri}'"
    for dataset in datasets:
        described = None
        with suppress(ValueError, RecursionError):
            described = json.loads(dataset.profile or "{}")
        if not (isinstance(described, dict) and all(type(count) is int for count in described.values())):
            return f"the counts of its data set {dataset.name} are damaged"
    return None


@cache
def _reachable(scheme: str) -> bool:
    """Returns whether this process can reach artifacts at addresses that begin so; "" is a path."""
    try:
        get_artifact_repository(f"{scheme}:///there" if scheme else "/there")
        if scheme == "s3":
            import_module("botocore")  # which MLflow misses later than the packages of other schemes
    except Exception:  # whatever a kind of store or its package makes of it
        return False
    return True


def _moment(milliseconds: int | None) -> datetime | None:
    """Returns a time as MLflow keeps it; None where there is none, or none that a calendar holds."""
    with suppress(ValueError, OverflowError, OSError, TypeError):
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
    return None
