"""The MLflow run that a process is in, from its making to its end; and the run that a report is logged to."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow

from wbc.errors import BusyError
from wbc.processes import asked_to_stop
from wbc.tracking import schema
from wbc.tracking.claims import create_run, end_complete
from wbc.tracking.connection import impatient, store_errors
from wbc.tracking.read import StoredRun, read_run
from wbc.tracking.store import connect, fresh_run
from wbc.tracking.views import prepare_views


@contextmanager
def new_run(experiment_id: str, name: str, tags: dict[str, str]) -> Iterator[str]:
    """Yields the run that `mlflow run` opened for this process, or a new one, tagged so; ends it as it went."""
    with store_errors():
        run_id = fresh_run() or create_run(experiment_id, name, tags)
        for key, value in tags.items():
            mlflow.MlflowClient().set_tag(run_id, key, value)
        run = read_run(run_id)
    with active_run(run, name, measured=False):
        yield run_id


@contextmanager
def active_run(run: StoredRun, name: str, *, measured: bool) -> Iterator[None]:
    """Has MLflow take the run as the one that this process is in, and ends it as the block went.

    Where it is `measured`, MLflow logs the load and memory of the machine meanwhile.
    """
    with store_errors():
        mlflow.start_run(run.id, log_system_metrics=measured)
    try:
        with store_errors():
            mlflow.set_tag(schema.RUN_NAME, name)
        yield
        with store_errors():
            mlflow.end_run("FINISHED")
    except BaseException as error:
        status = "FAILED"
        if isinstance(error, (KeyboardInterrupt, SystemExit)) or asked_to_stop():
            status = "KILLED"
        elif isinstance(error, BusyError):  # taken over: it is not for this process to end it
            status = "RUNNING"
        with suppress(Exception), impatient():  # a store that failed may fail at this too
            mlflow.end_run(status)
            end_complete(mlflow.get_run(run.id))  # stopped after its last write
        raise


@contextmanager
def open_report(profile: str, settings: dict[str, Any], runs: Iterable[StoredRun], seal: str) -> Iterator[str]:
    """Yields the id of a new run that a report is logged to, or that of the run that `mlflow run` has opened for it.

    `runs` are the study's; the `seal` says what the report was made from, and what it came to.
    """
    with store_errors():
        prepare_views(connect(), profile, runs=runs)
        with open_page("report", profile, settings, {schema.PROFILE: profile, schema.SEAL: seal}) as run_id:
            yield run_id


@contextmanager
def open_page(kind: str, subject: str, settings: dict[str, Any], more: dict[str, str] | None = None) -> Iterator[str]:
    """Yields the id of a run, as `open_report` does, for a page of another kind, such as an audit of images.

    The run has `more` tags than its kind.
    """
    tags = {schema.KIND: kind} | (more or {})
    with store_errors(), new_run(connect(), f"{kind}/{subject}", tags) as run_id:
        typed = mlflow.get_run(run_id).data.params
        mlflow.log_params({key: value for key, value in settings.items() if key not in typed}, run_id=run_id)
        yield run_id


def log_assessment(texts: dict[str, str], metrics: dict[str, float], note: str) -> None:
    """Logs the files of an assessment, by name, its figures of merit and a description to the run that is open."""
    for name, text in texts.items():
        mlflow.log_text(text, name)
    mlflow.log_metrics(metrics)
    mlflow.set_tag(schema.NOTE, note)


def log_report(folder: Path, note: str, sweep: str | None) -> None:
    """Logs all files below a folder and a description to the run that is open; to the sweep its page and the same."""
    mlflow.log_artifacts(str(folder))
    mlflow.set_tag(schema.NOTE, note)
    if sweep:
        mlflow.MlflowClient().log_artifact(sweep, str(folder / "report.html"))
        mlflow.MlflowClient().set_tag(sweep, schema.NOTE, note)


@store_errors()
def log_analysis(run_id: str, folder: Path) -> None:
    """Logs the files of a folder to a run that is complete, below `analysis`."""
    mlflow.MlflowClient().log_artifacts(run_id, str(folder), schema.ANALYSIS)
