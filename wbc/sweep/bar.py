"""The bar of a sweep: how many runs have ended, and how long the rest takes; a line a minute where there is no bar.

A run weighs what it costs: images times epochs, by the measured rate of its model. The sweep's pace turns weights into
time, and so takes account of whatever else the machine does.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from wbc.config import RunConfig
from wbc.sweep.forecast import Rates, epochs_left, images_per_s
from wbc.sweep.plan import Cell
from wbc.sweep.runners.base import Epochs, Runner
from wbc.terminal import console, drawn, has_bars, time_left
from wbc.training.pretrain import EPOCHS, IMAGES

LINE_EVERY_S: Final = 60.0
"""Seconds between lines where there is no bar."""
TRUST_S: Final = 60.0
"""Rates of earlier runs count as much as so many seconds of the sweep's pace."""
UNSURE_S: Final = 10.0
"""Seconds of pace before which, without such rates, nothing is said of the time left."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A run to train and score, or a file of weights to learn."""

    cost: float
    """Seconds of the whole machine; if no rate is known of any run, images that pass the network."""
    first: float
    last: float
    """Epochs done at its start and end."""

    def share(self, done: Epochs | None) -> float:
        """Returns how much of it is done, in [0, 1]."""
        return min(1.0, max(0.0, ((done.value if done else 0.0) - self.first) / (self.last - self.first)))


class Bar:
    """How far a sweep is: `str` says it in words without the number of runs."""

    def __init__(self, cells: Sequence[Cell], rates: Mapping[str, Rates], runner: Runner) -> None:
        """Takes the runs of a study: those that are not done, and that no other sweep has, are this sweep's work."""
        todo = [cell for cell in cells if cell.state in ("to run", "interrupted")]
        self.total, self.ended, self._runner = len(cells), len(cells) - len(todo), runner
        found = {cell.config: images_per_s(cell.config, rates) for cell in todo}
        known = [rate for rate in found.values() if rate]
        self._trust, usual = (TRUST_S, sum(known) / len(known)) if known else (0.0, 1.0)
        self._runs: dict[RunConfig, _Work] = {}
        for cell in todo:
            epochs = epochs_left(cell) + 1  # scoring counts as one
            cost = epochs * (cell.train_images or 1) / (found[cell.config] or usual)
            last = cell.config.epochs + 1
            self._runs[cell.config] = _Work(cost=cost, first=last - epochs, last=last)
        learned = _Work(cost=EPOCHS * IMAGES / usual, first=0, last=EPOCHS)
        self._weights = dict.fromkeys(runner.to_learn(list(self._runs)), learned)
        self._ended: set[RunConfig] = set()
        self._since, self._started = time.monotonic(), False

    def end(self, config: RunConfig) -> None:
        """Takes note that a run has ended, well or not."""
        self._ended.add(config)
        self.ended += 1

    def share(self) -> float:
        """Returns how much of the work is done, by cost, in [0, 1]."""
        whole, done = self._costs()
        return done / whole

    def seconds_left(self) -> float | None:
        """Returns the time that the rest takes; None while nothing shows it."""
        whole, done = self._costs()
        if not self._started:
            if done and self._runner.trained | self._runner.learned:  # what comes before, such as imports, comes once
                self._since = time.monotonic()
            self._started = bool(done)
        past = time.monotonic() - self._since
        if not done:
            return whole if self._trust else None
        if not self._trust and past < UNSURE_S:
            return None
        return (whole - done) * (past + self._trust) / (done + self._trust)

    def __str__(self) -> str:
        seconds, learned = self.seconds_left(), self._runner.learned
        ready = sum(work.share(learned.get(run)) == 1 for run, work in self._weights.items())
        weights = f"weights {ready} of {len(self._weights)}, " if ready < len(self._weights) else ""
        now = "under way" if self._started else "starting"
        return weights + (now if seconds is None else time_left(seconds))

    def _costs(self) -> tuple[float, float]:
        """Returns the cost of all work, and of what is done of it."""
        trained, learned = self._runner.trained, self._runner.learned
        shares = [(work, work.share(learned.get(run))) for run, work in self._weights.items()]
        for run, work in self._runs.items():
            shares.append((work, 1.0 if run in self._ended else work.share(trained.get(run))))
        return sum(work.cost for work, _ in shares), sum(work.cost * share for work, share in shares)


@contextmanager
def shown(bar: Bar) -> Iterator[None]:
    """Shows a bar inside the block, on the last line of a terminal; elsewhere a line is logged each minute."""
    if has_bars():
        how: dict[str, Any] = {"refresh_per_second": 2, "transient": True, "redirect_stdout": False}
        with drawn(Live(get_renderable=lambda: _draw(bar), console=console(), **how)):
            yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_tell, args=(bar, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _draw(bar: Bar) -> Table:
    line = Table.grid(padding=(0, 1))
    for _ in range(3):
        line.add_column(no_wrap=True)
    width = min(20, console().width // 4)
    line.add_row(f"{bar.ended} of {bar.total} runs", ProgressBar(1.0, bar.share(), width=width), str(bar))
    return line


def _tell(bar: Bar, stop: threading.Event) -> None:
    while not stop.wait(LINE_EVERY_S):
        _log.info("%d of %d runs, %.0f %% of the work, %s", bar.ended, bar.total, 100 * bar.share(), bar)
