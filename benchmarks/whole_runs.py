"""The cases of whole runs: several side by side, their start, and what they take beyond training."""

import dataclasses
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Final

from benchmarks import work
from benchmarks.baseline import Released
from benchmarks.measure import Rates, Side, interleave, peak_memory, peaks_so_far
from benchmarks.result import peak_fields, peaks_alone, result_line
from benchmarks.work import Bench
from wbc.config import RunConfig
from wbc.processes import cores
from wbc.sweep.runners.gpu import jobs_per_gpu
from wbc.training.pretrain import starting_weights

GRID_RUNS: Final = 4


def grid(bench: Bench) -> Iterator[dict[str, Any]]:
    """Runs of the demo side by side, against one after another; without tracking."""
    configs = [work.demo_run(seed, bench.device, epochs=3) for seed in range(GRID_RUNS)]
    images = len(work.load(configs[0]).labels)
    starting_weights(configs[0])
    jobs = jobs_per_gpu(configs) if bench.device == "cuda" else min(cores(), GRID_RUNS)
    with work.warm_workers(jobs) as workers:
        _run_on(workers, configs)  # each has trained once before anything is measured
        sides = {
            "baseline": Side(partial(_run_on, workers[:1], configs)),
            "ours": Side(partial(_run_on, workers, configs)),
        }
        rates = interleave(sides, bench.rounds, device=bench.device, wall=True)
    more: dict[str, float] = {
        "jobs": jobs,
        "peaks_added_up_over_workers": jobs,
        "baseline_peaks_added_up_over_workers": 1,
    }
    more |= peak_fields(bench.device, _peaks_of_workers(jobs, configs), _peaks_of_workers(1, configs))
    if bench.device == "cpu":  # a core each; how many runs would fill a GPU is not known
        more["share_of_limit"] = statistics.median(rates.ratios("ours", "baseline")) / jobs
    passes = sum(config.epochs + 1 for config in configs)  # and one to score
    yield result_line("grid", rates, "runs/s", images=images * passes, more=more)


def start(bench: Bench) -> Iterator[dict[str, Any]]:
    """From a warm worker to a run's first update; the released code starts a process for each run."""
    folder = bench.jpegs(64)
    thin, full = work.demo_run(0, bench.device), work.full_run(folder, "resnet50", bench.device)
    work.load(thin)
    starting_weights(thin)
    work.load(full)
    seeds = iter(range(1000))
    with work.warm_workers(1) as (worker,):

        def ours(config: RunConfig) -> int:
            worker.submit(work.first_update, dataclasses.replace(config, seed=next(seeds))).result()
            return 1

        def released(config: RunConfig) -> int:
            with work.warm_workers(1) as (fresh,):
                fresh.submit(work.first_update_released, config, folder).result()
            return 1

        for name, config in (("start", thin), ("start_resnet50", full)):
            ours(config)
            sides = {"baseline": Side(partial(released, config)), "ours": Side(partial(ours, config))}
            rates = interleave(sides, bench.rounds, device=bench.device, wall=True)
            seconds = {side: statistics.median([1 / rate for rate in values]) for side, values in rates.by_side.items()}
            peaks = peaks_alone(config, folder, work.Ours.update_first, Released.update_first)
            yield result_line(name, rates, "s", images=config.batch_size, more=peaks | seconds)


def overhead(bench: Bench) -> Iterator[dict[str, Any]]:
    """What a tracked run of the demo takes beyond its training: on a warm worker, and in a process of its own."""
    config, seeds = work.demo_run(0, bench.device, epochs=3), iter(range(1000))
    work.load(config)
    starting_weights(config)
    store = f"sqlite:///{bench.folder}/mlflow.db"

    def beyond(worker: ProcessPoolExecutor) -> float:
        began = time.perf_counter()
        training = worker.submit(work.train_tracked, dataclasses.replace(config, seed=next(seeds)), store).result()
        return time.perf_counter() - began - training

    def beyond_alone() -> float:
        began = time.perf_counter()
        with work.warm_workers(1) as (fresh,):
            started = time.perf_counter() - began
            return started + beyond(fresh)

    with work.warm_workers(1) as (worker,):
        beyond(worker)
        seconds = [(beyond_alone(), beyond(worker)) for _ in range(bench.rounds)]
    rates = Rates({side: [1 / pair[index] for pair in seconds] for index, side in enumerate(("baseline", "ours"))})
    medians = {side: 1 / rates.median(side) for side in rates.by_side}
    peak = peak_memory(work.train_tracked, dataclasses.replace(config, seed=next(seeds)), store)
    images = len(work.load(config).labels) * config.epochs
    yield result_line("overhead", rates, "s", images=images, more=peak_fields(bench.device, peak, peak) | medians)


def _run_on(workers: Sequence[ProcessPoolExecutor], configs: Sequence[RunConfig]) -> int:
    """Shares runs out to workers; returns how many when all are done."""
    under_way = [workers[index % len(workers)].submit(work.run_thin, each) for index, each in enumerate(configs)]
    for future in under_way:
        future.result()
    return len(configs)


def _peaks_of_workers(count: int, configs: Sequence[RunConfig]) -> tuple[float, float]:
    """Returns the peaks of memory of so many new workers that share runs out, added up."""
    with work.warm_workers(count) as workers:
        _run_on(workers, configs)
        resident, device = zip(*(worker.submit(peaks_so_far).result() for worker in workers), strict=True)
    return sum(resident), sum(device)
