"""Sweeps: the MLflow run that is the parent of a study's runs, and ending what killed processes left open."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import mlflow

from wbc.surroundings import SWEEP_RUN, changed, leave_project_run
from wbc.tracking import schema
from wbc.tracking.claims import Claim, claim_tags, create_run, end_complete, standing_claims
from wbc.tracking.connection import impatient, store_errors
from wbc.tracking.store import connect, fresh_run, search
from wbc.tracking.views import prepare_views


@dataclass
class Sweep:
    """What a sweep has come to; whoever runs it says so."""

    id: str | None = None
    """Its MLflow run; None where there is nothing to run."""
    failed: bool = False
    """Some of its runs failed."""


def end_orphans() -> None:
    """Marks runs and sweeps as KILLED that the store has as RUNNING, though no process works on them any more.

    Those that are complete end as FINISHED. Runs of other projects, which know no claims, stay as they are.
    """
    with store_errors():
        whole = f"tags.{schema.COMPLETE} = 'true' AND tags.{schema.CHECKPOINT} = '{schema.FINAL}'"
        for run in search(f"{whole} AND attributes.status != 'FINISHED'"):
            end_complete(run)
        for run in search("attributes.status = 'RUNNING'"):
            tags = run.data.tags
            ours = tags.get(schema.KIND) == "sweep" or schema.TRAINED_AS in tags or schema.FINGERPRINT in tags
            left = ours and bool(claim_tags(run)) and tags.get(schema.COMPLETE) != "true"
            if left and not standing_claims(run):
                mlflow.MlflowClient().set_terminated(run.info.run_id, "KILLED")


@contextmanager
def open_sweep(profile: str) -> Iterator[Sweep]:
    """Makes the runs that are created inside the block children of one MLflow run, which ends as the block does.

    It ends as FAILED also where the block says that runs failed.

    That run is the one that `mlflow run` has opened for this process, the last of the profile that was stopped, or new;
    also new where another sweep goes on with the stopped one at the same moment.
    """
    with store_errors():
        experiment_id = connect()
        prepare_views(experiment_id, profile)
        claim, client, name = Claim(), mlflow.MlflowClient(), f"sweep/{profile}"
        note = f"Runs of the study {profile}, which stand below this one."
        tags = {schema.KIND: "sweep", schema.PROFILE: profile, schema.RUN_NAME: name, schema.NOTE: note}
        run_id = fresh_run() or _stopped_sweep(experiment_id, profile)
        if run_id and not claim.stake(run_id, tags)[1]:  # else another sweep has claimed it at the same moment
            client.update_run(run_id, status="RUNNING")
        else:
            run_id = create_run(experiment_id, name, tags | claim.tag)
        claim.hold(client.get_run(run_id))
    leave_project_run()
    status, sweep = "FAILED", Sweep(id=run_id)
    try:
        with changed({SWEEP_RUN: run_id}):
            yield sweep
        status = "FAILED" if sweep.failed else "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        patience = nullcontext() if status == "FINISHED" else impatient()
        with suppress(Exception), patience:  # what the runs came to is with the runs
            client.set_terminated(run_id, status)
            claim.release()  # last: what is RUNNING has a claim


def _stopped_sweep(experiment_id: str, profile: str) -> str | None:
    found = search(
        f"tags.{schema.KIND} = 'sweep' AND tags.{schema.PROFILE} = '{profile}' AND attributes.status != 'FINISHED'"
    )
    return next(
        (run.info.run_id for run in found if run.info.experiment_id == experiment_id and not standing_claims(run)), None
    )
