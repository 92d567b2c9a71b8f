"""Runs a plan in Docker containers, one per run, `jobs` at a time, each with its own GPU where there are any.

A container reads images and weights under the same paths as here and cannot change them. It writes to the tracking
store as the caller. It takes the settings of its run as options of `entrypoints.train`. Its labels name its sweep: the
next sweep stops and removes what a killed one leaves behind.
"""

import logging
import os
import queue
import signal
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Final

import docker
import requests
from docker.errors import APIError, DockerException
from docker.models.containers import Container
from docker.types import DeviceRequest

from wbc.config import ReproduceConfig, RunConfig
from wbc.errors import BusyError, ConfigError, RunnerError, TrainingError, WbcError, first_line
from wbc.outcome import Outcome
from wbc.sweep.plan import survey
from wbc.sweep.runners.base import Results, Runner, alike, for_elsewhere
from wbc.sweep.runners.containers import container_settings, memory_bytes
from wbc.sweep.runners.gpu import visible_gpus
from wbc.sweep.runners.image import connect_engine, find_image
from wbc.sweep.runners.local import learn_weights
from wbc.tracking.claims import START_TOLERANCE, process_start
from wbc.tracking.read import read_trainings

_STOP_S: Final = 30
"""How long a run may take to mark itself as interrupted before it is killed."""
_SIGNALLED: Final = {128 + signum: signum.name for signum in signal.Signals}
_log = logging.getLogger(__name__)


class DockerRunner(Runner):
    """Containers on the engine that DOCKER_HOST names, which sees this machine's disk."""

    def check(self, configs: Sequence[RunConfig]) -> None:
        """Looks for the engine and the image, and stops what killed sweeps of this user have left running."""
        super().check(configs)
        self._connected()

    def prepare(self, configs: Sequence[RunConfig]) -> None:
        """Learns weights here: containers can only read this machine's data folder."""
        learn_weights(configs, self.options)

    def run(self, configs: Sequence[RunConfig]) -> Results:
        """Yields each run as it ends; those that use the machine in the same way go together."""
        engine, image = self._connected()
        for group in alike(configs):
            yield from _run_all(_Sweep(engine, image, group, self.options), group)

    def _connected(self) -> tuple[docker.DockerClient, str]:
        if self.options.memory:
            memory_bytes(self.options.memory)
        engine = connect_engine()
        image = find_image(engine, self.options.image)
        _remove_abandoned(engine)
        return engine, str(image.id)


def _run_all(sweep: "_Sweep", configs: Sequence[RunConfig]) -> Results:
    _log.info("%d runs, %d containers at a time", len(configs), sweep.jobs)
    with ThreadPoolExecutor(sweep.jobs) as pool:
        runs: dict[Future[Outcome], RunConfig] = {pool.submit(sweep.run, config): config for config in configs}
        try:
            for future in as_completed(runs):
                error = future.exception()
                if error is None:
                    yield runs[future], future.result()
                elif isinstance(error, WbcError) and not isinstance(error, RunnerError):
                    yield runs[future], error
                else:
                    raise error
        finally:  # nothing to do after the last run; else Ctrl-C, SIGTERM, an engine that fails, or the caller's own
            for future in runs:
                future.cancel()
            sweep.stop(runs)


def _remove_abandoned(engine: docker.DockerClient) -> None:
    """Stops and removes the containers of this user whose sweep was killed; their runs can go on later."""
    for container in engine.containers.list(all=True, filters={"label": f"wbc.owner={_owner()}"}, ignore_removed=True):
        pid, started = container.labels["wbc.sweep"].split("@")
        start = process_start(int(pid))
        if start is not None and abs(start - float(started)) <= START_TOLERANCE:  # else the number was given again
            continue
        _log.info("%s: its sweep is gone; stopping and removing the container", container.labels["wbc.run"])
        with suppress(APIError):  # another sweep stops it too
            container.stop(timeout=_STOP_S)
            container.remove(force=True)


class _Sweep:
    """What the containers of runs that use the machine in the same way have in common."""

    def __init__(
        self, engine: docker.DockerClient, image: str, configs: Sequence[RunConfig], options: ReproduceConfig
    ) -> None:
        cores = engine.info()["NCPU"]
        gpus = visible_gpus() if configs[0].device == "cuda" else []
        self.jobs = min(options.jobs or len(gpus) or (cores if configs[0].scale == "tiny" else 1), len(configs))
        self._engine, self._image = engine, image
        self._gpus: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        for job in range(self.jobs):
            self._gpus.put(gpus[job % len(gpus)] if gpus else None)
        self._stopping = threading.Event()
        self._labels = {"wbc.owner": _owner(), "wbc.sweep": f"{os.getpid()}@{process_start(os.getpid())}"}
        cpus = max(1, cores // self.jobs) if options.cpus is None else options.cpus
        if not 1 <= cpus <= cores:
            raise ConfigError(f"cpus={cpus}: must be from 1 to the {cores} that the Docker engine has.")
        self._settings = container_settings(configs, options.memory, cpus=cpus, jobs=self.jobs, gpus=len(gpus))
        self._memory = options.memory

    def run(self, config: RunConfig) -> Outcome:
        """Runs in a container, whose log goes to this process's, and removes it, however it ends.

        Raises:
            TrainingError: the run failed; the message says by what.
            RunnerError: the engine refuses the container or does not answer any more.
        """
        name = config.name
        gpu = self._gpus.get()
        try:
            container = self._create(config, name, gpu)
            try:
                if self._stopping.is_set():
                    raise RunnerError("stopped before it began.")
                container.start()
                said = _follow(container, name)
                code = container.wait()["StatusCode"]
                container.reload()
            finally:
                container.remove(force=True)
        except (DockerException, requests.RequestException) as error:
            raise _refusal(error) from error
        finally:
            self._gpus.put(gpu)
        if code == BusyError.exit_code:
            raise BusyError(said)
        if code:
            raise TrainingError(_failure(code, said, self._memory, container.attrs["State"]["OOMKilled"]))
        (cell,) = survey([config], [])
        if cell.trained_as:
            (cell,) = survey([config], read_trainings(cell.trained_as))
        if cell.outcome is None:
            raise RunnerError(
                f"{name} has ended well in its container, but under another fingerprint than it has here: `make setup` "
                "and `make image` bring the libraries of both to requirements.lock."
            )
        return replace(cell.outcome, done_already=False)

    def stop(self, runs: dict[Future[Outcome], RunConfig]) -> None:
        """Stops the containers that run, each of which marks its run as interrupted; returns once threads are done."""
        self._stopping.set()
        while wait(runs, timeout=0).not_done:
            with suppress(DockerException, requests.RequestException):
                containers = self._engine.containers.list(
                    filters={"label": [f"{key}={value}" for key, value in self._labels.items()]}, ignore_removed=True
                )
                with ThreadPoolExecutor(self.jobs) as pool:
                    pool.map(lambda container: container.stop(timeout=_STOP_S), containers)
            wait(runs, timeout=1)

    def _create(self, config: RunConfig, name: str, gpu: str | None) -> Container:
        inside = for_elsewhere(config)
        values = asdict(inside) | {"targets": ",".join(inside.targets), "adapt": ",".join(inside.adapt) or "none"}
        words = {option: "auto" if value is None else str(value) for option, value in values.items()}
        typed = [word for option, value in words.items() for word in (f"--{option}", value)]
        devices = [DeviceRequest(device_ids=[gpu], capabilities=[["gpu"]])] if gpu and config.device == "cuda" else None
        return self._engine.containers.create(
            self._image,
            ["python", "-m", "entrypoints.train", *typed],
            labels=self._labels | {"wbc.run": name},
            device_requests=devices,
            **self._settings,
        )


def _owner() -> str:
    return f"{os.getuid()}@{socket.gethostname()}"


def _follow(container: Container, name: str) -> str:
    """Logs what the container says on stderr, line by line, until it ends; returns its last error line."""
    rest, said = b"", ""
    for chunk in container.logs(stdout=False, stream=True, follow=True):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text.startswith("error: "):
                said = text.removeprefix("error: ")
            elif text:
                _log.info("%s  %s", name, text)
    return said


def _failure(code: int, said: str, memory: str | None, out_of_memory: bool) -> str:
    """Returns why a container ended with an exit code other than 0, given its last error line and its limit."""
    if out_of_memory:
        if memory:
            return f"killed, since it needed more memory than memory={memory}: give it more."
        return "killed, since memory ran out: choose fewer jobs (jobs=…), or a machine with more memory."
    if code == 2 and said:
        return said
    if code in _SIGNALLED:
        return f"its container was ended by {_SIGNALLED[code]}; the same command goes on with it."
    return f"its container ended with exit code {code}; its log above says why."


def _refusal(error: DockerException | requests.RequestException) -> RunnerError:
    reason = str(getattr(error, "explanation", None) or first_line(error)).strip().rstrip(".")
    if "could not select device driver" in reason:
        return RunnerError(
            "Docker cannot give containers a GPU: install the NVIDIA Container Toolkit, `sudo nvidia-ctk runtime "
            "configure --runtime=docker`, and restart Docker. runner=local needs none of it."
        )
    return RunnerError(
        f"the Docker engine fails: {reason}. Correct this and run the same command again: what was saved stays."
    )
