"""Which GPUs there are and how many runs fit on each, on a machine that need not have any."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from wbc.config import RunConfig
from wbc.sweep.runners import gpu
from wbc.sweep.runners.gpu import CONTEXT_BYTES, jobs_per_gpu, measure, visible_gpus

GB = 10**9


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Returns a function that stands in for the GPUs and cores of a machine, and for what was measured there."""

    def make(measured: Callable[[object], tuple[int, int]], gpus: str = "0", cores: int = 64) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
        monkeypatch.setattr(gpu, "ProcessPoolExecutor", lambda workers, mp_context: ThreadPoolExecutor(workers))
        monkeypatch.setattr(gpu, "measure", measured)
        monkeypatch.setattr(gpu, "cores", lambda: cores)

    return make


def test_gpus_are_those_of_the_variable_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5")
    assert visible_gpus() == ["3", "GPU-5"]


@pytest.mark.parametrize(
    ("free", "need", "gpus", "cores", "jobs"),
    [
        (5 * GB, 2 * GB, "0", 64, 1),
        (80 * GB, 2 * GB, "0", 64, 2),
        (80 * GB, 2 * GB, "0", 3, 1),
        (80 * GB, 2 * GB, "0,1", 4, 1),
        (80 * GB, 2 * GB, ",".join(map(str, range(10))), 64, 1),
        (10 * GB, 20 * GB, "0", 64, 1),
        (10 * GB, 0, "0", 64, 1),
    ],
    ids=["memory", "most", "cores", "cores of two GPUs", "runs of ten GPUs", "too large", "nothing measured"],
)
def test_jobs_are_what_memory_cores_and_the_plan_allow(
    small_config: Callable[..., RunConfig],
    machine: Callable[..., None],
    free: int,
    need: int,
    gpus: str,
    cores: int,
    jobs: int,
) -> None:
    machine(lambda _: (free, need), gpus, cores)
    assert jobs_per_gpu([small_config(seed=seed) for seed in range(10)]) == jobs


def test_model_that_does_not_fit_runs_alone(
    small_config: Callable[..., RunConfig], machine: Callable[..., None]
) -> None:
    def outgrow(_: object) -> tuple[int, int]:
        raise torch.OutOfMemoryError("no memory left")

    machine(outgrow)
    assert jobs_per_gpu([small_config(seed=seed) for seed in range(10)]) == 1


def test_models_that_cannot_be_built_are_not_measured(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def need(config: RunConfig) -> int:
        if config.model == "vgg16":
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return 3 * GB

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10 * GB, 16 * GB))
    monkeypatch.setattr(gpu, "_need", need)
    assert measure([small_config(model="vgg16"), small_config()]) == (10 * GB + CONTEXT_BYTES, 3 * GB)
    assert measure([small_config(model="vgg16")])[1] == 0
