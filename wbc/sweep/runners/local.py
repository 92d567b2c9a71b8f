"""Runs a plan in worker processes of this machine, each of which imports PyTorch and MLflow once."""

import logging
import math
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from ctypes import c_double
from dataclasses import dataclass
from typing import Final, TypeVar

from wbc.config import ReproduceConfig, RunConfig
from wbc.errors import TrainingError
from wbc.inputs import weights_key
from wbc.models.catalog import find_backbone, find_model
from wbc.outcome import Outcome
from wbc.processes import TERMINAL_SIGNALS, cores, shared_memory_errors
from wbc.surroundings import change
from wbc.sweep.runners.base import Epochs, Results, Runner, alike
from wbc.sweep.runners.gpu import jobs_per_gpu, visible_gpus
from wbc.terminal import progress, report_epochs
from wbc.training.pretrain import standing_weights, starting_weights

ATTEMPTS: Final = 2
"""How often a run is started whose worker was killed."""

_KILLED: Final = "its worker process was killed twice, probably because memory ran out: choose fewer jobs (jobs=…)."

_log = logging.getLogger(__name__)
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class LocalRunner(Runner):
    """Worker processes of this machine: `jobs` of them share its cores, and its GPUs, each on one."""

    def to_learn(self, configs: Sequence[RunConfig]) -> list[RunConfig]:
        """Returns a run for each file of weights that is not here yet, and that others may share with it."""
        starts = {weights_key(config): config for config in configs}.values()
        return [config for config in starts if not standing_weights(config)[0]]

    def run(self, configs: Sequence[RunConfig]) -> Results:
        """Yields each run as it ends; those that use the machine in the same way go together, in their order."""
        for group in alike(configs):
            jobs = min(self.options.jobs or default_jobs(group), len(group))
            _log.info("%d runs, %d at a time", len(group), jobs)
            with _workers(jobs) as workers:
                for _ in _each(starting_weights, self.to_learn(group), workers, self.learned):
                    pass  # each once, before the first run asks for it; a run tells what is wrong itself
                for config, result in _each(_work, group, workers, self.trained):
                    if isinstance(result, BaseException) and not isinstance(result, Exception):
                        raise result
                    yield config, result


def learn_weights(configs: Sequence[RunConfig], options: ReproduceConfig) -> None:
    """Learns the weights that are not here yet, for places whose runs do not all see this machine's data folder."""
    missing = LocalRunner(options).to_learn(configs)
    if missing:
        jobs = min(options.jobs or cores(), len(missing))  # on the CPU, whatever runs train on
        with _workers(jobs) as workers, progress("weights to start from", len(missing), "files") as advance:
            for _ in _each(starting_weights, missing, workers):
                advance(1)


def default_jobs(group: Sequence[RunConfig]) -> int:
    """Returns one job per core for thin and light models on a CPU, which fill no more; on GPUs what they hold."""
    if group[0].device == "cuda":
        return jobs_per_gpu(group) * len(visible_gpus())
    light = all(run.scale == "tiny" or find_backbone(find_model(run.model).backbone).light for run in group)
    return cores() if light else 1


@dataclass(frozen=True)
class _Worker:
    pool: ProcessPoolExecutor
    """Of one process."""
    epochs: c_double
    """In memory that is shared with it: the epochs that its task has done."""


def _each(
    work: Callable[[_Task], _Result],
    tasks: Iterable[_Task],
    workers: list[_Worker],
    done: MutableMapping[_Task, Epochs] | None = None,
) -> Iterator[tuple[_Task, _Result | BaseException]]:
    """Yields each task as it ends, with its result or error. A worker that is killed is replaced, its task retried.

    `done` holds how far each task is.
    """
    done = {} if done is None else done
    waiting = deque((task, 1) for task in tasks)
    idle = list(range(len(workers)))
    running: dict[Future[_Result], tuple[int, _Task, int]] = {}
    while waiting or running:
        while waiting and idle:
            index, (task, attempt) = idle.pop(), waiting.popleft()
            try:
                future = workers[index].pool.submit(work, task)
            except BrokenProcessPool:  # it was killed while it had nothing to do
                _replace(index, workers)
                future = workers[index].pool.submit(work, task)
            running[future], done[task] = (index, task, attempt), workers[index].epochs
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            index, task, attempt = running.pop(future)
            idle.append(index)
            workers[index].epochs.value, done[task] = 0, c_double(math.inf)
            error = future.exception()
            if not isinstance(error, BrokenProcessPool):
                yield task, future.result() if error is None else error
                continue
            _replace(index, workers)
            if attempt < ATTEMPTS:
                _log.warning("a worker process was killed, probably because memory ran out; its run starts once more")
                waiting.append((task, attempt + 1))
            else:
                yield task, TrainingError(_KILLED)


@contextmanager
def _workers(jobs: int) -> Iterator[list[_Worker]]:
    """Yields pools of one process each: the end of one leaves the others and their tasks alone."""
    workers = [_worker(index, jobs) for index in range(jobs)]
    try:
        yield workers
    except BaseException:  # Ctrl-C, SIGTERM, or the caller's own: the runs under way are marked and can go on later
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        for worker in workers:
            worker.pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.pool.shutdown()


def _replace(index: int, workers: list[_Worker]) -> None:
    workers[index].pool.shutdown()
    workers[index] = _worker(index, len(workers))


def _worker(index: int, jobs: int) -> _Worker:
    """Returns one of `jobs` workers; GPUs go to them in turn."""
    gpus = visible_gpus()
    variables = {"WBC_JOBS": str(jobs)}
    if gpus:
        variables |= {"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)], "WBC_GPU_JOBS": str(math.ceil(jobs / len(gpus)))}
    context = multiprocessing.get_context("spawn")
    with shared_memory_errors():
        epochs = context.RawValue(c_double, 0)  # no lock: a worker that is killed would keep it
        initial = jobs, variables, epochs
        pool = ProcessPoolExecutor(1, mp_context=context, initializer=_start_worker, initargs=initial)
    return _Worker(pool, epochs)


def _work(config: RunConfig) -> Outcome:
    import torch

    from wbc.run import train_and_score

    try:
        return train_and_score(config)
    except SystemExit:  # by SIGTERM: the pool would take this for a result, and give the worker the next run
        os._exit(128 + signal.SIGTERM)
    finally:
        if config.device == "cuda":
            torch.cuda.empty_cache()  # the next run, or another worker's, may need what this one had


def _start_worker(jobs: int, variables: dict[str, str], epochs: c_double) -> None:
    for signum in (signal.SIGINT, *TERMINAL_SIGNALS):  # they reach the parent too, which ends the workers
        signal.signal(signum, signal.SIG_IGN)
    change(variables)  # before the first use of CUDA, which reads them then
    import torch

    report_epochs(epochs)
    torch.set_num_threads(max(1, cores() // jobs))
    threading.Thread(target=_stop_with_parent, daemon=True).start()


def _stop_with_parent() -> None:
    """Ends this worker once its parent is gone: in good order, or after half a minute in any."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
        os._exit(128 + signal.SIGTERM)
