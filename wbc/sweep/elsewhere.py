"""What runs in containers and on other machines are given of this process's environment; none of it is logged."""

import os
from typing import Final
from urllib.parse import urlsplit

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
