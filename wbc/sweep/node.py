"""What a node of a Ray cluster does: it compares its code and libraries with the sweep's, then trains and scores."""

import logging
import os
import platform
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wbc.config import RunConfig
from wbc.errors import RunnerError, WbcError

if TYPE_CHECKING:
    from wbc.run import Outcome


def run_here(
    config: RunConfig, versions: dict[str, str], environment: Mapping[str, str], threads: int
) -> "Outcome | WbcError":
    """Trains and scores a run in a worker process; what goes to stderr there is told by the sweep under its name.

    Args:
        config: the run.
        versions: those of the sweep, which this node must have too.
        environment: variables for the run: where the data and the tracking store are.
        threads: as many as Ray gave the run CPUs.
    """
    os.environ.update(environment)
    different = difference(versions)
    if different:
        return RunnerError(different)
    import torch

    from wbc.processes import stops_on
    from wbc.run import train_and_score

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("wbc").setLevel(logging.INFO)
    torch.set_num_threads(threads)
    with stops_on(signal.SIGINT):  # how Ray cancels; ignored below a shell's `command &`
        try:
            return train_and_score(config)
        except WbcError as error:
            return error


def difference(versions: dict[str, str]) -> str | None:
    """Returns what this machine has other than those of the sweep, in a line that names it; None if nothing."""
    try:
        here = versions_here()
    except ImportError as error:
        return f"node {socket.gethostname()}: {error}. Install requirements.lock there (make setup)."
    different = [f"{name} {here[name]}, not {version}" for name, version in versions.items() if here[name] != version]
    if not different:
        return None
    return (
        f"node {socket.gethostname()} has {'; '.join(different)}: its runs would not be the sweep's. Install the same "
        f"requirements.lock there (make setup); its code is at {Path(__file__).parents[1]}."
    )


def versions_here() -> dict[str, str]:
    """Returns the versions of Python and of the libraries and the digest of the code, by name."""
    from wbc.environment import code_version, library_versions

    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "code of wbc": code_version((".",)), **library_versions()}
