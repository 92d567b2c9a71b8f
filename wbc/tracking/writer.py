"""Writes to the store behind training, so that a server that is away for a while does not hold it up.

MLflow asks a server that does not answer again for about four minutes (`MLFLOW_HTTP_REQUEST_MAX_RETRIES`); meanwhile
training goes on, and what it has to log waits here.
"""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from queue import SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Final

from wbc.tracking.connection import store_errors

_PARTING_S: Final = 10.0


class Writer:
    """Does what it is given on one thread, in order; once something has failed, nothing more.

    A checkpoint is thus named only when the metrics of its epochs are in the store. The block that it is the context of
    ends when all is written. Where an error ends the block, that error counts, and the store gets ten seconds; what is
    not begun by then is dropped, for another process may be at the run by the time the store is back.
    """

    def __init__(self, check: Callable[[], object] = lambda: None) -> None:
        """Takes what is called before each task, and stops it by what it raises."""
        self._check, self._parted = check, Event()
        self._tasks: SimpleQueue[tuple[Future[None], Callable[[], object]] | None] = SimpleQueue()
        self._last: Future[None] = Future()
        self._last.set_result(None)
        Thread(target=self._work, daemon=True, name="store").start()

    def later(self, task: Callable[[], object]) -> None:
        """Queues a task; raises what an earlier one has failed with: a TrackingError where the store refused it."""
        if self._last.done():
            self._last.result()
        self._last = Future()
        self._tasks.put((self._last, task))

    def flush(self, timeout_s: float | None = None) -> None:
        """Returns once all that was queued is written; raises what one of the tasks failed with."""
        self._last.result(timeout_s)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with suppress(Exception) if error else nullcontext():
                self.flush(_PARTING_S if error else None)
        finally:
            self._parted.set()
            self._tasks.put(None)

    def _work(self) -> None:
        failure: BaseException | None = None
        for future, task in iter(self._tasks.get, None):
            try:
                if failure is None and not self._parted.is_set():
                    with store_errors():
                        self._check()
                        task()
            except BaseException as error:
                failure = error
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(failure)
