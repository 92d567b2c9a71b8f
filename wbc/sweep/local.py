"""Runs a plan in worker processes of this machine, each of which imports PyTorch and MLflow once."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import torch

from wbc.config import RunConfig
from wbc.errors import TrainingError, WbcError
from wbc.models.catalog import find_model
from wbc.run import Outcome, train_and_score
from wbc.training.pretrain import starting_weights

_log = logging.getLogger(__name__)


def run_plan(configs: Sequence[RunConfig], jobs: int) -> Iterator[tuple[RunConfig, Outcome | WbcError]]:
    """Yields each run of the plan as it ends, with what it came to; a run that fails does not stop the others.

    Args:
        configs: the runs, started in this order.
        jobs: worker processes; the machine's cores are shared out among them.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(threads,)
    )
    try:
        # Runs that share a backbone share its weights: made once, before the first of them asks.
        backbones = {find_model(config.model).backbone: config for config in configs}
        for count, _ in enumerate(pool.map(starting_weights, backbones.values()), start=1):
            _log.info("weights to start from: %d of %d backbones", count, len(backbones))
        runs: dict[Future[Outcome], RunConfig] = {pool.submit(_work, config): config for config in configs}
        for future in as_completed(runs):
            error = future.exception()
            if error is None:
                yield runs[future], future.result()
            elif isinstance(error, WbcError):
                yield runs[future], error
            else:
                raise error
    except BrokenProcessPool as error:
        raise TrainingError(
            "a worker process was killed, for want of memory perhaps: try fewer jobs; the same command goes on."
        ) from error
    except BaseException:  # Ctrl-C, SIGTERM, or the caller's own: the runs under way are marked and can go on later
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def default_jobs(configs: Sequence[RunConfig]) -> int:
    """Returns one job per core for thin models on a CPU, which do not fill more than one; else 1."""
    thin = all(config.device == "cpu" and config.scale == "tiny" for config in configs)
    return min(len(configs), os.cpu_count() or 1) if thin else 1


def _work(config: RunConfig) -> Outcome:
    try:
        return train_and_score(config)
    except SystemExit:  # by SIGTERM: the pool would take this for a result, and give the worker the next run
        os._exit(128 + signal.SIGTERM)


def _start_worker(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends the workers
    torch.set_num_threads(threads)
    threading.Thread(target=_stop_with_parent, daemon=True).start()


def _stop_with_parent() -> None:
    """Ends this worker once its parent is gone: in good order, or after half a minute in any."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
        os._exit(128 + signal.SIGTERM)
