"""Files and folders that appear whole or not at all, one writer at a time, and the disk's refusals in one sentence."""

import errno
import logging
import os
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from filelock import FileLock, Timeout

from wbc.errors import DataError

MOST_TEXT_BYTES: Final = 128 << 20
"""Of a text that is not ours and is read at once."""
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_log = logging.getLogger(__name__)


def is_text(name: str) -> bool:
    """Returns whether a file's name can stand in a table and on a terminal: UTF-8 and no control character."""
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)


def user_text(path: Path) -> str:
    """Returns the text of a file that is not ours, in UTF-8.

    Raises:
        DataError: It is too large to be such a text.
    """
    if (size := path.stat().st_size) > MOST_TEXT_BYTES:
        raise DataError(
            f"'{path}' has {size:,} bytes; of a text at most {MOST_TEXT_BYTES:,} are read: shorten or remove it."
        )
    return path.read_text(encoding="utf-8-sig")


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns whatever the operating system refuses below `folder` into one line that names the folder.

    Raises:
        DataError: The disk is full, the folder is read-only or not ours, or no folder can be there.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        if error.errno in _FULL:
            raise DataError(
                f"no space left in the data folder '{folder}': {error.strerror}. Free some, or set WBC_DATA_DIR to "
                "another folder."
            ) from error
        if error.filename is not None and not Path(error.filename).is_relative_to(folder):
            raise DataError(f"'{error.filename}' cannot be used: {error.strerror}.") from error
        raise DataError(
            f"the data folder '{folder}' cannot be written to: {error.strerror} ('{error.filename or folder}'). "
            "Make it writable, or set WBC_DATA_DIR to another folder."
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yields a file to write; `path` becomes it when the block ends well, else nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.tmp")
    try:
        with part.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def flush_file(path: Path) -> None:
    """Returns once the file's content is on the disk."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder to fill; `path` becomes it when the block ends well, else nothing is left."""
    part = path.with_name(f"{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        os.sync()  # thousands of files: all at once is quicker than one by one
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; waits, and says so, while another process holds it. Not to be nested."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _log.info("%s: another process is preparing it; waiting", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
