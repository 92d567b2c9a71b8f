"""How a model computes: precision, memory layout, compiled code, allocator. None of it changes the recipe.

With `fast`, layouts and kernels are those that suit the hardware best. Sums are then added in another order: results
agree with the plain ones to rounding, not to the bit. `fast=off` is the plain way.

Live batch norm rounds coarsely in channels-last layout on a CPU. The gradient of a thin resnet50 (batch 32, 64 px) is
off by 1.3e-2 of its length there, and by 5e-6 in the plain layout; fp64 is the reference. The plain layout takes 1.33
times as long (median of 7 steps, one thread). For the full resnet50 (3 steps of 8 at 96 px) the errors are 3.9e-2 and
1.6e-2, and the plain layout takes 1.24 times as long. So `fast` keeps channels last.
"""

import ctypes
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor, nn

from wbc.config import RunConfig
from wbc.errors import ConfigError, TrainingError, in_a_line, unknown
from wbc.surroundings import data_dir, runs_at_once, set_defaults

COMPILED_KINDS: Final = 64
"""Models and batch sizes that one process may compile; PyTorch would give up after 8."""
GPU_SHARE: Final = 0.3
"""Of the GPU's free memory, the most that all runs on it may fill with images, or with features of frozen layers."""
_AMPERE: Final = (8, 0)
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4

_log = logging.getLogger(__name__)


def computes_in_bf16(device: str) -> bool:
    """Returns whether the hardware has instructions for bf16.

    Of a GPU that is not in this machine, but somewhere on a cluster, they are expected: all have them since 2020.
    """
    if device == "cuda":
        return not torch.cuda.is_available() or torch.cuda.get_device_capability() >= _AMPERE
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(words)


def choose_device(wanted: str | None) -> Literal["cpu", "cuda"]:
    """Returns the device wanted; for None or auto, cuda where PyTorch finds a GPU, else cpu.

    Raises:
        ConfigError: cuda is wanted and PyTorch finds no GPU.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigError("device=cuda: PyTorch finds no CUDA GPU here. Use device=cpu, or see what nvidia-smi says.")
    if wanted not in (None, "auto", "cpu", "cuda"):
        raise unknown("device", wanted, ("auto", "cpu", "cuda"))
    return "cuda" if wanted != "cpu" and available else "cpu"


def settle(config: RunConfig) -> RunConfig:
    """Returns the run on a device of this machine.

    Raises:
        ConfigError: the device is not here, or does not compute in the run's precision.
    """
    device = choose_device(config.device)
    if config.precision == "bf16" and not computes_in_bf16(device):
        raise ConfigError(
            f"precision=bf16: this {'GPU' if device == 'cuda' else 'processor'} does not compute in it. "
            "Choose precision=fp32; these are other runs than the study's."
        )
    return replace(config, device=device)


def place(model: nn.Module, config: RunConfig) -> None:
    """Moves a model to the run's device, in place, and lays its weights out as that computes fastest."""
    model.to(device=config.device, memory_format=layout(model, config))  # type: ignore[call-overload]


def layout(model: nn.Module, config: RunConfig) -> torch.memory_format:
    """Returns how weights and images lie in memory: channels last, but for group norm, whose gradient suffers by it."""
    plain = not config.fast or any(isinstance(module, nn.GroupNorm) for module in model.modules())
    return torch.contiguous_format if plain else torch.channels_last


def autocast(config: RunConfig, device: str | None = None) -> torch.autocast:
    """Returns the context in which a model computes in the run's precision."""
    return torch.autocast(device or config.device, torch.bfloat16, enabled=config.precision == "bf16")


def compiled(forward: Callable[[Tensor], Tensor], config: RunConfig) -> Callable[[Tensor], Tensor]:
    """Returns `forward` compiled for a full model on a GPU, where that pays; what cannot be compiled stays as it is.

    The first batch of a size takes a minute. Later runs, of other seeds too, find the code in the data folder.
    """
    if not (config.fast and config.device == "cuda" and config.scale == "full"):
        return forward
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        _log.info("no C compiler here: the model runs as it is, not compiled for the GPU")
        return forward
    set_defaults(TORCHINDUCTOR_CACHE_DIR=str(data_dir() / "compiled"))
    return _Compiled(forward)


class _Compiled:
    """A function that is compiled when it is first called, or given up on with a word."""

    def __init__(self, forward: Callable[[Tensor], Tensor], backend: str | Callable[..., object] = "inductor") -> None:
        torch._dynamo.config.recompile_limit = COMPILED_KINDS
        torch._functorch.config.force_non_lazy_backward_lowering = True  # else it would fail outside of __call__
        self._plain = forward
        self._call: Callable[[Tensor], Tensor] = torch.compile(forward, dynamic=False, backend=backend)

    def __call__(self, inputs: Tensor) -> Tensor:
        try:
            return self._call(inputs)
        except torch._dynamo.exc.TorchDynamoException as error:
            _log.warning("not compiled for the GPU: %s", in_a_line(error))
            self._call = self._plain
            return self._plain(inputs)


def gpu_room() -> float:
    """Returns how many bytes of the GPU's memory a run may fill with images, or with features of frozen layers."""
    return GPU_SHARE * torch.cuda.mem_get_info()[0] / runs_at_once(on_gpu=True)


def keep_memory() -> None:
    """Makes glibc keep the memory that tensors give back, rather than have the system clear new pages each step."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    except (OSError, AttributeError):  # another C library
        return


@contextmanager
def enough_memory(config: RunConfig) -> Iterator[None]:
    """Says in a line that memory has run out inside the block, and what to do."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        on_gpu = isinstance(error, torch.OutOfMemoryError)
        if not (on_gpu or isinstance(error, MemoryError) or "can't allocate memory" in str(error)):
            raise
        runs = runs_at_once(on_gpu=on_gpu)
        where = "GPU" if on_gpu else "machine"
        raise TrainingError(
            f"no memory left on the {where}, which {runs} runs share: choose fewer jobs."
            if runs > 1
            else f"no memory left on the {where} for batches of {config.batch_size}: use a larger one, or a smaller "
            "batch_size (this changes the training recipe)."
        ) from error
