"""What a place to run a plan is, and the look-up of places by name; a place changes neither a result nor a name.

To add one, write a subclass of `Runner` and name it in `wbc.config.RUNNERS`.
"""

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

from wbc.config import RUNNERS, ReproduceConfig, RunConfig
from wbc.data.catalog import FOLDER, find_domain
from wbc.data.splits import split_list
from wbc.environment import hardware
from wbc.errors import RunnerError
from wbc.outcome import Outcome

Results: TypeAlias = Generator[tuple[RunConfig, Outcome | Exception], None, None]


class Epochs(Protocol):
    """How many epochs something has done, infinity once it has ended; another process may write it."""

    value: float


class Runner(ABC):
    """A place where runs take place: this machine, unless a subclass says otherwise."""

    def __init__(self, options: ReproduceConfig) -> None:
        self.options = options
        self.learned: dict[RunConfig, Epochs] = {}
        """How far the weights that `to_learn` returns are."""
        self.trained: dict[RunConfig, Epochs] = {}
        """How far runs are, where the place can say it before they end."""

    def plan(self, configs: Sequence[RunConfig]) -> list[RunConfig]:
        """Returns the runs with the device of each: what it names, else cuda where there is a GPU.

        Raises:
            RunnerError: the place cannot be reached.
        """
        if all(config.device != "auto" for config in configs):
            return list(configs)
        import torch

        device: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
        return [config if config.device != "auto" else replace(config, device=device) for config in configs]

    def hardware(self, device: str) -> str | None:
        """Returns what computes there, in the words of `wbc.environment`; None if it may be anything."""
        return hardware(device)

    def check(self, configs: Sequence[RunConfig]) -> None:
        """Makes sure, before anything is prepared, that runs can take place there.

        Raises:
            ConfigError: an option is not what the place can give.
            RunnerError: the place lacks something; the message says how to get it.
        """
        from wbc.compute import settle

        for config in configs:
            settle(config)

    def prepare(self, configs: Sequence[RunConfig]) -> None:  # noqa: B027  # where runs make it
        """Makes here what runs share and cannot make themselves there."""

    def to_learn(self, configs: Sequence[RunConfig]) -> list[RunConfig]:
        """Returns a run for each file of weights that `run` will learn before the runs."""
        return []

    @abstractmethod
    def run(self, configs: Sequence[RunConfig]) -> Results:
        """Yields each run as it ends, with what it came to; a run that fails does not stop the others.

        Closing the iterator, or an exception inside it, stops the runs under way: each is marked and can go on later.

        Raises:
            ConfigError, RunnerError: as `check`, where only the runs show it.
        """


def find_runner(name: str) -> type[Runner]:
    """Returns the class of a place.

    Raises:
        RunnerError: a package that only this place needs is not installed.
    """
    try:
        runner: type[Runner] = pkgutil.resolve_name(RUNNERS[name])
    except ModuleNotFoundError as error:
        if (error.name or "wbc").partition(".")[0] == "wbc":
            raise
        raise RunnerError(
            f"runner={name} needs the package {error.name}, which is not installed: `make setup` installs it, or "
            f"`pip install '.[{name}]'` in the checkout."
        ) from error
    return runner


def for_elsewhere(config: RunConfig) -> RunConfig:
    """Returns a run with its folders' paths as this process reads them: absolute, and without links.

    A process in another working folder, or one that sees only the folders themselves, finds them there.
    """
    items = [
        [find_domain(item).key if item.startswith(FOLDER) else item for item in each]
        for each in (split_list(config.source), config.targets)
    ]
    return replace(config, source=",".join(items[0]), targets=tuple(items[1]))


def alike(configs: Sequence[RunConfig]) -> list[list[RunConfig]]:
    """Returns the runs in groups that use a machine in the same way, so that as many of each fit on it at a time."""
    groups: dict[tuple[str, str], list[RunConfig]] = {}
    for config in configs:
        groups.setdefault((config.device, config.scale), []).append(config)
    return list(groups.values())


def is_local(uri: str) -> bool:
    """Returns whether an address is one that only this machine reaches, by a name for itself."""
    return urlsplit(uri).hostname in ("localhost", "127.0.0.1", "::1")
