"""Versions of the code: the commit, a digest of modules, the lock and the libraries that are installed."""

import ast
import hashlib
import os
import re
import runpy
import subprocess
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from wbc.surroundings import built_from

PACKAGE: Final = Path(__file__).parent
ROOT: Final = PACKAGE.parent
"""The checkout, or the image's folder."""
_LOCK: Final = ROOT / "requirements.lock"
_LIBRARIES: Final = ("torch", "torchvision", "timm", "numpy", "pillow", "mlflow")
_SERVING: Final = (
    *(*_LIBRARIES, "filelock", "gdown", "huggingface-hub", "jaxtyping", "pandas", "psutil"),
    *("requests", "rich", "safetensors", "scipy", "threadpoolctl"),
)


@cache
def code_version(modules: tuple[str, ...] = (".",)) -> str:
    """Returns a hash of modules and packages, named from `wbc` on; by default of all of `wbc`.

    Comments, docstrings and layout do not count.
    """
    found = (PACKAGE / name for name in modules)
    files = sorted(file for path in found for file in (path.rglob("*.py") if path.is_dir() else [path]))
    digest = hashlib.sha256()
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
        digest.update(f"{Path(os.path.relpath(file, PACKAGE)).as_posix()}\n{ast.dump(tree)}\n".encode())
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
def torch_build() -> str:
    """Returns PyTorch's version with what it is built for, as `torch.__version__` has it; PyTorch is not imported."""
    (folder,) = find_spec("torch").submodule_search_locations  # type: ignore[union-attr, misc]
    return str(runpy.run_path(str(Path(folder, "version.py")))["__version__"])


@cache
def git_commit() -> str | None:
    """Returns the commit of the checkout, with `+` if files differ from it, or None outside a checkout.

    In the project's image, which has no checkout, it is the one that the image was built from.
    """
    built = built_from()
    if built:
        return built
    try:
        described = ["git", "-C", str(PACKAGE), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        return subprocess.run(described, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def serving_requirements() -> list[str]:
    """Returns what a logged model needs to be served elsewhere, each at the version that is installed here."""
    return [f"{name}=={version(name)}" for name in _SERVING]
