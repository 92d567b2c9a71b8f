"""How things are measured: sides in turn, round by round; medians, and the spread of the ratios of the same round."""

import ctypes
import gc
import math
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import torch

_Result = TypeVar("_Result")
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_MMAP_MAX: Final = -4


@dataclass(frozen=True)
class Side:
    """One way to do the work."""

    work: Callable[[], int]
    """Does it once and returns the number of images (or runs)."""
    keeps_memory: bool = False
    """Whether glibc keeps what tensors give back, as training does with fast=on; else as it does by itself."""


@dataclass(frozen=True)
class Rates:
    """What the sides came to, a value per round: units of work per second."""

    by_side: dict[str, list[float]]

    def median(self, side: str) -> float:
        """Returns a side's median rate."""
        return statistics.median(self.by_side[side])

    def ratios(self, side: str, baseline: str) -> list[float]:
        """Returns, round by round, how many times as fast as the baseline a side is."""
        return [a / b for a, b in zip(self.by_side[side], self.by_side[baseline], strict=True)]


def interleave(
    sides: Mapping[str, Side],
    rounds: int,
    *,
    device: str,
    threads: int = 1,
    wall: bool = False,
    warm: bool = False,
    until: float = math.inf,
) -> Rates:
    """Measures the sides in turn: by this process's time on a CPU, by time on the wall on a GPU or where asked for.

    Args:
        sides: What is measured.
        rounds: How often each is, at most.
        device: cpu or cuda.
        threads: Of this process meanwhile.
        wall: Whether to go by time on the wall.
        warm: Whether each side has worked before, so that nothing is left to compile.
        until: The value of `time.perf_counter` after which no further round begins; the first one always does.
    """
    clock = time.process_time if device == "cpu" and not wall else time.perf_counter
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    by_side: dict[str, list[float]] = {name: [] for name in sides}
    try:
        for side in (
            sides.values() if device == "cuda" and not warm else ()
        ):  # what compiles does so before it is measured
            side.work()
        for number in range(rounds):
            if number and time.perf_counter() > until:
                break
            for name, side in sides.items():
                _allocate(keep=side.keeps_memory)
                gc.collect()
                started = clock()
                count = side.work()
                if device == "cuda":
                    torch.cuda.synchronize()
                by_side[name].append(count / (clock() - started))
    finally:
        torch.set_num_threads(before)
    return Rates(by_side)


def repeated(work: Callable[[], object], times: int, device: str) -> list[float]:
    """Returns how many seconds the work takes each time: of this process on a CPU, on the wall on a GPU."""
    clock, seconds = (time.process_time if device == "cpu" else time.perf_counter), []
    for _ in range(times):
        started = clock()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(clock() - started)
    return seconds


def peak_memory(work: Callable[..., Any], *arguments: Any) -> tuple[float, float]:
    """Returns the peak of resident memory and of the GPU's, in MB, of a process that does the work once."""
    return in_fresh_process(_peaks, work, arguments)


def in_fresh_process(function: Callable[..., _Result], *arguments: Any) -> _Result:
    """Returns what a function returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _peaks(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[float, float]:
    torch.set_num_threads(1)
    work(*arguments)
    return peaks_so_far()


def peaks_so_far() -> tuple[float, float]:
    """Returns the most resident memory, and of the GPU's, in MB, that this process has had since it was started."""
    return _resident_peak_mb(), torch.cuda.max_memory_reserved() / 2**20 if torch.cuda.is_available() else 0.0


def _resident_peak_mb() -> float:
    """Returns the peak of resident memory, whatever this process's parent had."""
    try:
        words = Path("/proc/self/status").read_text(encoding="utf-8").split()
        return int(words[words.index("VmHWM:") + 1]) / 1024
    except (OSError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _allocate(*, keep: bool) -> None:
    """Sets glibc's allocator as training does, or as it is in a process that has run for a while."""
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    libc.mallopt(_M_MMAP_MAX, 0 if keep else 65536)
    libc.mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # to where it rises by itself
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1 if keep else 64 * 2**20)
    libc.malloc_trim(0)
