"""Worker processes of this machine: the GPUs they get, one that is killed between two runs, and weights of the CPU."""

import errno
import math
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.heap import Heap
from multiprocessing.synchronize import SemLock
from pathlib import Path

import psutil
import pytest

from tests.forks import fork_workers
from wbc.config import ReproduceConfig, RunConfig
from wbc.data.drawn.smears import write_smears
from wbc.errors import RunnerError
from wbc.sweep.runners import local
from wbc.sweep.runners.base import Epochs, alike
from wbc.sweep.runners.local import _each, _worker, _workers, default_jobs, learn_weights
from wbc.terminal import progress


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    fork_workers(monkeypatch)


def process_of(_task: int) -> int:
    return os.getpid()


def test_worker_that_is_killed_while_it_is_idle_is_replaced() -> None:
    with _workers(1) as workers:
        ((_, first),) = _each(process_of, [0], workers)
        assert isinstance(first, int)
        os.kill(first, signal.SIGKILL)
        with suppress(psutil.NoSuchProcess):
            psutil.Process(first).wait(30)
        ((_, second),) = _each(process_of, [1], workers)
        assert isinstance(second, int)
        assert second != first


def test_weights_are_learned_on_the_cpu_for_runs_on_gpus_that_this_machine_has_not(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ("resnet50", "resnet50_gn", "vgg16")
    configs = [replace(small_config(model=model, pretrained="patterns"), device="cuda") for model in models]
    jobs: list[int] = []
    monkeypatch.setattr(local, "_each", lambda _work, _tasks, workers: iter([jobs.append(len(workers))]))
    monkeypatch.setattr(local, "cores", lambda: 2)
    learn_weights(configs, ReproduceConfig())
    learn_weights(configs, ReproduceConfig(jobs=8))
    learn_weights([small_config(pretrained="none")], ReproduceConfig())
    assert jobs == [2, 3]


def train_for_a_while(amount: float) -> None:
    with progress("a run", 3, "epochs", start=1) as advance:
        advance(amount)


def test_progress_of_a_worker_is_seen_here_while_it_works() -> None:
    worker = _worker(0, jobs=1)
    with worker.pool:
        worker.pool.submit(train_for_a_while, 0.5).result()
        assert worker.epochs.value == 1.5
        done: dict[float, Epochs] = {}
        assert list(_each(train_for_a_while, [1.5], [worker], done)) == [(1.5, None)]
    assert (worker.epochs.value, done[1.5].value) == (0, math.inf)


def environment() -> dict[str, str]:
    return dict(os.environ)


def test_workers_get_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    with _worker(2, jobs=3).pool as third:
        seen = third.submit(environment).result()
    assert [seen[name] for name in ("CUDA_VISIBLE_DEVICES", "WBC_JOBS", "WBC_GPU_JOBS")] == ["4", "3", "2"]


def test_thin_models_take_a_core_each_and_full_ones_the_machine(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    thin = small_config()
    monkeypatch.setattr(local, "cores", lambda: 6)
    assert default_jobs([thin]) == 6
    assert default_jobs([replace(thin, scale="full")]) == 1


def test_plan_of_thin_and_full_models_has_as_many_jobs_as_each_kind_allows(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    thin = [small_config(seed=seed) for seed in range(3)]
    full = [replace(config, scale="full") for config in thin[:2]]
    assert alike([thin[0], full[0], thin[1], full[1], thin[2]]) == [thin, full]


def _none(*_: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


_NO_SHARED_MEMORY = r"^worker processes need a writable /dev/shm \(.+\): mount one"


@pytest.mark.parametrize("kind", ["semaphores", "memory"])
def test_machine_without_shared_memory_is_named_when_workers_are_made(
    monkeypatch: pytest.MonkeyPatch, kind: str, tmp_path: Path
) -> None:
    """As in a read-only /dev/shm, of which neither can be had."""
    if kind == "semaphores":
        monkeypatch.setattr(SemLock, "_make_name", staticmethod(lambda: "/not/allowed"))
        with pytest.raises(RunnerError, match=_NO_SHARED_MEMORY):
            write_smears(tmp_path, "source", {"train": (1, 1, 1, 1, 1)}, size_px=32, workers=2)
    else:
        monkeypatch.setattr("multiprocessing.heap.BufferWrapper._heap", Heap())
        monkeypatch.setattr("multiprocessing.heap.Arena", _none)
    with pytest.raises(RunnerError, match=_NO_SHARED_MEMORY), _workers(1):
        pass
