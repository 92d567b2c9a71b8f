"""Sweeps: what the store holds of their runs, read at once, and the MLflow run that is the parent of them."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Literal

import mlflow
from mlflow.entities import Run

from wbc.surroundings import SWEEP_RUN, changed, leave_project_run, project_run
from wbc.tracking.claims import Claim, claim_tags, create_run, end_complete, standing_claims, withdraw
from wbc.tracking.connection import impatient
from wbc.tracking.store import connect, search, store_errors


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the store holds of a run."""

    run_id: str
    fingerprint: str
    state: Literal["done", "running", "interrupted"]
    owners: tuple[str, ...]
    """Who is at it, as host:pid."""
    tags: dict[str, str]
    metrics: dict[str, float]
    """The last value of each."""


def read_records() -> list[Record]:
    """Returns all training runs of the store, the newest first; not to be called by several threads at once.

    Raises:
        TrackingError: the store does not answer.
    """
    collecting = gc.isenabled()
    gc.disable()  # it takes two thirds of the time, looking through objects that all stay
    try:
        with store_errors():
            return [_record(run) for run in search("tags.fingerprint LIKE '%'")]
    finally:
        if collecting:
            gc.enable()


def find_records(fingerprint: str) -> list[Record]:
    """Returns the training runs of one fingerprint, the newest first.

    Raises:
        TrackingError: the store does not answer.
    """
    with store_errors():
        return [_record(run) for run in search(f"tags.fingerprint = '{fingerprint}'")]


def end_orphans(records: Iterable[Record]) -> None:
    """Marks runs and sweeps as KILLED that the store has as RUNNING, though nobody is at them any more.

    Those that are complete end as FINISHED. Runs of other projects, which know no claims, stay as they are.
    """
    interrupted = {record.run_id for record in records if record.state == "interrupted"}
    with store_errors():
        whole = "tags.complete = 'true' AND tags.checkpoint = 'checkpoint/final.pt'"
        for run in search(f"{whole} AND attributes.status != 'FINISHED'"):
            end_complete(run)
        for run in search("attributes.status = 'RUNNING'"):
            left = run.data.tags.get("kind") == "sweep" or run.info.run_id in interrupted
            left = left and bool(claim_tags(run)) and run.data.tags.get("complete") != "true"
            if left and not standing_claims(run):  # the records are older: it may have been claimed since
                mlflow.MlflowClient().set_terminated(run.info.run_id, "KILLED")


@contextmanager
def open_sweep(profile: str) -> Iterator[None]:
    """Makes the runs that are created inside the block children of one MLflow run, which ends as the block does.

    That run is the one that `mlflow run` has opened for this process, the last of the profile that was stopped, or new;
    also new where another sweep goes on with the stopped one at the same moment.

    Raises:
        TrackingError: the store does not take it.
    """
    with store_errors():
        experiment_id = connect()
        claim, client, name = Claim(), mlflow.MlflowClient(), f"sweep/{profile}"
        tags = {"kind": "sweep", "profile": profile, "mlflow.runName": name, **claim.tag}
        run_id = project_run() or _stopped_sweep(experiment_id, profile)
        if run_id is None or not _adopt(run_id, tags, claim):
            run_id = create_run(experiment_id, name, tags)
        claim.hold(client.get_run(run_id))
    leave_project_run()
    status = "FAILED"
    try:
        with changed({SWEEP_RUN: run_id}):
            yield
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        patience = nullcontext() if status == "FINISHED" else impatient()
        with suppress(Exception), patience:  # what the runs came to is with the runs
            client.set_terminated(run_id, status)
            claim.release()  # last: what is RUNNING has a claim


def _adopt(run_id: str, tags: dict[str, str], claim: Claim) -> bool:
    """Returns whether the run is this sweep's now; it is not where another has claimed it at the same moment."""
    client = mlflow.MlflowClient()
    for key, value in tags.items():
        client.set_tag(run_id, key, value)
    if claim.rivals([client.get_run(run_id)]):
        withdraw(run_id, claim.tag)
        return False
    client.update_run(run_id, status="RUNNING")
    return True


def _stopped_sweep(experiment_id: str, profile: str) -> str | None:
    found = search(f"tags.kind = 'sweep' AND tags.profile = '{profile}' AND attributes.status != 'FINISHED'")
    return next(
        (run.info.run_id for run in found if run.info.experiment_id == experiment_id and not standing_claims(run)), None
    )


def _record(run: Run) -> Record:
    owners = tuple(standing_claims(run).values())
    state: Literal["done", "running", "interrupted"] = "running" if owners else "interrupted"
    return Record(
        run_id=run.info.run_id,
        fingerprint=run.data.tags["fingerprint"],
        state="done" if run.data.tags.get("complete") == "true" else state,
        owners=owners,
        tags=dict(run.data.tags),
        metrics=dict(run.data.metrics),
    )
