"""The connection to a Ray cluster: reached within seconds or not at all; its nodes, and what their runs are given."""

import logging
import platform
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import ray
from ray._private.client_mode_hook import _explicitly_disable_client_mode

from wbc.code import PACKAGE, git_commit
from wbc.errors import ConfigError, RunnerError, in_a_line
from wbc.surroundings import data_dir, mirror, passed_on, ray_address, set_defaults
from wbc.sweep.runners.base import is_local
from wbc.tracking.store import store_location

_CONNECT_S: Final = 10.0
_ATTEMPTS: Final = 4
_PAUSE_S: Final = 2.0


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connects to the cluster, or starts one on this machine for `local`, until the block ends.

    The package goes along: a worker imports this code, wherever it is.
    """
    if address == "auto":
        address = ray_address()
    settings: dict[str, Any] = {"logging_level": logging.ERROR}
    if address == "local":  # nothing but configurations passes through the object store
        settings |= {"include_dashboard": False, "object_store_memory": 100 * 2**20}
        set_defaults(RAY_AUTH_TOKEN=secrets.token_hex(32))  # else Ray writes one to the home folder
    else:
        _knock(address)
    package = {"py_modules": [str(PACKAGE)], "excludes": ["__pycache__"]}
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            ray.init(address, runtime_env=package, **settings)
            break
        except (Exception, SystemExit) as error:
            _forget_connection()
            # The head starts a server for each client, at a port that another one may be taking at this moment.
            if not (attempts_left and isinstance(error, ConnectionAbortedError)):
                raise RunnerError(
                    f"no Ray cluster at {address}: {in_a_line(error)} It must run Ray {ray.__version__} on Python "
                    f"{platform.python_version()} and have your token (`ray get-auth-token`)."
                ) from error
            time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        ray.shutdown()


def _forget_connection() -> None:
    """Undoes what a connection that failed leaves behind: Ray would take this process for a client ever after."""
    with suppress(Exception):
        ray.util.disconnect()
    _explicitly_disable_client_mode()


def _knock(address: str) -> None:
    """Makes sure that something listens at HOST:PORT, in seconds where Ray would try for half a minute."""
    url = urlsplit(address if "://" in address else f"//{address}")
    if address == "auto":
        return
    try:
        if not url.hostname or not url.port:
            raise ValueError("it must be ray://HOST:PORT, auto or local")
        socket.create_connection((url.hostname, url.port), timeout=_CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise RunnerError(f"no Ray cluster at {address}: {error}. See `ray status` on its head node.") from error


def cluster_environment(address: str, others: set[str]) -> dict[str, str]:
    """Returns the variables of runs on a Ray cluster, to be passed as arguments: it would log others with passwords.

    Raises:
        ConfigError: the cluster has other machines, and runs are tracked in files of this one.
    """
    variables = passed_on() | {"WBC_COMMIT": git_commit() or ""}
    uri, folders = store_location()
    if not others:
        nearby = mirror()
        variables |= {"WBC_MIRROR": str(Path(nearby).absolute())} if nearby and "://" not in nearby else {}
        return variables | {"MLFLOW_TRACKING_URI": uri, "WBC_DATA_DIR": str(data_dir())}
    if folders or is_local(uri):
        raise ConfigError(
            f"the cluster at {address} has other machines ({', '.join(sorted(others))}), which do not reach the "
            f"tracking store {uri}: start an MLflow server that they reach, and set MLFLOW_TRACKING_URI=http://HOST:PORT."
        )
    return variables


def nodes() -> list[dict[str, Any]]:
    """Returns the nodes that are there now, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


def room(among: Sequence[dict[str, Any]], cpus: int, gpus: float) -> set[str]:
    """Returns the ids of the nodes that have room for a run once they are free."""
    amounts = {node["NodeID"]: node["Resources"] for node in among}
    return {each for each, has in amounts.items() if has.get("CPU", 0) >= cpus and has.get("GPU", 0) >= gpus}
