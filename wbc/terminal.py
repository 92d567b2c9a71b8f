"""What a terminal shows: lines above a bar for a long step, and tables that fit. Elsewhere, plain lines and tables."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final, Literal, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

LINE_EVERY_S: Final = {"bytes": 10.0, "images": 10.0, "files": 10.0, "epochs": 30.0}
"""Seconds between lines about a long step where there is no bar."""
Unit = Literal["bytes", "images", "files", "epochs"]
_log = logging.getLogger(__name__)
_reported: Any = None


class Lines(logging.StreamHandler[TextIO]):
    """Writes each record to stderr as a line without time or level, on a terminal above a bar and warnings yellow."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record; where that fails, the program goes on."""
        if not has_bars():
            super().emit(record)
            return
        try:
            console().print(Text(self.format(record), style="yellow" if record.levelno >= logging.WARNING else ""))
        except OSError:
            self.handleError(record)


@cache
def console() -> Console:
    """Returns stderr, of the log and of bars: lines that are printed on it stand above a bar."""
    return Console(stderr=True)


def has_bars() -> bool:
    """Returns whether stderr is a terminal that can redraw a line."""
    return console().is_interactive and sys.stderr.isatty()


def report_epochs(value: Any) -> None:
    """Makes this process, a worker, draw no bars; `value.value` says from now on how many epochs a run has done."""
    global _reported
    _reported = value
    if has_bars():  # a warning takes the place of the sweep's bar, which is drawn anew below it
        logging.basicConfig(format="\r\x1b[2K%(message)s")


@contextmanager
def progress(what: str, total: int | None, unit: Unit, *, start: int = 0) -> Iterator[Callable[[float], None]]:
    """Yields a function to call with the amount just done, in `unit`; of `total`, `start` was done before."""
    state = _State(what, total, unit, start)
    if _reported is not None:
        state.report(0)
        yield state.report
        return
    if not has_bars():
        yield state.log
        return
    columns = TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[state]}")
    bar = Progress(*columns, console=console(), transient=True, redirect_stdout=False)
    with drawn(bar):
        task = bar.add_task(what, total=total, completed=start, state=state)

        def advance(amount: float) -> None:
            state.done += amount
            bar.advance(task, amount)

        yield advance


@contextmanager
def drawn(bar: Live | Progress) -> Iterator[None]:
    """Draws a bar inside the block, which goes on where the terminal is gone."""
    with suppress(OSError):
        bar.start()
    try:
        yield
    finally:
        with suppress(OSError):
            bar.stop()


def time_left(seconds: float) -> str:
    """Returns a time to wait in words, no more exact than it can be known."""
    if seconds <= 90:
        return f"{math.ceil(seconds / 5) * 5} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min left"


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, below: Sequence[str] | None = None) -> None:
    """Prints a table, `below` under a line; as a list of rows where the terminal is too narrow for it."""
    output, table = Console(), Table()
    for column, heading in enumerate(headings):
        table.add_column(Text(heading), no_wrap=True, justify="right" if column else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    if below:
        table.add_section()
        table.add_row(*map(Text, below))
    width = output.measure(table, options=output.options.update(width=sys.maxsize)).maximum
    if not output.is_terminal:
        output = Console(width=width)
    if width <= output.width:
        output.print(table)
        return
    longest = max(map(len, headings[1:]), default=0)
    for name, *cells in [*rows, below] if below else rows:
        output.print(Text(name))
        for heading, cell in zip(headings[1:], cells, strict=False):
            output.print(Text(f"  {heading:{longest}}  {cell}"))


class _State:
    def __init__(self, what: str, total: int | None, unit: Unit, start: int) -> None:
        self.what, self.total, self.unit, self.start = what, total, unit, start
        self.done: float = start
        self.since = self.last_line = time.monotonic()

    def log(self, amount: float) -> None:
        self.done += amount
        if time.monotonic() - self.last_line >= LINE_EVERY_S[self.unit]:
            self.last_line = time.monotonic()
            _log.info("%s: %s", self.what, self)

    def report(self, amount: float) -> None:
        self.done += amount
        if self.unit == "epochs":
            _reported.value = self.done

    def __str__(self) -> str:
        rate = (self.done - self.start) / max(time.monotonic() - self.since, 1e-9)
        scale, unit = (1e6, "MB") if self.unit == "bytes" else (1, self.unit)
        exact = ".1f" if self.unit == "epochs" else ",.0f"
        text = f"{self.done / scale:{exact}}"
        if self.total is not None:
            text += f" of {self.total / scale:,.0f}"
        text += f" {unit}" if self.unit in ("epochs", "files") else f" {unit}, {rate / scale:,.1f}/s"
        if self.total is not None and rate > 0:
            text += f", {time_left((self.total - self.done) / rate)}"
        return text
