"""Files of a run: whether they are there, fetched, and held against the SHA-256 that was logged with them."""

from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from wbc.data.fetch.checksums import file_sha256
from wbc.errors import DamageError
from wbc.tracking import schema
from wbc.tracking.connection import insist, store_errors
from wbc.tracking.read import StoredRun


def holds(run: StoredRun, artifact: str) -> bool:
    """Returns whether a run has an artifact of this name."""
    with store_errors():
        repository = get_artifact_repository(run.artifact_uri)
        return artifact in {entry.path for entry in repository.list_artifacts(artifact.rpartition("/")[0] or None)}


def holds_model(run: StoredRun) -> bool:
    """Returns whether a run has a model that MLflow can load; its files are looked for on this machine's disk alone."""
    model_id = run.tags.get(schema.MODEL_ID)
    if not model_id or not isinstance(get_artifact_repository(run.artifact_uri), LocalArtifactRepository):
        return bool(model_id)
    if get_artifact_repository(f"{run.artifact_uri.rsplit('/', 2)[0]}/models/{model_id}/artifacts").list_artifacts():
        return True
    try:  # it may lie elsewhere
        return bool(get_artifact_repository(mlflow.get_logged_model(model_id).artifact_location).list_artifacts())
    except MlflowException:  # deleted, or never there
        return False


def fetch(run: StoredRun, artifact: str, folder: Path, *, in_place: bool = False, checked: bool = True) -> Path | None:
    """Fetches a file or folder of a run into `folder`, and holds each file against the SHA-256 that was logged with it.

    Returns:
        Where it lies now, or None where the run has no artifact of this name. With `in_place`, for callers that only
        read, what is on this machine's disk stays where the store has it. Not `checked`: `check_file` is left to them.

    Raises:
        DamageError: a file is not the one that was logged.
    """
    if not holds(run, artifact):
        return None
    with store_errors():
        repository = get_artifact_repository(run.artifact_uri)
        stays = in_place and isinstance(repository, LocalArtifactRepository)
        if not stays:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            path = Path(insist(lambda: repository.download_artifacts(artifact, None if stays else str(folder))))
        except FileNotFoundError as error:  # a link to nowhere
            raise DamageError(f"{artifact} of run {run.id} cannot be read: {error.strerror}.") from error
        files = (
            [file for file in path.rglob("*") if file.is_file()]
            if path.is_dir() and not Path(artifact).suffix
            else [path]
        )
        for file in files if checked else ():
            check_file(run, artifact if file == path else f"{artifact}/{file.relative_to(path).as_posix()}", file)
    return path


def check_file(run: StoredRun, artifact: str, file: Path) -> None:
    """Raises a DamageError if a file, fetched from a run, is not the one that was logged, or no file."""
    logged = run.tags.get(schema.sha256(artifact))
    try:
        same = file.is_file() and (not logged or file_sha256(file) == logged)
    except OSError as error:
        raise DamageError(f"{artifact} of run {run.id} cannot be read: {error.strerror}.") from error
    if not same:
        raise DamageError(f"{artifact} of run {run.id} is not the file that was logged: its SHA-256 differs.")
