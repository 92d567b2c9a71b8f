"""What a run ran on: versions, commit, hardware; and the version of the code that decides its outcome."""

import ast
import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil
import torch

_PACKAGE: Final = Path(__file__).parent
_DECIDING: Final = (
    "cells.py",
    "seeding.py",
    "data/batches.py",
    "data/cache.py",
    "models",
    "training",
    "evaluation/predict.py",
)
_LIBRARIES: Final = ("torch", "torchvision", "timm", "numpy", "pillow", "mlflow")
_SERVING: Final = (
    *_LIBRARIES,
    "filelock",
    "gdown",
    "huggingface-hub",
    "jaxtyping",
    "pandas",
    "requests",
    "rich",
    "safetensors",
    "threadpoolctl",
)


def describe_environment() -> dict[str, Any]:
    """Returns versions, git commit, processor, memory and GPUs, as plain values."""
    return {
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "git": git_commit(),
        "code": code_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }


def serving_requirements() -> list[str]:
    """Returns what a logged model needs to be served elsewhere, each at the version that is installed here."""
    return [f"{name}=={version(name)}" for name in _SERVING]


@cache
def code_version() -> str:
    """Returns a hash of the modules that decide a run's outcome; comments and layout do not count."""
    files = sorted(
        file
        for name in _DECIDING
        for file in ([_PACKAGE / name] if name.endswith(".py") else (_PACKAGE / name).rglob("*.py"))
    )
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(_PACKAGE).as_posix().encode())
        digest.update(ast.dump(ast.parse(file.read_text(encoding="utf-8"))).encode())
    return digest.hexdigest()[:16]


@cache
def git_commit() -> str | None:
    """Returns the commit of the checkout, with `+` if files differ from it, or None outside a checkout."""
    try:
        described = ["git", "-C", str(_PACKAGE), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        return subprocess.run(described, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
