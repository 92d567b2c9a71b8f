"""What the machine can do at most: arithmetic on large matrices, and moving memory."""

import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import psutil
import torch
from torch.nn.functional import conv2d

from benchmarks.measure import repeated
from wbc.code import git_commit
from wbc.environment import hardware


def describe_machine(device: str, *, roughly: bool = False) -> dict[str, Any]:
    """Returns the machine in words, and its limits in GFLOP/s and GB/s: at one thread of a CPU, or of the GPU.

    `roughly` takes little time, by small matrices, which do not reach the limits.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with _tf32():
        limits = {
            "fp32_gflops": _arithmetic(torch.float32, device, roughly),
            "bf16_gflops": _arithmetic(torch.bfloat16, device, roughly),
            "copy_gb_per_s": _bandwidth(device),
        }
    torch.set_num_threads(threads)
    return {
        "name": hardware(device),
        "device": device,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "platform": platform.platform(),
        "limits": {name: round(value, 1) for name, value in limits.items()},
    }


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the libraries, and the commit."""
    libraries = {name: version(name) for name in ("torch", "torchvision", "timm", "numpy", "pillow")}
    return {"python": platform.python_version(), "commit": git_commit() or "unknown", **libraries}


def file_name(device: str) -> str:
    """Returns the name of this machine's result file."""
    words = re.sub(r"[^a-z0-9]+", "-", hardware(device).lower()).strip("-")
    return f"{words}-{device}.json"


@contextmanager
def _tf32() -> Iterator[None]:
    """Lets a GPU's products of fp32 matrices be in TF32, and sets that back to what it was.

    `torch.set_float32_matmul_precision` would not: it leaves a value which compiled code that is kept does not fit.
    """
    matmul = torch.backends.cuda.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, "tf32"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def _arithmetic(kind: torch.dtype, device: str, roughly: bool) -> float:
    """Returns the better rate of a matrix product and of a convolution; fp32 on a GPU is TF32, as convolutions are."""
    side, batch = (256, 1) if roughly else (8192, 512) if device == "cuda" else (1536, 16)
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    images, weights = (
        torch.randn(count, 256, px, px, device=device, dtype=kind).to(memory_format=torch.channels_last)
        for count, px in ((batch, 28), (256, 3))
    )
    product = 2 * side**3 / _best(lambda: a @ b, device)
    convolution = 2 * batch * 28**2 * 256**2 * 9 / _best(lambda: conv2d(images, weights, padding=1), device)
    return max(product, convolution) / 1e9


def _bandwidth(device: str) -> float:
    source = torch.ones(2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _best(lambda: target.copy_(source), device) / 1e9


def _best(work: Callable[[], object], device: str) -> float:
    return min(repeated(work, 7, device))
