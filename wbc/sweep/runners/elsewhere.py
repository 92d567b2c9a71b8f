"""What runs in containers and on other machines are given of this process's environment; none of it is logged."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from wbc.config import data_dir
from wbc.environment import git_commit
from wbc.errors import ConfigError
from wbc.tracking.store import store_location

_PREFIXES: Final = ("MLFLOW_", "WBC_", "AWS_")
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def passed_variables() -> dict[str, str]:
    """Returns the variables that runs need wherever they are: MLflow's, this project's, and those of an S3 store."""
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIXES)}


def proxy_variables() -> dict[str, str]:
    """Returns the variables that name the proxies of this machine's network."""
    return {name: value for name, value in os.environ.items() if name.lower() in _PROXIES}


def is_local(uri: str) -> bool:
    """Returns whether an address is one that only this machine reaches, by a name for itself."""
    return urlsplit(uri).hostname in ("localhost", "127.0.0.1", "::1")


def cluster_environment(address: str, others: set[str]) -> dict[str, str]:
    """Returns the variables of runs on a Ray cluster, to be passed as arguments: it would log others with passwords.

    Raises:
        ConfigError: the cluster has other machines, and runs are tracked in files of this one.
    """
    variables = passed_variables() | {"WBC_COMMIT": git_commit() or ""}
    uri, folders = store_location()
    if not others:
        mirror = {"WBC_MIRROR": str(Path(os.environ["WBC_MIRROR"]).absolute())} if "WBC_MIRROR" in os.environ else {}
        return variables | {"MLFLOW_TRACKING_URI": uri, "WBC_DATA_DIR": str(data_dir())} | mirror
    if folders or is_local(uri):
        raise ConfigError(
            f"the cluster at {address} has other machines ({', '.join(sorted(others))}), which do not reach the "
            f"tracking store {uri}: start an MLflow server that they reach, and set MLFLOW_TRACKING_URI=http://HOST:PORT."
        )
    return variables
