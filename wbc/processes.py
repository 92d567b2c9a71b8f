"""Processes of this machine: one at a time at each run, and an orderly end when told to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from wbc.config import data_dir
from wbc.data.disk import disk_errors
from wbc.errors import TrackingError


@contextmanager
def only_process(fingerprint: str) -> Iterator[None]:
    """Keeps other processes of this machine from a run while the block lasts; the lock goes with the process.

    Raises:
        TrackingError: another process is at it.
    """
    folder = data_dir() / "locks"
    with disk_errors(data_dir()):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{fingerprint}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise TrackingError("another process of this machine is at this very run: wait for it, or stop it.") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def sigterm_exits() -> Iterator[None]:
    """Lets SIGTERM end the block by SystemExit(143), so that it can clean up; only the main thread can do this."""

    def stop(signum: int, _frame: object) -> None:
        raise SystemExit(128 + signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
