"""The MLflow store: reaching it, the experiment that runs go to, and finding runs.

The store is wherever `MLFLOW_TRACKING_URI` points, else `mlflow.db` in the working directory.
"""

import difflib
import logging
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import mlflow
from filelock import FileLock
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri
from sqlalchemy import make_url

from wbc.errors import TrackingError, mask
from wbc.surroundings import experiment, leave_project_run, project_run, stop_async_logging, sweep_run
from wbc.tracking.connection import check_database, check_server, check_settings, patience_s, store_errors
from wbc.tracking.database import (
    address_of,
    artifact_folder,
    database_file,
    make_database,
    refuse_half_made,
    refuse_moved,
    refuse_no_address,
)
from wbc.tracking.schema import COMPLETE, FINGERPRINT, KIND, PROFILE, RUN_NAME, TRAINED_AS

EXPERIMENT: Final = "white-blood-cells"
"""The experiment of runs that are started without one named in `MLFLOW_EXPERIMENT_NAME` or by `mlflow run`."""
_PAGE: Final = 250

_log = logging.getLogger(__name__)
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it prints the traceback of what it raises
logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)  # a failing store is told of by the run
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # a .venv made by uv has no pip to name


def connect() -> str:
    """Returns the id of the experiment that runs go to, having made sure that the store answers.

    A fresh SQLite store is made by one process at a time: several at once would leave it broken. A server is asked
    once, so that a misspelt address is told at once; the runs of a sweep, which has asked, wait for it for minutes.

    Raises:
        TrackingError: the store does not answer, or the experiment was deleted.
    """
    if not sweep_run():
        _check_answers()
    mlflow.clear_active_model()  # a left-over of the environment, which would be given this run's metrics
    if stop_async_logging():
        _log.warning("MLFLOW_ENABLE_ASYNC_LOGGING is switched off: a run that goes on needs its values in their order.")
    database = database_file()
    with store_errors(), FileLock(f"{database}.lock", timeout=patience_s()) if database else nullcontext():
        if database:
            make_database(database)
        found = find_experiment()
        if found is None:
            artifacts, name = artifact_folder(), experiment()[1] or EXPERIMENT
            try:
                return str(mlflow.MlflowClient().create_experiment(name, artifacts.as_uri() if artifacts else None))
            except MlflowException:  # perhaps another process was quicker
                found = find_experiment()
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"experiment '{found.name}' was deleted: `mlflow experiments restore -x {found.experiment_id}`, or "
                "name another in MLFLOW_EXPERIMENT_NAME."
            )
        refuse_moved(found.artifact_location)
        return str(found.experiment_id)


def find_experiment() -> Experiment | None:
    """Returns the experiment that runs go to; None where that is not made yet."""
    chosen, name = experiment()
    client = mlflow.MlflowClient()
    found: Experiment | None = (
        client.get_experiment(chosen) if chosen else client.get_experiment_by_name(name or EXPERIMENT)
    )
    if found and not found.experiment_id:
        raise TrackingError(
            f"{mlflow.get_tracking_uri()} answers, but not as MLflow does: correct MLFLOW_TRACKING_URI."
        )
    return found


def store_location() -> tuple[str, set[Path]]:
    """Returns the store's address, its path absolute, and the folders of this machine that runs are written to."""
    experiment = mlflow.MlflowClient().get_experiment(connect())
    uri, folders, database = mlflow.get_tracking_uri(), set(), database_file()
    if database:
        uri = address_of(database)
        folders.add(database.parent)
    if is_local_uri(experiment.artifact_location):
        folders.add(Path(local_file_uri_to_path(experiment.artifact_location)).absolute())
    return uri, folders


def store_exists() -> bool:
    """Returns whether the store is there; a SQLite store is made by the first run."""
    database = database_file()
    return database is None or database.exists()


def describe_store() -> str:
    """Returns where runs go and whether that is there yet, having asked it; makes nothing.

    Raises:
        TrackingError: it does not answer, does not let us in, or is of another version.
    """
    uri, database = mlflow.get_tracking_uri(), database_file()
    if not store_exists():
        return f"{uri}, which the first run makes"
    _check_answers()
    with store_errors():
        if database:
            refuse_half_made(database)
        found = find_experiment()
    if found:
        refuse_moved(found.artifact_location)
    return f"{mask(uri)} answers"


def _check_answers() -> None:
    """Raises a TrackingError within seconds if a store that is no file does not answer."""
    check_settings()
    database, uri = database_file(), mlflow.get_tracking_uri()
    if uri.startswith(("http://", "https://")):
        refuse_no_address(uri, lambda text: urlsplit(text).port)
        check_server(uri)
    elif database is None and "://" in uri and not is_local_uri(uri):
        refuse_no_address(uri, make_url)
        check_database(uri)


def search(filter_string: str, newest_by: str = "start_time", most: int = 100_000) -> list[Run]:
    """Returns the runs of all experiments that an MLflow filter selects, the newest first, at most so many."""
    runs: list[Run] = mlflow.search_runs(
        search_all_experiments=True,
        filter_string=filter_string,
        max_results=most,
        order_by=[f"attributes.{newest_by} DESC"],
        output_format="list",
    )
    return runs


def search_by_pages(filter_string: str) -> Iterator[Run]:
    """Yields what `search` returns, a few hundred at a time: MLflow's objects of a run take five times what is kept."""
    client = mlflow.MlflowClient()
    experiments = [each.experiment_id for each in mlflow.search_experiments()]
    token, met = None, set[str]()
    while experiments:
        page = client.search_runs(
            experiments, filter_string, max_results=_PAGE, order_by=["attributes.start_time DESC"], page_token=token
        )
        fresh = [run for run in page if run.info.run_id not in met]  # a run that begins meanwhile moves the others on
        met |= {run.info.run_id for run in fresh}
        yield from fresh
        token = page.token
        if not token:
            return


@store_errors()
def which_run(text: str) -> str:
    """Returns the id of the run that a user means: latest, a name such as vgg16/seed1, or how an id begins.

    Raises:
        TrackingError: there is none, or there are several.
    """
    connect()
    done, begins = f"tags.{COMPLETE} = 'true'", re.fullmatch("[0-9a-f]{6,31}", text)
    if text == "latest":
        found = search(done, newest_by="end_time", most=1)
    elif re.fullmatch(r"[\w:.+-]+/seed\d+", text):
        found = search(f"{done} AND tags.`{RUN_NAME}` = '{text}'", newest_by="end_time")
        found = list({run.data.tags.get(PROFILE): run for run in reversed(found)}.values())  # of a study the newest
    elif begins:
        found = search(f"attributes.run_id LIKE '{text}%'")
    else:
        return text
    if len(found) > 1:
        named = ", ".join(f"{run.info.run_id} ({run.data.tags.get(PROFILE)})" for run in found)
        raise TrackingError(f"'{text}' may be any of {len(found)} runs: give the id of one: {named}.")
    if not found and text == "latest":
        raise TrackingError("no finished training run here yet: train a model first (make train).")
    if not found:
        raise no_run(text)
    return str(found[0].info.run_id)


def no_run(text: str) -> TrackingError:
    """Returns the error for a name or id that no run has, with the names that are like it and how runs are named."""
    names = list(dict.fromkeys(run.data.tags.get(RUN_NAME, "") for run in search(f"tags.{COMPLETE} = 'true'")))
    near = ", ".join(difflib.get_close_matches(text, names, n=3, cutoff=0.4))
    return TrackingError(
        f"no run {text or '(empty)'} in {mlflow.get_tracking_uri()}{f'; there is {near}' if near else ''}. Name a run "
        "by its id, 6 or more of its first digits, MODEL/seedN, or latest; the page of make server lists all."
    )


def fresh_run() -> str | None:
    """Returns the run that `mlflow run` opened for this process; None if there is none or the name is a left-over.

    `MLFLOW_RUN_ID` may still name a run of before, in a shell or a notebook. Only a run that is RUNNING and has neither
    identity nor kind is taken; any other name is dropped from the environment, so that MLflow does not take it either.
    """
    run_id = project_run()
    if not run_id:
        return None
    try:
        run = mlflow.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        run = None
    if run and run.info.status == "RUNNING" and not {TRAINED_AS, FINGERPRINT, KIND} & run.data.tags.keys():
        return run_id
    leave_project_run()
    return None
