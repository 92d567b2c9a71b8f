"""`doctor`: what this machine has and lacks for a study, each finding with its remedy; changes nothing.

Each check is a function that says what it found; whatever it raises is a finding too.
"""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Final, Literal, TypeVar

import psutil
import requests

from wbc.config import DoctorConfig
from wbc.errors import TrackingError, WbcError, WeightsError, first_line, mask
from wbc.processes import cores
from wbc.surroundings import data_dir

_LEAST_MEMORY_GIB: Final = 4
_ANSWER_TIMEOUT_S: Final = 3
_WEIGHT_HOSTS: Final = ("huggingface.co", "download.pytorch.org")
_CHECK_TIMEOUT_S: Final = 8.0
_LONGER_S: Final = {"images": 120.0, "store": 60.0}  # caches are read to the end; a machine may be busy
GIB: Final = 2**30
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    status: Literal["ok", "note", "wrong"]
    """note: not needed, or made by the first run that needs it; wrong: the study's runs would fail."""
    found: str
    remedy: str = ""


def examine(options: DoctorConfig) -> Iterator[tuple[str, Finding]]:
    """Yields name and finding of each check that has one, in a fixed order, each within seconds or time to read images.

    Raises:
        ConfigError: no such study.
    """
    torch = _guarded(_torch)  # imports come before the threads, which would wait for each other, and before the clock
    with suppress(ImportError):
        import_module("wbc.tracking.store")
    if torch.status != "wrong":
        from wbc.studies import find_study

        find_study(options.profile)
    checks: dict[str, Callable[[], Finding | None]] = {
        "Python": _python,
        "PyTorch": lambda: torch,
        "CUDA": _cuda,
        "driver": _driver,
        "Docker": _docker,
        "store": _store,
        "weights": lambda: _weights(options.profile),
        "images": lambda: _images(options.profile),
        "disk": lambda: _disk(options.profile),
        "runs": lambda: _runs_disk(options.profile),
        "TMPDIR": lambda: _temporary_disk(options.profile),
        "memory": _memory,
    }
    pending = {name: _begun(check) for name, check in checks.items()}
    for name, finding in pending.items():
        limit_s = _LONGER_S.get(name, _CHECK_TIMEOUT_S)
        try:
            found = finding.result(limit_s)
        except TimeoutError:
            needed = name != "Docker"  # which only runner=docker needs
            found = Finding("wrong" if needed else "note", f"no answer within {limit_s:.0f} s")
        if found:
            yield name, found


def _begun(check: Callable[[], Finding | None]) -> Future[Finding | None]:
    """Returns what will hold the finding of a check that runs on a thread which the program's end does not wait for."""
    future: Future[Finding | None] = Future()
    Thread(target=lambda: future.set_result(_guarded(check)), daemon=True).start()
    return future


def _guarded(check: Callable[[], _Found]) -> _Found | Finding:
    try:
        return check()
    except WbcError as error:
        return Finding("wrong", str(error))
    except ImportError as error:
        return Finding("wrong", first_line(error), "make setup")
    except Exception as error:
        return Finding("wrong", mask(f"{type(error).__name__}: {first_line(error)}"))


def _python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] != (3, 11):
        return Finding("wrong", found, "the locked packages are for 3.11: make setup")
    return Finding("ok", found)


def _torch() -> Finding:
    import torch
    import torchvision

    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for the CPU alone"
    return Finding("ok", f"{torch.__version__}, torchvision {torchvision.__version__}, built {built}")


def _cuda() -> Finding:
    import torch

    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        named = ", ".join(f"{card.name} ({card.total_memory / GIB:.0f} GiB)" for card in cards)
        return Finding("ok", f"{named}, capability {cards[0].major}.{cards[0].minor}")
    if _driver_version() is not None:
        return Finding(
            "wrong",
            f"a driver, but PyTorch, built for CUDA {torch.version.cuda}, finds no GPU",
            "see nvidia-smi; renew a driver that is older than that CUDA, and unset CUDA_VISIBLE_DEVICES",
        )
    return Finding("note", "no GPU", "thin models need none; full ones train a few images a second without")


def _driver() -> Finding:
    version = _driver_version()
    if version is None:
        return Finding("note", "no NVIDIA driver", "install one where there is an NVIDIA GPU")
    return Finding("ok", f"NVIDIA {version}")


def _driver_version() -> str | None:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return str(pynvml.nvmlSystemGetDriverVersion())


def _docker() -> Finding:
    try:
        import docker
    except ImportError as error:
        return Finding("note", first_line(error), "only runner=docker needs it: make setup")

    from wbc.sweep.runners.image import no_engine

    try:
        engine = docker.from_env(timeout=_ANSWER_TIMEOUT_S)
        version, runtimes = engine.version()["Version"], engine.info().get("Runtimes", {})
    except Exception as error:  # docker's own errors, and those of the libraries below it
        reason, remedy = no_engine(error)
        return Finding("note", mask(reason), f"only runner=docker needs one: {remedy}")
    found = f"engine {version}, {'with' if 'nvidia' in runtimes else 'without'} NVIDIA's runtime"
    if "nvidia" not in runtimes and _driver_version() is not None:
        return Finding("note", found, "for GPUs in containers install nvidia-container-toolkit")
    return Finding("ok", found)


def _store() -> Finding:
    from wbc.tracking.connection import impatient, is_locked
    from wbc.tracking.store import describe_store

    try:
        with impatient():
            return Finding("ok", describe_store())
    except TrackingError as error:
        if not is_locked(error):
            raise
        return Finding("note", "another program is writing to it", "runs wait for it for minutes")


def _weights(profile: str) -> Finding:
    """Looks for the files of the study's models and, where one has to be downloaded, for its host."""
    from wbc.models.catalog import find_backbone, find_model
    from wbc.models.weights import find_weights
    from wbc.studies import find_study

    study = find_study(profile)
    if study.pretrained != "imagenet":
        return Finding("ok", f"pretrained={study.pretrained}: nothing to download")
    absent = []
    backbones = dict.fromkeys(find_model(model).backbone for model in study.models)
    for key in backbones:
        try:
            find_weights("imagenet", key, find_backbone(key), download=False)
        except WeightsError:
            absent.append(key)
    if not absent:
        return Finding("ok", f"of {len(backbones)} backbones, all on this machine")
    named = f"{', '.join(absent)} to be downloaded"
    for host in _WEIGHT_HOSTS:
        try:
            requests.head(f"https://{host}", timeout=_ANSWER_TIMEOUT_S)
        except requests.RequestException:
            return Finding(
                "wrong", f"{named}; no answer from {host}", "connect, or train with pretrained=FOLDER, which holds them"
            )
    return Finding("note", named, "the first run does so")


def _images(profile: str) -> Finding:
    from wbc.data.catalog import find_domain
    from wbc.data.prepare import unready
    from wbc.inputs import geometry
    from wbc.report.study import typed
    from wbc.studies import find_study

    study = find_study(profile)
    keys, size = study.domains(), geometry(study)
    reasons = {key: unready(find_domain(key), size, data_dir=data_dir()) for key in keys}
    faults = [f"{key}: {reason}" for key, reason in reasons.items() if reason]
    if not faults:
        return Finding("ok", f"{', '.join(keys)} at {size}: counts and checksums as they should be")
    unpacker = " (first apt install unar)" if "raabin" in reasons and not shutil.which("unar") else ""
    return Finding("note", "; ".join(faults), f"make data {typed('PROFILE', profile)}{unpacker}")


def _disk(profile: str) -> Finding:
    """Looks at the disk of the data folder, where runs may be written as well."""
    from wbc.studies import find_study

    runs, study = _runs_folder(), find_study(profile)
    least_gb = study.data_gb + (study.runs_gb if runs and not _apart(runs) else 0)
    return _room(_standing(data_dir()), least_gb, "set WBC_DATA_DIR to a folder elsewhere")


def _runs_disk(profile: str) -> Finding | None:
    from wbc.studies import find_study

    runs = _runs_folder()
    if runs is None or not _apart(runs):
        return None
    return _room(
        runs, find_study(profile).runs_gb, "set MLFLOW_TRACKING_URI=sqlite:////FOLDER/mlflow.db to one elsewhere"
    )


def _temporary_disk(profile: str) -> Finding | None:
    """Looks for room for the features of the frozen layers, which take at most half of what is free."""
    from wbc.studies import find_study

    folder = Path(tempfile.gettempdir())
    if not _apart(folder):
        return None
    elsewhere = "set TMPDIR to a folder elsewhere; without either row (iii) is slower, but where a GPU has room"
    finding = _room(folder, 2 * find_study(profile).features_gb, elsewhere)
    return replace(finding, status="note") if finding.status == "wrong" else finding


def _runs_folder() -> Path | None:
    """Returns the folder of the artifacts of runs, or what there is of the way to it; None if a server keeps them."""
    from wbc.tracking.database import artifact_folder

    folder = artifact_folder()
    return _standing(folder) if folder else None


def _standing(path: Path) -> Path:
    """Returns the path if it is there, else the nearest folder above that is."""
    return next(each for each in (path, *path.parents) if each.exists())


def _apart(folder: Path) -> bool:
    """Returns whether a folder is on another file system than the data folder."""
    return folder.stat().st_dev != _standing(data_dir()).stat().st_dev


def _room(folder: Path, least_gb: int, elsewhere: str) -> Finding:
    free_gb = shutil.disk_usage(folder).free / 1e9
    found = f"{free_gb:.0f} GB free at {folder}"
    if not os.access(folder, os.W_OK):
        return Finding("wrong", f"{folder} is not writable", elsewhere)
    if free_gb < least_gb:
        remedy = f"the study takes about {least_gb} GB here: free some, or {elsewhere}"
        return Finding("wrong", found, remedy)
    return Finding("ok", found)


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free, {cores()} cores"
    if memory.available < _LEAST_MEMORY_GIB * GIB:
        return Finding("note", found, "run with jobs=1, or end other programs")
    return Finding("ok", found)
