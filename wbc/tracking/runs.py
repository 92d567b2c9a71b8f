"""Opening runs: the one to go on with, the finished one or a new one, for training and for scoring.

A run is found again by its tag `trained_as`. One that is trained already is opened without touching its training.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import mlflow

from wbc.config import RunConfig
from wbc.errors import DamageError, TrackingError, TrainingError
from wbc.processes import signals_exit
from wbc.surroundings import leave_project_run
from wbc.tracking import schema
from wbc.tracking.active import active_run, new_run
from wbc.tracking.claims import Claim, claim_run, claim_stored
from wbc.tracking.connection import store_errors
from wbc.tracking.read import StoredRun, read_run, stored_run
from wbc.tracking.score_log import ScoreLog
from wbc.tracking.store import connect, fresh_run
from wbc.tracking.training_log import TrainingLog, checkpoint_folder, log_settings, read_kept
from wbc.tracking.views import prepare_views
from wbc.tracking.whole import is_trained, lack
from wbc.tracking.writer import Writer
from wbc.training.checkpoint import Checkpoint


@dataclass(frozen=True, kw_only=True)
class OpenRun:
    """A run that is open: what trains it and what scores it write to its two logs."""

    id: str
    done: bool
    """Whether it is trained, and scored on all that was asked for: then nothing may be written."""
    training: TrainingLog
    scores: ScoreLog

    def complete(self) -> None:
        """Marks the run as done, once everything else is logged; raises a TrackingError if something is missing."""
        self.training.end()
        self.scores.complete()


@contextmanager
def open_run(config: RunConfig, trained_as: str, scores: Mapping[str, str]) -> Iterator[OpenRun]:
    """Yields the run of this identity: the finished one (`done`), one to go on with, or a new one.

    It ends as FINISHED once it is complete, else as KILLED after Ctrl-C or SIGTERM, as FAILED after other exceptions.
    One that is complete and only to be scored further stays FINISHED, whatever happens. `scores` says by the domain's
    name what each should be scored as.

    Raises:
        TrainingError: another file or device fails inside the block.
        BusyError: another process, of whatever machine, works on this very run.
    """
    experiment_id = connect()
    with signals_exit(), _machine_errors():
        with store_errors():
            found, claim = claim_run(
                trained_as, config.name, experiment_id, lambda run: _is_done(stored_run(run), scores)
            )
            run = stored_run(found)
            _forward_project_run(run)
        if claim is None:
            with Writer() as writer, tempfile.TemporaryDirectory() as folder:
                yield _opened(run, config, writer, None, Path(folder), done=True)
            return
        claim.hold(found)
        measured = config.scale != "tiny"  # a thin run is over before it tells anything of the machine
        try:
            prepare_views(found.info.experiment_id, config.profile, renew=False)
            with (
                nullcontext() if run.complete and is_trained(run) else active_run(run, config.name, measured=measured),
                checkpoint_folder(run.id) as folder,
                Writer(claim.confirm) as writer,
            ):
                yield _opened(run, config, writer, claim, folder, done=False)
        finally:
            claim.release()


@contextmanager
def open_scoring(config: RunConfig, run_ids: Sequence[str]) -> Iterator[ScoreLog]:
    """Yields the scores of the finished run that further domains are scored for.

    Those of a checkpoint file (no run) or of the averaged weights of several runs go to a new run.

    Raises:
        TrackingError: the tracking store fails, or there is no such run.
        TrainingError: another file or device fails inside the block.
        BusyError: another process works on the run.
    """
    experiment_id = connect()
    with signals_exit(), _machine_errors():
        if len(run_ids) == 1:
            (run_id,) = run_ids
            with store_errors():
                _forward_project_run(read_run(run_id))
                claim = claim_stored(run_id)
            try:
                log = ScoreLog(run_id, config, claim)
                yield log
                log.describe()
            finally:
                claim.release()
        else:
            name = f"{config.arm.name}/average" if run_ids else f"{config.name}/evaluate"
            tags = {schema.KIND: "evaluate"} | ({schema.AVERAGED: ",".join(run_ids)} if run_ids else {})
            with new_run(experiment_id, name, tags) as scoring_id:
                with store_errors():
                    log_settings(scoring_id, config)
                log = ScoreLog(scoring_id, config)
                yield log
                log.describe()


def _is_done(run: StoredRun, scores: Mapping[str, str]) -> bool | None:
    """Returns whether a run is done; None where nothing can be made of it."""
    return None if run.fault else lack(run, scores) is None


def fetch_checkpoint(run_id: str) -> Checkpoint:
    """Returns the final checkpoint of a run, its tensors on the CPU.

    Raises:
        TrackingError: there is no such run, or it is no training run that was completed, or the file is damaged.
    """
    run = read_run(run_id)
    if run.tags.get(schema.COMPLETE) != "true":
        raise TrackingError(
            f"run {run_id} is no completed training run: start its training again, which goes on with it."
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            _, checkpoint = read_kept(run, schema.FINAL, Path(folder))
        except DamageError as error:
            raise DamageError(
                f"{error} Delete it (`.venv/bin/mlflow runs delete --run-id {run_id}`) and train again."
            ) from error
    named = {schema.MODEL: checkpoint.config.model, schema.SEED: str(checkpoint.config.seed)}
    if any(run.settings.get(name) != value for name, value in named.items()):
        raise DamageError(f"run {run_id} holds the checkpoint of another run: {checkpoint.config.name}.")
    return checkpoint


def _opened(
    run: StoredRun, config: RunConfig, writer: Writer, claim: Claim | None, folder: Path, *, done: bool
) -> OpenRun:
    training = TrainingLog(run, config, writer, claim, folder)
    return OpenRun(id=run.id, done=done, training=training, scores=ScoreLog(run.id, config, claim))


@contextmanager
def _machine_errors() -> Iterator[None]:
    """Turns what the operating system refuses inside the block, of images, memory or temporary files, into one line."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"a file or device fails: {error}. Correct this and run the same command again: what was saved stays."
        ) from error


def _forward_project_run(run: StoredRun) -> None:
    """Points the run that `mlflow run` opened for this process to the one with the results, where that is another."""
    project_run = fresh_run()
    if project_run and project_run != run.id:
        client = mlflow.MlflowClient()
        client.set_tag(project_run, schema.FORWARDED_TO, run.id)
        client.set_tag(project_run, schema.RUN_NAME, f"see {run.name}")
        leave_project_run()
