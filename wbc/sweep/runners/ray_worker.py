"""What a node of a Ray cluster does: it compares its code and libraries with the sweep's, then trains and scores."""

import logging
import platform
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from wbc.code import PACKAGE, code_version, library_versions
from wbc.config import RunConfig
from wbc.errors import WbcError
from wbc.surroundings import change

if TYPE_CHECKING:
    from wbc.outcome import Outcome

_OTHER_INPUTS: Final = (
    "node {host} has other images or weights than the sweep. Another kind of processor can cause this, since it rounds "
    "otherwise. Its run would not be found again. Share WBC_DATA_DIR with it, or copy that folder there."
)
_TOLD: Final = 5
"""Differences that are named; there may be two hundred."""


@dataclass(frozen=True)
class Misfit:
    """A node whose runs would not be the sweep's: its id in the cluster, and what is other there, in a line."""

    node: str
    told: str


def run_here(
    config: RunConfig, versions: dict[str, str], environment: Mapping[str, str], threads: int, fingerprint: str | None
) -> "Outcome | WbcError | Misfit":
    """Trains and scores a run in a worker process; the sweep shows its stderr under its name.

    The sweep gives its `versions`, which this node must have too, and variables that say where data and store are. It
    also gives the run's identity, if it knows that. Threads are as many as Ray gave the run CPUs.
    """
    change(environment)
    different = difference(versions)
    if different:
        return Misfit(_node(), different)
    import torch

    from wbc.processes import stops_on
    from wbc.run import train_and_score

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("wbc").setLevel(logging.INFO)
    torch.set_num_threads(threads)
    with stops_on(signal.SIGINT):  # how Ray cancels; ignored below a shell's `command &`
        try:
            if fingerprint and _fingerprint(config) != fingerprint:
                return Misfit(_node(), _OTHER_INPUTS.format(host=socket.gethostname()))
            return train_and_score(config)
        except WbcError as error:
            return error


def _node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _fingerprint(config: RunConfig) -> str | None:
    """Returns the run's fingerprint on this node, having made its images and weights ready."""
    from wbc.inputs import load_inputs
    from wbc.sweep.plan import survey
    from wbc.training.pretrain import starting_weights

    load_inputs(config)
    starting_weights(config)
    return survey([config], [])[0].trained_as


def difference(versions: dict[str, str]) -> str | None:
    """Returns what this machine has other than those of the sweep, in a line that names it; None if nothing."""
    try:
        here = versions_here(versions)
    except ImportError as error:
        return f"node {socket.gethostname()}: {error}. Install requirements.lock there (make setup)."
    different = [
        f"{name} {here[name]}, not {there}" for name, there in versions.items() if here.get(name, there) != there
    ]
    if not different:
        return None
    told = "; ".join(different[:_TOLD]) + (f" and {len(different) - _TOLD} more" if len(different) > _TOLD else "")
    return (
        f"node {socket.gethostname()} has {told}: its runs would not be the sweep's. Install the same "
        f"requirements.lock there (make setup); its code is at {PACKAGE}."
    )


def versions_here(packages: Iterable[str]) -> dict[str, str]:
    """Returns the versions of Python and the digest of the code, then those of the packages, by name.

    Of the packages that have no part in a run's outcome some may be missing, such as tools of developers.

    Raises:
        ImportError: one that has a part in it is missing.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    others = {name: found for name in packages if (found := _version(name))}
    return {"python": python, "code of wbc": code_version(), **library_versions(), **others}


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
