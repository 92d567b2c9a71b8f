"""MLflow's server for one person: on the store of this folder, reached from this machine alone."""

import os
import socket
import sys
from typing import Final, NoReturn

import mlflow

from wbc.config import ServerConfig
from wbc.errors import ConfigError, shown
from wbc.surroundings import all_and
from wbc.tracking.store import describe_store, store_exists
from wbc.tracking.views import page, view_addresses

_HOST: Final = "127.0.0.1"
_SPARING: Final = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONWARNINGS": "ignore",
}
"""Two processes instead of ten, nothing sent to anybody, and no warnings that are for MLflow's developers."""


def serve(options: ServerConfig) -> NoReturn:
    """Prints an address for each study that has runs, whose charts it opens; then becomes the server.

    Raises:
        ConfigError: the port is taken, or the store is a server itself.
        TrackingError: the store cannot be read.
    """
    try:
        socket.create_server((_HOST, options.port)).close()
    except OSError as error:
        another = f"make server PORT={options.port + 1 if options.port < 65535 else 5000}"
        raise ConfigError(f"port {options.port} is taken, or no port of yours: {another} takes another.") from error
    if mlflow.get_tracking_uri().startswith("http"):
        raise ConfigError(
            f"{mlflow.get_tracking_uri()} is a server already: unset MLFLOW_TRACKING_URI to serve mlflow.db."
        )
    describe_store()
    server = f"http://{_HOST}:{options.port}"
    views = view_addresses() if store_exists() else {}
    for study, address in views.items():
        print(f"Open {server}/{address}  (study {shown(study)})")
    print(f"Open {server}/{page('experiments')}{'  (all experiments)' if views else ''}")
    print(f"Send runs here: export MLFLOW_TRACKING_URI={server}", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", _HOST, "--port", str(options.port), "--workers", "1"]
    command += ["--uvicorn-opts", "--lifespan off", "--artifacts-destination", "mlartifacts"]
    # Not as an option: its password is not for everybody's list of processes.
    os.execve(sys.executable, command, all_and(**_SPARING, MLFLOW_BACKEND_STORE_URI=mlflow.get_tracking_uri()))
