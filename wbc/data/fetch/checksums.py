"""SHA-256 of archives: recorded when one was first used with success, compared from then on."""

import hashlib
import json
from pathlib import Path

from wbc.data.disk import whole_file
from wbc.data.domain import Archive
from wbc.errors import DataError

LOCK_NAME = "archives.lock.json"


def file_sha256(path: Path) -> str:
    """Returns the file's SHA-256 in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def expected_sha256(archive: Archive, home: Path) -> str | None:
    """Returns what the archive's host published, else what was recorded below `home`, else None."""
    return archive.sha256 or _read(home).get(archive.basename)


def check_sha256(path: Path, archive: Archive, home: Path) -> str:
    """Returns the file's SHA-256.

    Raises:
        DataError: It differs from the published or the recorded one.
    """
    actual, expected = file_sha256(path), expected_sha256(archive, home)
    if expected is not None and actual != expected:
        source = "published" if archive.sha256 else f"recorded in '{home / LOCK_NAME}'"
        raise DataError(
            f"its SHA-256 is {actual}, {source} is {expected}. Fetch it again; if the new file is right, "
            f"{'correct the catalogue' if archive.sha256 else 'delete the record'}."
        )
    return actual


def record_sha256(digests: dict[str, str], home: Path) -> None:
    """Adds the digests, by basename, to the record."""
    with whole_file(home / LOCK_NAME) as handle:
        handle.write(json.dumps(_read(home) | digests, indent=2, sort_keys=True).encode() + b"\n")


def _read(home: Path) -> dict[str, str]:
    path = home / LOCK_NAME
    if not path.exists():
        return {}
    try:
        return {str(name): str(digest) for name, digest in json.loads(path.read_bytes()).items()}
    except (ValueError, AttributeError) as error:
        raise DataError(f"'{path}' is damaged ({error}). Delete it, and the archives are recorded anew.") from error
