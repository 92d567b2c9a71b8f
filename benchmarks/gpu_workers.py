"""What processes beside the measuring one do on a GPU: compile ahead, train at once, run the tests."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.measure import in_fresh_process
from benchmarks.work import Ours
from wbc.config import RunConfig

ROOT: Final = Path(__file__).parents[1]
SHORT: Final = "not compiled_full_model"
"""The tests of tests/test_gpu.py that end within seconds each; the others compile full models."""
LONG: Final = "compiled_full_model"
NEED_GB: Final = 16
"""Of the GPU's memory, what a process that compiles takes at most."""
_ready: list[Ours] = []


def seconds(action: Callable[[], object]) -> float:
    """Returns how long something takes on the wall, until the GPU has done it too."""
    began = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def compile_s(run: Ours) -> float:
    """Returns how many seconds the first update of a run takes longer than the second."""
    first, second = seconds(run.update_first), seconds(run.update_first)
    return first - second


def compile_first(config: RunConfig) -> float:
    """Compiles a run's model in this process, for whatever process comes after; returns the seconds."""
    return compile_s(Ours(config))


def compile_anew(config: RunConfig) -> float:
    """Does the same without the code that is kept."""
    os.environ.pop("TRITON_CACHE_DIR", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        return compile_first(config)


def stand_ready(config: RunConfig, jobs: int) -> float:
    """Makes a run's first update, `jobs` being on the GPU in all; returns the seconds from nothing to there."""
    os.environ["WBC_GPU_JOBS"] = str(jobs)
    began = time.perf_counter()
    _ready.append(Ours(config))
    _ready[-1].update_first()
    return time.perf_counter() - began


def train_ready(epochs: int) -> int:
    """Trains the run that stands ready; returns the number of images."""
    return sum(_ready[-1].train() for _ in range(epochs))


def compile_ahead(configs: Sequence[RunConfig], jobs: int, until: float) -> dict[str, float | str]:
    """Compiles each run's model, so many at a time; returns the seconds of each, or why there is no compiled code.

    After `until`, a value of `time.perf_counter`, none begins any more.
    """
    found: dict[str, float | str] = {}
    with _few_threads(jobs), ThreadPoolExecutor(jobs) as pool:
        under_way = {
            f"{each.model} {each.precision}": pool.submit(in_fresh_process, compile_first, each) for each in configs
        }
        for name, future in under_way.items():
            try:
                found[name] = round(future.result(max(0.0, until - time.perf_counter())), 1)
            except Exception as error:  # the measuring process compiles it then
                future.cancel()
                found[name] = f"{type(error).__name__}: {error}"[:200]
    return found


def jobs_that_compile(cores: int) -> int:
    """Returns how many processes may compile at once: two cores each, and memory on the GPU."""
    free = torch.cuda.mem_get_info()[0] / 1e9 if torch.cuda.is_available() else NEED_GB
    return max(1, min(cores // 2, int(free / NEED_GB)))


def start_tests(which: str) -> "subprocess.Popen[str]":
    """Starts the tests that need CUDA and no tracking; without the checks of types, whose library may be missing."""
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-rfE", "--tb=line", "-k", which]
    command += ["-p", "no:cacheprovider", "tests/test_gpu.py"]
    if which == LONG and find_spec("xdist"):
        command += ["-n", "5"]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def tests_told(tests: "subprocess.Popen[str]", timeout: float) -> dict[str, Any]:
    """Waits for tests to end; returns their last line, and a line for each that failed."""
    try:
        output, _ = tests.communicate(timeout=max(1.0, timeout))
    except subprocess.TimeoutExpired:
        tests.send_signal(signal.SIGINT)  # upon which pytest says how far it has come
        try:
            output, _ = tests.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            tests.kill()
            output, _ = tests.communicate()
    lines = [line for line in output.splitlines() if line.strip()]
    failed = [line[:300] for line in lines if re.match("FAILED|ERROR|E  ", line)]
    return {"exit_code": tests.returncode, "summary": lines[-1] if lines else "", "failed": failed}


@contextmanager
def _few_threads(jobs: int) -> Iterator[None]:
    """Lets processes that are started in the block share the cores in compiling, and the memory for images."""
    settings = {"TORCHINDUCTOR_COMPILE_THREADS": "2", "WBC_GPU_JOBS": str(jobs)}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
