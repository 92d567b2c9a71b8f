"""How far a long step is: a bar with rate and time left on a terminal, a log line every ten seconds elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

LINE_EVERY_S: Final = 10.0
Unit = Literal["bytes", "images"]
_log = logging.getLogger(__name__)


@contextmanager
def progress(what: str, total: int | None, unit: Unit, *, start: int = 0) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of bytes or images just done; of `total`, `start` were done before."""
    state = _State(total=total, unit=unit, start=start)
    if not sys.stderr.isatty():
        yield lambda amount: state.log(what, amount)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(20),
        TextColumn("{task.fields[state]}"),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=total, completed=start, state=state)

        def advance(amount: int) -> None:
            state.done += amount
            bar.advance(task, amount)

        yield advance


class _State:
    def __init__(self, *, total: int | None, unit: Unit, start: int) -> None:
        self.total, self.unit, self.start, self.done = total, unit, start, start
        self.since = self.last_line = time.monotonic()

    def log(self, what: str, amount: int) -> None:
        self.done += amount
        if time.monotonic() - self.last_line >= LINE_EVERY_S:
            self.last_line = time.monotonic()
            _log.info("%s: %s", what, self)

    def __str__(self) -> str:
        rate = (self.done - self.start) / max(time.monotonic() - self.since, 1e-9)
        scale, unit = (1e6, "MB") if self.unit == "bytes" else (1, self.unit)
        text = f"{self.done / scale:,.0f}"
        if self.total is not None:
            text += f" of {self.total / scale:,.0f}"
        text += f" {unit}, {rate / scale:,.1f}/s"
        if self.total is not None and rate > 0:
            minutes, seconds = divmod(round((self.total - self.done) / rate), 60)
            text += f", {minutes}:{seconds:02d} left"
        return text
