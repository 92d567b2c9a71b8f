"""Runs a plan on a Ray cluster: one that is there, of many machines perhaps, or one of this machine for the sweep.

Each run is a Ray task: Ray places it where processors are free, also on nodes that join later. A worker process of
Ray's goes on to the next run with PyTorch and MLflow imported. On a GPU each run has its own process, which gives the
memory back. A run whose worker or node is lost, or whose node differs, starts again elsewhere, from its
last checkpoint.
"""

import logging
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import ray
from ray.exceptions import RayError, RayTaskError, RuntimeEnvSetupError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from wbc.code import locked_packages
from wbc.config import ReproduceConfig, RunConfig
from wbc.errors import BusyError, RunnerError, WbcError, in_a_line
from wbc.outcome import Outcome
from wbc.processes import signals_exit, stop_if_asked
from wbc.sweep.plan import survey
from wbc.sweep.runners.base import Results, Runner, for_elsewhere
from wbc.sweep.runners.local import learn_weights
from wbc.sweep.runners.ray_cluster import cluster_environment, connected, nodes, room
from wbc.sweep.runners.ray_worker import Misfit, difference, run_here, versions_here

LOSSES: Final = 5
"""Times that a run may lose its worker before it counts as failed: it may be the run itself that takes all memory."""
CLAIM_S: Final = 600.0
"""Seconds for which a run may wait for the claim of the worker it lost, which on another machine must expire."""

_RETRY_S: Final = 10.0
_STOP_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Attempt:
    """A run to start, when, and what became of it so far."""

    config: RunConfig
    not_before: float = 0.0
    losses: int = 0
    lost_at: float = 0.0


class RayRunner(Runner):
    """A Ray cluster, or Ray on this machine for the time of the sweep."""

    def plan(self, configs: Sequence[RunConfig]) -> list[RunConfig]:
        """Returns the runs with the device that they have on the cluster, whatever this machine has."""
        gpus = self.options.gpus
        if gpus is None and self.options.address == "local":
            return super().plan(configs)
        if gpus is None:
            with connected(self.options.address):
                gpus = float(ray.cluster_resources().get("GPU", 0))
        return [replace(config, device="cuda" if gpus else "cpu") for config in configs]

    def hardware(self, device: str) -> None:
        """Returns None: nodes may be of any kind."""

    def check(self, configs: Sequence[RunConfig]) -> None:
        """Leaves it to the nodes to say what they cannot compute."""

    def prepare(self, configs: Sequence[RunConfig]) -> None:
        """Learns weights here, so that the runs' identities are known; nodes that share the data folder have them."""
        learn_weights(configs, self.options)

    def run(self, configs: Sequence[RunConfig]) -> Results:
        """Yields each run as it ends, `jobs` at a time or as many as the cluster has room for."""
        address = self.options.address
        with connected(address), signals_exit():  # Ray has put its own in place of the caller's
            work = _Work(configs, self.options)
            work.check_nodes()
            under_way: dict[Any, _Attempt] = {}
            try:
                yield from _run_all(work, configs, self.options.jobs or len(configs), under_way)
            except SystemExit:  # Ray makes 1 of the code of whatever signal its wait is ended by
                stop_if_asked()
                raise
            except ConnectionError as error:  # of the Ray client, whose connection has not come back for half a minute
                raise RunnerError(f"the Ray cluster at {address} is gone: the same command goes on.") from error
            finally:
                _stop(list(under_way))


def _run_all(work: "_Work", configs: Sequence[RunConfig], jobs: int, under_way: dict[Any, _Attempt]) -> Results:
    """Yields each run as it ends; `under_way` holds what has been started, whenever this is left."""
    waiting = [_Attempt(config) for config in configs]
    while waiting or under_way:
        ready = [each for each in waiting if each.not_before <= time.monotonic()]
        for attempt in ready[: max(0, jobs - len(under_way))]:
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


class _Work:
    """How the runs of a plan are started: what they ask for, and what each worker needs to know."""

    def __init__(self, configs: Sequence[RunConfig], options: ReproduceConfig) -> None:
        present = nodes()
        hosts = {node["NodeManagerHostname"] for node in present}
        self._environment = cluster_environment(options.address, hosts - {socket.gethostname()})
        self._versions = versions_here(locked_packages())
        # On a GPU a process is left after each run (max_calls), since one cannot change to another GPU.
        tasks = {"cpu": ray.remote(max_retries=0), "cuda": ray.remote(max_retries=0, max_calls=1)}
        self._tasks = {device: remote(run_here) for device, remote in tasks.items()}
        most = max(int(node["Resources"].get("CPU", 0)) for node in present)
        self._needs = {config: _needs(config, options, most) for config in configs}
        self._fingerprints = {cell.config: cell.trained_as for cell in survey(configs, [])}
        self._nodes: set[str] = set()
        self._left_out: set[str] = set()
        for config, (cpus, gpus) in self._needs.items():
            fitting = room(present, cpus, gpus)
            if not fitting:
                raise RunnerError(
                    f"no node of the Ray cluster has {cpus} CPUs and {gpus:g} GPUs for {config.name}: ask "
                    "for less (cpus, gpus), or see `ray status`."
                )
            self._nodes |= fitting

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
            raise RunnerError(f"a node of the Ray cluster takes no work: {in_a_line(error)}") from error
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
        return task.remote(for_elsewhere(config), self._versions, environment, cpus, self._fingerprints[config])

    def elsewhere(self, attempt: _Attempt, misfit: Misfit) -> _Attempt | RunnerError:
        """Returns the next attempt at a run whose node differs and gets no more runs, or the error if none is left."""
        if misfit.node not in self._left_out:
            self._left_out.add(misfit.node)
            _log.warning("%s No more runs start there.", misfit.told)
        if attempt.losses == LOSSES or not self._others(attempt.config):
            return RunnerError(misfit.told)
        return replace(attempt, losses=attempt.losses + 1)

    def _others(self, config: RunConfig) -> set[str]:
        return room(nodes(), *self._needs[config]) - self._left_out


def _result(ref: Any, attempt: _Attempt) -> Outcome | Exception | Misfit | _Attempt:
    """Returns what a run came to, or the next attempt at it where its worker is lost or its claim still stands."""
    name, now = attempt.config.name, time.monotonic()
    try:
        result: Outcome | WbcError | Misfit = ray.get(ref)
    except RayTaskError as error:  # a bug, with its traceback
        return error
    except RuntimeEnvSetupError as error:
        return RunnerError(f"a node could not set up the code: {in_a_line(error)}")
    except RayError as error:
        if attempt.losses == LOSSES:
            return RunnerError(
                f"its worker was lost {LOSSES + 1} times, probably because memory ran out: {in_a_line(error)}"
            )
        _log.warning("%s lost its worker and starts again from its last checkpoint: %s", name, in_a_line(error))
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
