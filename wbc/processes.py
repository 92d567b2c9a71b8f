"""Processes of this machine: the cores they may use, and an orderly end when asked to stop."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from wbc.errors import RunnerError

TERMINAL_SIGNALS: Final = (signal.SIGHUP, signal.SIGQUIT)
"""Sent when a terminal is closed, and by its Ctrl-\\."""
_asked: Final[list[BaseException]] = []


def cores() -> int:
    """Returns how many cores this process may use: fewer than there are below `taskset`, Slurm or a CPU set."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def shared_memory_errors() -> Iterator[None]:
    """Raises a RunnerError if worker processes cannot be made inside the block, which takes shared memory."""
    try:
        yield
    except OSError as error:  # of a semaphore, or of memory that is shared
        raise RunnerError(
            f"worker processes need a writable /dev/shm ({error.strerror}): mount one (Docker: --tmpfs /dev/shm)."
        ) from error


def signals_exit() -> AbstractContextManager[None]:
    """Lets SIGTERM, and what a terminal sends, end the block by SystemExit of 128 + the number, after cleaning up.

    Only the main thread can do this. What is ignored stays so, as SIGHUP below `nohup`.
    """
    heard = [signum for signum in TERMINAL_SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]
    return stops_on(signal.SIGTERM, *heard)


@contextmanager
def stops_on(*signals: signal.Signals) -> Iterator[None]:
    """Lets a signal end the block: SIGINT by KeyboardInterrupt, another by SystemExit of 128 + its number."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, _stop) for signum in signals}
    try:
        yield
    except Exception as error:
        stop_if_asked(error)
        raise
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        _asked.clear()


def stop_if_asked(cause: Exception | None = None) -> None:
    """Raises once more what a signal has raised, for it may not have come through.

    Python drops an exception that falls into a destructor, and a library may make another of it: the `cause`.
    """
    if _asked:
        raise _asked[0] from cause


def asked_to_stop() -> bool:
    """Returns whether a signal has asked the block under way to stop."""
    return bool(_asked)


def _stop(signum: int, _frame: object) -> None:
    if _asked and signum in TERMINAL_SIGNALS:  # sent twice: it would cut the cleaning short
        return
    _asked.append(KeyboardInterrupt() if signum == signal.SIGINT else SystemExit(128 + signum))
    raise _asked[-1]
