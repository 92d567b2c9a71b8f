"""The file of a SQLite store: its address, how it is made, and whether it is where its artifacts are."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mlflow
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from wbc.errors import TrackingError, first_line
from wbc.surroundings import set_defaults
from wbc.tracking.connection import patience_s, store_errors


@store_errors()
def database_file() -> Path | None:
    """Returns the file of a SQLite store; None for any other store."""
    if not mlflow.is_tracking_uri_set():  # MLflow's own default would make a folder "my%20work" beside "my work"
        set_defaults(MLFLOW_TRACKING_URI=address_of(Path("mlflow.db").absolute()))
    uri = mlflow.get_tracking_uri()
    refuse_no_address(uri, _check_spelling)
    if not uri.startswith(("sqlite:", "sqlite+")):
        return None
    name = make_url(uri).database
    if not name or name.startswith((":memory:", "file:")):
        raise TrackingError(f"the tracking store {uri} names no file to keep runs in: write sqlite:///mlflow.db.")
    return Path(name).absolute()


def address_of(database: Path) -> str:
    """Returns the address of a SQLite file, with the settings that the one in use has.

    Only what SQLAlchemy would misread is quoted, for MLflow makes the folder above as the address spells it.
    """
    address = f"sqlite:///{str(database).replace('%', '%25').replace('?', '%3F')}"
    _, mark, settings = mlflow.get_tracking_uri().partition("?")
    return f"{address}{mark}{settings}"


def artifact_folder() -> Path | None:
    """Returns where a SQLite store has artifacts, unless told otherwise as it was made; None for any other store."""
    database = database_file()
    return database.with_name("mlartifacts") if database else None


def make_database(database: Path) -> None:
    """Makes a fresh SQLite store under another name and renames it: MLflow cannot go on with one it began to make.

    Raises:
        TrackingError: another program was stopped as it made this one, or is making it.
    """
    if database.exists() and database.stat().st_size:
        return refuse_half_made(database)
    making = database.with_name(f".{database.name}.making")
    making.unlink(missing_ok=True)
    try:
        mlflow.MlflowClient(address_of(making)).search_experiments(max_results=1)
        making.replace(database)
    finally:
        making.unlink(missing_ok=True)
    return None


def refuse_half_made(database: Path) -> None:
    """Raises a TrackingError if another program began to make a SQLite store and did not end."""
    # rw, though it only reads: after a process was killed as it wrote, the first to open the file must undo its half
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", patience_s(), uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        made = "alembic_version" in tables and connection.execute("SELECT * FROM alembic_version").fetchone()
    if not made:
        raise TrackingError(
            f"the tracking store {database} is half made: if no other program is making it at this moment, delete "
            "it, which has no runs yet, and run the same again."
        )


def refuse_moved(recorded: str) -> None:
    """Raises a TrackingError if a SQLite store was moved or copied, and says that its artifacts are where it was."""
    here = artifact_folder()
    if here is None or not is_local_uri(recorded):
        return
    there = Path(local_file_uri_to_path(recorded))
    if there.name != here.name or there == here or (there.exists() and not _is_copy(here, there)):
        return
    lie = "of which there is a copy at" if there.exists() else "but they lie at"
    raise TrackingError(
        f"the tracking store looks for its artifacts at {there}, {lie} {here}: `make repoint` records the new place."
    )


def _is_copy(here: Path, there: Path) -> bool:
    """Returns whether two folders of artifacts hold those of the same runs."""
    if not here.is_dir() or here.samefile(there):
        return False
    return any(there.joinpath(run.name, "artifacts").is_dir() for run in here.iterdir())


def refuse_no_address(uri: str, read: Callable[[str], object]) -> None:
    """Raises a TrackingError if an address cannot be read as such."""
    try:
        read(uri)
    except (ValueError, SQLAlchemyError) as error:
        raise TrackingError(
            f"the tracking store {uri} is no address ({first_line(error).rstrip('.')}): correct MLFLOW_TRACKING_URI."
        ) from error


def _check_spelling(uri: str) -> None:
    """Raises a ValueError if an address is not spelled as one, which MLflow would take for a path or a database."""
    scheme, colon, _ = uri.partition(":")
    if uri != uri.strip() or (colon and scheme != scheme.lower()):
        raise ValueError("spaces around it, or capitals before its colon")
    if re.match(r"[\w.-]+:\d+(/|$)|https?:(?!//[^/])", uri):
        raise ValueError("a server's begins with http:// or https:// and its host")
