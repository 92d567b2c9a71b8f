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
        TrackingError: the store is no SQLite file, or `new` is not there.
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
        if old is None:
            found = find_experiment()
            if found is None:
                return 0
            old = Path(local_file_uri_to_path(found.artifact_location))
        with closing(sqlite3.connect(database)) as connection, connection:
            return sum(
                connection.execute(
                    f"UPDATE {table} SET {column} = ?1 || substr({column}, length(?2) + 1) "
                    f"WHERE {column} = ?2 OR substr({column}, 1, length(?2) + 1) = ?2 || '/'",
                    (new.absolute().as_uri(), was),
                ).rowcount
                for table, column in _COLUMNS
                for was in (old.absolute().as_uri(), str(old.absolute()))
            )
