"""Kills a worker outright at a drawn moment of a drawn phase of a run, whatever else the machine does."""

import random
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from typing import Any, Final

import mlflow

from wbc.tracking import runs
from wbc.tracking.score_log import ScoreLog
from wbc.tracking.training_log import TrainingLog
from wbc.training import fit

_FUNCTIONS: Final[dict[str, tuple[Any, str]]] = {
    "claiming": (runs, "claim_run"),
    "training": (fit, "train_epoch"),
    "uploading": (TrainingLog, "_upload_file"),
    "naming the checkpoint": (TrainingLog, "_name_checkpoint"),
    "logging the model": (TrainingLog, "_log_model"),
    "scoring a domain": (ScoreLog, "log"),
    "completing": (ScoreLog, "complete"),
    "ending": (mlflow, "end_run"),
}
PHASES: Final = tuple(_FUNCTIONS)
_LONGEST_S: Final = 0.03
"""A call into C takes long, a kill within one comes by the clock."""


class Reaper:
    """Shared by a test and its workers: how many steps each phase took, where to kill, where kills came."""

    def __init__(self, context: ForkServerContext) -> None:
        self._steps = context.Array("q", len(PHASES))
        self.kills = context.Array("i", len(PHASES))
        """By phase."""
        self._phase, self._time, self._step, self._delay_s = -1, 0, 0, 0.0

    def draw(self, phase: str, drawn: random.Random) -> None:
        """Has the next worker killed in this phase: at the drawn step of those it took last, or a moment after."""
        self._phase = PHASES.index(phase)
        self._time = drawn.randint(1, 2) if phase in PHASES[1:4] else 1  # the others come once per run
        self._step = drawn.randint(1, self._steps[self._phase])
        self._delay_s = drawn.choice([1e-6, drawn.uniform(1e-6, _LONGEST_S)])

    def watch(self) -> None:
        """Counts the steps of each phase of this process from now on, and kills it as was drawn."""
        for index, (owner, name) in enumerate(_FUNCTIONS.values()):
            setattr(owner, name, self._watched(index, getattr(owner, name)))

    def _watched(self, index: int, function: Callable[..., object]) -> Callable[..., object]:
        times = 0

        def watched(*arguments: object) -> object:
            nonlocal times
            times += 1
            steps, last = 0, self._step if (index, times) == (self._phase, self._time) else None

            def count(*_: object) -> None:
                nonlocal steps
                steps += 1
                if steps == last:
                    self._kill()

            sys.setprofile(count)
            try:
                result = function(*arguments)
            finally:
                sys.setprofile(None)
            if last is None:
                self._steps[index] = max(steps, self._steps[index])
                return result
            if steps < last:
                self._kill()
            time.sleep(60)  # it is killed at the end of the phase at the latest
            return result

        return watched

    def _kill(self) -> None:
        """Lets the kernel end this process, as SIGKILL does: nothing handles SIGALRM, nor needs Python to run."""
        self.kills[self._phase] += 1
        signal.setitimer(signal.ITIMER_REAL, self._delay_s)
