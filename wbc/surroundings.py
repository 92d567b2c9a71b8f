"""The environment variables that the project reads or sets, all of them; an empty one counts as not set."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PASSED: Final = ("MLFLOW_", "WBC_", "AWS_")
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_SHORT: Final = 3
_ON: Final = ("1", "ON", "YES", "TRUE")
SWEEP_RUN: Final = "WBC_SWEEP_RUN"
_PROJECT_RUN: Final = "MLFLOW_RUN_ID"


def data_dir() -> Path:
    """Returns the folder of the images: `$WBC_DATA_DIR`, else `data` below the working directory."""
    return expanded(_get("WBC_DATA_DIR") or "data").absolute()


def expanded(text: str) -> Path:
    """Returns a path with the home folder for ~; that of a user who is not known here stays as it is, as in a shell."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def mirror() -> str | None:
    """Returns the folder or address to look for archives in first, as `$WBC_MIRROR` has it."""
    return _get("WBC_MIRROR")


def addresses() -> list[str]:
    """Returns the addresses in variables that may carry a user and a password."""
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "WBC_MIRROR")
    return [value for value in (*map(_get, names), *proxies().values()) if value]


def secrets() -> list[str]:
    """Returns the passwords and keys in variables, but for any so short that they are part of other words."""
    names = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return [value for name in names if len(value := (_get(name) or "").strip()) > _SHORT]


def built_from() -> str | None:
    """Returns the commit that the project's image was built from; None outside of it."""
    return _get("WBC_COMMIT")


def runs_at_once(*, on_gpu: bool = False) -> int:
    """Returns how many runs of the sweep share this machine, or the run's GPU."""
    told = _get("WBC_GPU_JOBS" if on_gpu else "WBC_JOBS") or ""
    return int(told) if told.isdecimal() else 1


def sweep_run() -> str | None:
    """Returns the MLflow run of the sweep that this process belongs to."""
    return _get(SWEEP_RUN)


def project_run() -> str | None:
    """Returns the run that `mlflow run` has opened for this process."""
    return _get(_PROJECT_RUN)


def leave_project_run() -> None:
    """Makes the runs that follow in this process new runs, also where `mlflow run` has started it."""
    os.environ.pop(_PROJECT_RUN, None)


def experiment() -> tuple[str | None, str | None]:
    """Returns the id of the experiment that `mlflow run` has chosen, whatever its --experiment-name; and that name."""
    return _get("MLFLOW_EXPERIMENT_ID"), _get("MLFLOW_EXPERIMENT_NAME")


def stop_async_logging() -> bool:
    """Makes MLflow write each value before it goes on; returns whether the variable asked for the opposite."""
    name = "MLFLOW_ENABLE_ASYNC_LOGGING"
    asked = (_get(name) or "").upper() in _ON
    if asked:
        os.environ[name] = "false"
    return asked


def hub_is_offline() -> bool:
    """Returns whether Hugging Face's variable forbids downloads."""
    return (_get("HF_HUB_OFFLINE") or "").upper() in _ON


def named_gpus() -> list[str] | None:
    """Returns the GPUs that `$CUDA_VISIBLE_DEVICES` leaves to this process, by number or id; None: all there are."""
    names = _get("CUDA_VISIBLE_DEVICES")
    return names.split(",") if names else None


def docker_host() -> str:
    """Returns the address of the Docker engine, in words where no variable names it."""
    return _get("DOCKER_HOST") or "the default socket"


def ray_address() -> str:
    """Returns the address of the Ray cluster; auto: that of this machine."""
    return _get("RAY_ADDRESS") or "auto"


def passed_on() -> dict[str, str]:
    """Returns the variables that runs need wherever they are: MLflow's, this project's, and those of an S3 store.

    They hold passwords: none of them is logged.
    """
    return {name: value for name, value in os.environ.items() if name.startswith(_PASSED)}


def proxies() -> dict[str, str]:
    """Returns the variables that name the proxies of this machine's network."""
    return {name: value for name, value in os.environ.items() if name.lower() in _PROXIES}


def all_and(**more: str) -> dict[str, str]:
    """Returns the variables for a program that this process starts: all that this process has, and more."""
    return {**os.environ, **more}


def change(variables: Mapping[str, str]) -> None:
    """Sets variables of this process."""
    os.environ.update(variables)


def set_defaults(**variables: str) -> None:
    """Sets those of the variables that are not set."""
    os.environ.update({name: value for name, value in variables.items() if not _get(name)})


@contextmanager
def changed(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables inside the block; after it they are as they were."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _get(name: str) -> str | None:
    return os.environ.get(name) or None
