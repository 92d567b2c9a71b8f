"""What the machine is: processor, memory and GPUs, and what of the code runs on it."""

import platform
import shutil
from pathlib import Path
from typing import Any

import psutil

from wbc.code import git_commit, library_versions
from wbc.processes import cores


def describe_environment() -> dict[str, Any]:
    """Returns versions, git commit, processor, memory and GPUs, as plain values."""
    import torch

    return {
        "python": platform.python_version(),
        "libraries": library_versions(),
        "git": git_commit(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }


def hardware(device: str) -> str:
    """Returns what runs on a device ran on, in words: the GPU's name, or the processor's and the number of cores."""
    if device != "cuda":
        return f"{_processor()}, {cores()} cores"
    import torch

    return torch.cuda.get_device_name()


def latex_engine() -> str | None:
    """Returns the program that makes a PDF of LaTeX here; None where there is none."""
    return next(filter(shutil.which, ("latexmk", "tectonic", "pdflatex")), None)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
