"""Runs a plan on a Ray cluster: one that is there, of many machines perhaps, or one of this machine for the sweep.

Each run is a Ray task, so that Ray places it where its processors are free, on nodes that join later too, and a worker
process of Ray's goes on to the next run with PyTorch and MLflow imported; on a GPU each run has a process of its own,
which gives the memory back. A run whose worker or node is lost, or whose node differs, starts again elsewhere, from its
last checkpoint.
"""

import logging
import os
import platform
import secrets
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from wbc.config import ReproduceConfig, RunConfig
from wbc.environment import locked_packages
from wbc.errors import BusyError, RunnerError, WbcError
from wbc.processes import sigterm_exits
from wbc.run import Outcome
from wbc.studies import choose_precision
from wbc.sweep.plan import survey
from wbc.sweep.runners.elsewhere import cluster_environment
from wbc.sweep.runners.ray_worker import Misfit, difference, run_here, versions_here

# Ray reads these when it is imported: it reports to nobody, and tells what each run logs rather than a digest.
for _name, _value in {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "RAY_COLOR_PREFIX": "0"}.items():
    os.environ.setdefault(_name, _value)
try:
    import ray
    from ray._private.client_mode_hook import _explicitly_disable_client_mode
    from ray.exceptions import RayError, RayTaskError, RuntimeEnvSetupError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError as error:
    raise RunnerError(f"runner=ray needs Ray, which is not here ({error}): make setup installs it.") from error

LOSSES: Final = 5
"""Times that a run may lose its worker before it counts as failed: it may be the run itself that takes all memory."""
CLAIM_S: Final = 600.0
"""Seconds for which a run may wait for the claim of the worker it lost, which on another machine must expire."""

_RETRY_S: Final = 10.0
_CONNECT_S: Final = 10.0
_ATTEMPTS: Final = 4
_PAUSE_S: Final = 2.0
_STOP_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Attempt:
    """A run to start, when, and what became of it so far."""

    config: RunConfig
    not_before: float = 0.0
    losses: int = 0
    lost_at: float = 0.0


def run_plan(configs: Sequence[RunConfig], options: ReproduceConfig) -> Iterator[tuple[RunConfig, Outcome | Exception]]:
    """Yields each run of the plan as it ends, with what it came to; a run that fails does not stop the others.

    Raises:
        RunnerError: no cluster there, none of its nodes has room for a run, or one runs other code or libraries.
        ConfigError: the cluster has other machines, which do not reach the tracking store.
    """
    with _connected(options.address), sigterm_exits():  # Ray has put its own in place of the caller's
        work = _Work(configs, options)
        work.check_nodes()
        waiting = [_Attempt(config) for config in configs]
        under_way: dict[Any, _Attempt] = {}
        try:
            while waiting or under_way:
                free = (options.jobs or len(configs)) - len(under_way)
                for attempt in [each for each in waiting if each.not_before <= time.monotonic()][: max(0, free)]:
                    waiting.remove(attempt)
                    under_way[work.start(attempt.config)] = attempt
                if not under_way:
                    time.sleep(0.5)
                    continue
                for ref in ray.wait(list(under_way), timeout=1.0)[0]:
                    attempt = under_way.pop(ref)
                    result = _result(ref, attempt)
                    if isinstance(result, Misfit):
                        result = work.elsewhere(attempt, result)
                    if isinstance(result, _Attempt):
                        waiting.append(result)
                    else:
                        yield attempt.config, result
        except SystemExit:  # Ray makes 1 of the code of whatever signal its wait is ended by
            raise SystemExit(128 + signal.SIGTERM) from None
        except ConnectionError as error:  # of the Ray client, whose connection has not come back for half a minute
            raise RunnerError(f"the Ray cluster at {options.address} is gone: the same command goes on.") from error
        finally:
            _stop(list(under_way))


def fit_device(configs: Sequence[RunConfig], options: ReproduceConfig) -> list[RunConfig]:
    """Returns the plan with the device and precision that its runs will have on the cluster, whatever this machine has.

    Raises:
        RunnerError: no cluster there.
    """
    gpus = options.gpus
    if gpus is None and options.address == "local":
        return list(configs)
    if gpus is None:
        with _connected(options.address):
            gpus = float(ray.cluster_resources().get("GPU", 0))
    device: Literal["cpu", "cuda"] = "cuda" if gpus else "cpu"
    plain = None if options.fast else "fp32"
    return [
        replace(config, device=device, precision=choose_precision(options.precision or plain, config.scale, device))
        for config in configs
    ]


class _Work:
    """How the runs of a plan are started: what they ask for, and what each worker needs to know."""

    def __init__(self, configs: Sequence[RunConfig], options: ReproduceConfig) -> None:
        nodes = _nodes()
        hosts = {node["NodeManagerHostname"] for node in nodes}
        self._environment = cluster_environment(options.address, hosts - {socket.gethostname()})
        self._versions = versions_here(locked_packages())
        # On a GPU a process is left after each run (max_calls), since one cannot change to another GPU.
        tasks = {"cpu": ray.remote(max_retries=0), "cuda": ray.remote(max_retries=0, max_calls=1)}
        self._tasks = {device: remote(run_here) for device, remote in tasks.items()}
        most = max(int(node["Resources"].get("CPU", 0)) for node in nodes)
        self._needs = {config: _needs(config, options, most) for config in configs}
        self._fingerprints = {cell.config: cell.fingerprint for cell in survey(configs, [])}
        self._nodes: set[str] = set()
        self._left_out: set[str] = set()
        for config, (cpus, gpus) in self._needs.items():
            room = _room(nodes, cpus, gpus)
            if not room:
                raise RunnerError(
                    f"no node of the Ray cluster has {cpus} CPUs and {gpus:g} GPUs for {config.name}: ask "
                    "for less (cpus, gpus), or see `ray status`."
                )
            self._nodes |= room

    def check_nodes(self) -> None:
        """Makes sure that nodes that will have runs have this code and these libraries; workers import them here.

        Raises:
            RunnerError: one has not; the message names it and what differs.
        """
        check = ray.remote(num_cpus=0, max_retries=0)(difference)
        checks = [
            check.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(self._versions)
            for node in self._nodes
        ]
        try:
            found = [difference for difference in ray.get(checks) if difference]
        except RayTaskError:
            raise
        except RayError as error:
            raise RunnerError(f"a node of the Ray cluster takes no work: {_in_a_line(error)}") from error
        if found:
            raise RunnerError(" ".join(found))

    def start(self, config: RunConfig) -> Any:
        """Returns the reference of a run that Ray starts as soon as it has room for it."""
        cpus, gpus = self._needs[config]
        where = {}
        if self._left_out and self._others(config):
            where["label_selector"] = {"ray.io/node-id": f"!in({','.join(self._left_out)})"}
        task = self._tasks[config.device].options(num_cpus=cpus, num_gpus=gpus, name=config.name, **where)
        environment = self._environment | ({"WBC_GPU_JOBS": str(round(1 / gpus))} if gpus else {})
        return task.remote(config, self._versions, environment, cpus, self._fingerprints[config])

    def elsewhere(self, attempt: _Attempt, misfit: Misfit) -> _Attempt | RunnerError:
        """Returns the next attempt at a run whose node differs and gets no more runs, or the error if none is left."""
        if misfit.node not in self._left_out:
            self._left_out.add(misfit.node)
            _log.warning("%s No more runs start there.", misfit.told)
        if attempt.losses == LOSSES or not self._others(attempt.config):
            return RunnerError(misfit.told)
        return replace(attempt, losses=attempt.losses + 1)

    def _others(self, config: RunConfig) -> set[str]:
        return _room(_nodes(), *self._needs[config]) - self._left_out


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """Connects to the cluster, or starts one on this machine for `local`, until the block ends.

    The package goes along: a worker imports this code, wherever it is.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
    settings: dict[str, Any] = {"logging_level": logging.ERROR}
    if address == "local":  # nothing but configurations passes through the object store
        settings |= {"include_dashboard": False, "object_store_memory": 100 * 2**20}
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one to the home folder
    else:
        _knock(address)
    package = {"py_modules": [str(Path(__file__).parents[1])], "excludes": ["__pycache__"]}
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            ray.init(address, runtime_env=package, **settings)
            break
        except (Exception, SystemExit) as error:
            _forget_connection()
            # The head starts a server for each client, at a port that another one may be taking at this moment.
            if not (attempts_left and isinstance(error, ConnectionAbortedError)):
                raise RunnerError(
                    f"no Ray cluster at {address}: {_in_a_line(error)} It must run Ray {ray.__version__} on Python "
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


def _result(ref: Any, attempt: _Attempt) -> Outcome | Exception | Misfit | _Attempt:
    """Returns what a run came to, or the next attempt at it where its worker is lost or its claim still stands."""
    name, now = attempt.config.name, time.monotonic()
    try:
        result: Outcome | WbcError | Misfit = ray.get(ref)
    except RayTaskError as error:  # a bug, with its traceback
        return error
    except RuntimeEnvSetupError as error:
        return RunnerError(f"a node could not set up the code: {_in_a_line(error)}")
    except RayError as error:
        if attempt.losses == LOSSES:
            return RunnerError(
                f"its worker was lost {LOSSES + 1} times, for want of memory perhaps: {_in_a_line(error)}"
            )
        _log.warning("%s lost its worker and starts again from its last checkpoint: %s", name, _in_a_line(error))
        return replace(attempt, not_before=now, losses=attempt.losses + 1, lost_at=now)
    if attempt.losses and isinstance(result, BusyError) and now - attempt.lost_at < CLAIM_S:
        _log.info("%s waits %.0f s: %s", name, _RETRY_S, result)
        return replace(attempt, not_before=now + _RETRY_S)
    return result


def _stop(refs: list[Any]) -> None:
    """Interrupts what is under way, and waits until each run is marked and its worker is done with it."""
    with suppress(RayError, ConnectionError):
        for ref in refs:
            ray.cancel(ref)
        if refs:
            ray.wait(refs, num_returns=len(refs), timeout=_STOP_S)


def _needs(config: RunConfig, options: ReproduceConfig, most: int) -> tuple[int, float]:
    """Returns the CPUs and GPUs of a run: as asked for, else one GPU and CPU, four CPUs for a full model without a GPU.

    `most` is how many CPUs the largest node has.
    """
    if config.device == "cuda":
        return options.cpus or 1, 1.0 if options.gpus is None else options.gpus
    return options.cpus or (max(1, min(4, most)) if config.scale == "full" else 1), 0.0


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _room(nodes: Sequence[dict[str, Any]], cpus: int, gpus: float) -> set[str]:
    """Returns the ids of the nodes that have room for a run once they are free."""
    amounts = {node["NodeID"]: node["Resources"] for node in nodes}
    return {each for each, has in amounts.items() if has.get("CPU", 0) >= cpus and has.get("GPU", 0) >= gpus}


def _in_a_line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
