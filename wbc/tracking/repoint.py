"""Repointing: a SQLite store whose project was moved learns where its artifacts lie now."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import mlflow
from mlflow.utils.file_utils import local_file_uri_to_path

from wbc.errors import TrackingError
from wbc.tracking.connection import store_errors
from wbc.tracking.database import artifact_folder, database_file
from wbc.tracking.store import find_experiment

_COLUMNS: Final = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def repoint(old: Path | None = None, new: Path | None = None) -> int:
    """Records that artifacts below `old` lie below `new`, for experiments, runs and models; moves no file.

    Returns how many addresses changed. By default `old` is what the experiment in use says, `new` is `mlartifacts`
    beside the database.

    Raises:
        TrackingError: the store is no SQLite file, `new` is not there, or no address lies below an `old` that is given.
    """
    database, beside = database_file(), artifact_folder()
    if database is None or beside is None or not database.exists():
        raise TrackingError(f"{mlflow.get_tracking_uri()} is no SQLite file: only one of those can be repointed.")
    if new is None:
        new = beside
        new.mkdir(exist_ok=True)  # where nothing was logged before the project was moved
    if not new.is_dir():
        raise TrackingError(f"there is no folder {new}: name the one that the artifacts lie in now.")
    with store_errors():
        found = find_experiment()
        recorded = Path(local_file_uri_to_path(found.artifact_location)) if found else None
        was = old or recorded
        if was is None or was.absolute() == new.absolute():
            return 0
        with closing(sqlite3.connect(database)) as connection, connection:
            changed = sum(
                connection.execute(
                    f"UPDATE {table} SET {column} = ?1 || substr({column}, length(?2) + 1) "
                    f"WHERE {column} = ?2 OR substr({column}, 1, length(?2) + 1) = ?2 || '/'",
                    (new.absolute().as_uri(), address),
                ).rowcount
                for table, column in _COLUMNS
                for address in (was.absolute().as_uri(), str(was.absolute()))
            )
    if old and not changed:
        raise TrackingError(f"no address of the store lies below {old}; artifacts of new runs go to {recorded}.")
    return changed
