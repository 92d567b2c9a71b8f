"""What a run ran on: versions, commit, hardware; and the version of the code that decides its outcome."""

import ast
import hashlib
import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil
import torch

from wbc.processes import cores

_PACKAGE: Final = Path(__file__).parent
_LOCK: Final = _PACKAGE.parent / "requirements.lock"
_RUN_CODE: Final = (
    *("cells.py", "seeding.py", "recipes.py", "compute.py", "models", "training"),
    *("data/batches.py", "data/cache.py", "data/decode.py", "data/drawn/patterns.py", "methods"),
    *("evaluation/predict.py", "evaluation/metrics.py"),
)
_LIBRARIES: Final = ("torch", "torchvision", "timm", "numpy", "pillow", "mlflow")
_SERVING: Final = (
    *_LIBRARIES,
    "filelock",
    "gdown",
    "huggingface-hub",
    "jaxtyping",
    "pandas",
    "psutil",
    "requests",
    "rich",
    "safetensors",
    "threadpoolctl",
)


def describe_environment() -> dict[str, Any]:
    """Returns versions, git commit, processor, memory and GPUs, as plain values."""
    return {
        "python": platform.python_version(),
        "libraries": library_versions(),
        "git": git_commit(),
        "code": code_version(),
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
    return torch.cuda.get_device_name() if device == "cuda" else f"{_processor()}, {cores()} cores"


def serving_requirements() -> list[str]:
    """Returns what a logged model needs to be served elsewhere, each at the version that is installed here."""
    return [f"{name}=={version(name)}" for name in _SERVING]


@cache
def code_version(modules: tuple[str, ...] = _RUN_CODE) -> str:
    """Returns a hash of modules and packages, named from `wbc` on, by default those that decide a run's outcome.

    Comments, docstrings and layout do not count.
    """
    found = (_PACKAGE / name for name in modules)
    files = sorted(file for path in found for file in (path.rglob("*.py") if path.is_dir() else [path]))
    digest = hashlib.sha256()
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
        digest.update(f"{Path(os.path.relpath(file, _PACKAGE)).as_posix()}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:16]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def lock_version() -> str:
    """Returns a hash of the checkout's requirements.lock."""
    return hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]


def locked_packages() -> list[str]:
    """Returns the names of the packages in the checkout's requirements.lock, also those of other systems."""
    return re.findall(r"^([\w.-]+)(?:\[.*\])?==", _LOCK.read_text(encoding="utf-8"), re.MULTILINE)


@cache
def library_versions() -> dict[str, str]:
    """Returns the versions of the libraries that have a part in a run's outcome, and MLflow's."""
    return {name: version(name) for name in _LIBRARIES}


@cache
def git_commit() -> str | None:
    """Returns the commit of the checkout, with `+` if files differ from it, or None outside a checkout.

    In the project's image, which has no checkout, it is the one that the image was built from.
    """
    if os.environ.get("WBC_COMMIT"):
        return os.environ["WBC_COMMIT"]
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
