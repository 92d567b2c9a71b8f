"""Opening runs: the one to go on with, the finished one or a new one, for training and for scoring.

A run is found again by its tag `fingerprint`; only one with the tag `complete`, set last, counts as done.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import mlflow
from mlflow.entities import Run

from wbc.config import RunConfig
from wbc.errors import BusyError, TrackingError, TrainingError
from wbc.processes import asked_to_stop, signals_exit
from wbc.surroundings import leave_project_run, project_run
from wbc.tracking.claims import claim_run, end_complete
from wbc.tracking.connection import impatient
from wbc.tracking.store import connect, find_run, store_errors
from wbc.tracking.tracked import TrackedRun, checkpoint_folder, downloaded
from wbc.tracking.writer import Writer
from wbc.training.checkpoint import Checkpoint, read_checkpoint


@contextmanager
def open_run(config: RunConfig, fingerprint: str) -> Iterator[TrackedRun]:
    """Yields the run of this fingerprint: the finished one (`done`), the interrupted one to go on with, or a new one.

    It ends as FINISHED once it is complete, else as KILLED after Ctrl-C or SIGTERM, as FAILED after other exceptions.

    Raises:
        TrackingError: the tracking store fails.
        TrainingError: another file or device fails inside the block.
        BusyError: another process, of whatever machine, is at this very run.
    """
    experiment_id = connect()
    with signals_exit(), _machine_errors():
        with store_errors():
            run, claim = claim_run(fingerprint, run_name(config), experiment_id)
            _forward_project_run(run)
        if claim is None:
            with Writer() as writer:
                yield TrackedRun(run, config, writer)
            return
        claim.hold(run)
        try:
            with (
                _active_run(run.info.run_id, experiment_id, run_name(config)) as active,
                checkpoint_folder(run.info.run_id) as folder,
                Writer(claim.confirm) as writer,
            ):
                yield TrackedRun(active, config, writer, claim, folder)
        finally:
            claim.release()


def run_name(config: RunConfig) -> str:
    """Returns what the run is called in MLflow."""
    return f"{config.model}/seed{config.seed}"


@contextmanager
def open_scoring(config: RunConfig, run_id: str | None) -> Iterator[TrackedRun]:
    """Yields the finished run that further domains are scored for; for a checkpoint file (None), a run of its own.

    Raises:
        TrackingError: the tracking store fails, or there is no such run.
        TrainingError: another file or device fails inside the block.
    """
    experiment_id = connect()
    with signals_exit(), _machine_errors():
        if run_id:
            with store_errors():
                run = find_run(run_id)
                _forward_project_run(run)
            with Writer() as writer:
                yield TrackedRun(run, config, writer)
        else:
            name = f"{run_name(config)}/evaluate"
            with _active_run(None, experiment_id, name) as active, Writer() as writer:
                scoring = TrackedRun(active, config, writer)
                scoring.log_start(None, [])
                yield scoring


def fetch_checkpoint(run_id: str) -> Checkpoint:
    """Returns the final checkpoint of a run, its tensors on the CPU.

    Raises:
        TrackingError: there is no such run, or it is no training run that was completed.
    """
    tags = find_run(run_id).data.tags
    if tags.get("complete") != "true":
        raise TrackingError(
            f"run {run_id} is no completed training run: start its training again, which goes on with it."
        )
    with downloaded(run_id, tags["checkpoint"]) as path:
        return read_checkpoint(path)


@contextmanager
def _active_run(run_id: str | None, experiment_id: str, name: str) -> Iterator[Run]:
    """Yields an earlier run, the one that `mlflow run` opened for this process, or a new one; ends it as it went."""
    run_id = run_id or project_run()
    with store_errors():
        active = mlflow.start_run(run_id, None if run_id else experiment_id, run_name=name, log_system_metrics=True)
    try:
        with store_errors():
            mlflow.set_tag("mlflow.runName", name)
        yield active
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
            end_complete(mlflow.get_run(active.info.run_id))  # stopped after its last write
        raise


@contextmanager
def _machine_errors() -> Iterator[None]:
    """Turns what the operating system refuses inside the block, of images, memory or temporary files, into one line."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"a file or device fails: {error}. Mend it and run the same again: what was saved stays."
        ) from error


def _forward_project_run(run: Run | None) -> None:
    """Points the run that `mlflow run` opened for this process to the one with the results, where that is another."""
    opened = project_run()
    if opened and run and opened != run.info.run_id:
        client = mlflow.MlflowClient()
        client.set_tag(opened, "forwarded_to", run.info.run_id)
        client.set_tag(opened, "mlflow.runName", f"see {run.info.run_name}")
        leave_project_run()
