"""What is measured on a GPU in minutes: each case yields lines of the result file. `work` calls what trains."""

import dataclasses
import gc
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch

from benchmarks import gpu_workers, work
from benchmarks.baseline import Released
from benchmarks.gpu_workers import compile_s, seconds
from benchmarks.measure import Rates, Side, interleave
from benchmarks.result import flops_per_image
from benchmarks.work import Bench
from wbc.config import RunConfig

MODELS: Final = ("resnet50", "resnet50_frozenbn_last16", "vit_b_16", "convnext_tiny", "vgg16", "resnet50_gn")
"""Those measured in full, the most telling first."""
ALIKE: Final = {"resnet50_fc": "resnet50", "resnet50_frozenbn": "resnet50", "vgg16_bn": "vgg16"}
"""The paper's other models, and whose rates they are taken to have until they are measured."""
IMAGES: Final = 40 * 128
"""Of an epoch, in whole batches."""
SCORED: Final = 4339
"""Images of Raabin's test set A: RaabinWBC, Table 1."""
EPOCHS_AT_ONCE: Final = 3
"""That each run trains while several share the GPU."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """Where is measured, how much, and until when."""

    bench: Bench
    small: bool
    """Thin models on few images, to try the command."""
    models: Sequence[str] = MODELS
    """Those whose epochs are measured."""
    until: float = math.inf
    """The value of `time.perf_counter` after which a case begins no further round."""

    def run(self, model: str, precision: str, images: int = IMAGES, **settings: Any) -> RunConfig:
        """Returns a run of a model at the paper's size; or, where all is small, a thin one on as many images."""
        if self.small:
            thin = {"scale": "tiny", "image_size": 64, "batch_size": 8}
            folder = self.bench.exactly(min(images, 16))
            return work.full_run(folder, model, self.bench.device, precision=precision, **thin, **settings)
        return work.full_run(
            self.bench.exactly(images), model, self.bench.device, precision=precision, batch_size=128, **settings
        )

    def released(self, config: RunConfig) -> Released:
        """Returns the released way of a run."""
        return Released(config, work.folder_of(config), self.bench.loaders())

    def measure(self, sides: dict[str, Callable[[], int]]) -> Rates:
        """Returns the rates on the wall of sides that have worked before."""
        threads = torch.get_num_threads()
        return interleave(
            {name: Side(side) for name, side in sides.items()},
            self.bench.rounds,
            device=self.bench.device,
            threads=threads,
            wall=True,
            warm=True,
            until=self.until,
        )


Case = Callable[[Gpu], Iterator[dict[str, Any]]]


def epoch(gpu: Gpu, *, model: str) -> Iterator[dict[str, Any]]:
    """A whole epoch the released way, in fp32 and in bf16, and as many steps on one batch that is in place."""
    runs, costs = {}, {}
    for precision in ("fp32", "bf16"):
        runs[precision], costs[precision] = started(gpu.run(model, precision))
    released, costs["released"] = started_released(gpu, gpu.run(model, "fp32"))
    rates = gpu.measure(
        {
            "released": released.train,
            "fp32": runs["fp32"].train,
            "bf16": runs["bf16"].train,
            "in_place": runs["bf16"].repeat_step,
        }
    )
    trained = Rates(
        rates.by_side | {each: _spread(rates.by_side[each], costs[each]["ready_s"], runs[each]) for each in runs}
    )
    gflops = flops_per_image(runs["bf16"].config) / 1e9
    yield {
        "name": model,
        **told(trained, "released"),
        "bf16_share_of_step_in_place": round(statistics.median(rates.ratios("bf16", "in_place")), 3),
        "share_of_limit": {
            each: round(trained.median(each) * gflops / gpu.bench.limits[f"{each}_gflops"], 3) for each in runs
        },
        "images": runs["bf16"].feed.images,
        "costs": costs,
    }


def exact(gpu: Gpu, *, model: str) -> Iterator[dict[str, Any]]:
    """A whole epoch in fp32 without TF32, which the released code's convolutions take where the GPU has it."""
    config = gpu.run(model, "fp32")
    run, _ = started(config)
    released, _ = started_released(gpu, config)
    for side in (run, released):
        _without_tf32(side.update_first)
    rates = gpu.measure({"released": partial(_without_tf32, released.train), "fp32": partial(_without_tf32, run.train)})
    yield {"name": f"{model}_without_tf32", **told(rates, "released"), "images": run.feed.images}


def bf16(gpu: Gpu, *, model: str) -> Iterator[dict[str, Any]]:
    """A whole epoch of one of the paper's other models, in bf16 and the released way."""
    run, cost = started(gpu.run(model, "bf16"))
    released, _ = started_released(gpu, gpu.run(model, "fp32"))
    rates = gpu.measure({"released": released.train, "bf16": run.train})
    yield {"name": model, **told(rates, "released"), "images": run.feed.images, "costs": {"bf16": cost}}


def scoring(gpu: Gpu) -> Iterator[dict[str, Any]]:
    """Scoring of as many images as Raabin's test set A has, by resnet50."""
    runs = {each: work.Ours(gpu.run("resnet50", each, SCORED)) for each in ("fp32", "bf16")}
    released = gpu.released(gpu.run("resnet50", "fp32", SCORED))
    sides = {"released": released.evaluate, **{each: run.evaluate for each, run in runs.items()}}
    first = {name: round(seconds(side), 2) for name, side in sides.items()}
    rates = gpu.measure(sides)
    yield {"name": "scoring", **told(rates, "released"), "images": len(runs["bf16"].images.labels), "first_s": first}


def at_once(gpu: Gpu) -> Iterator[dict[str, Any]]:
    """Several runs of resnet50 on one GPU, each in a process, against one after another."""
    counts = (1, 2) if gpu.small else (1, 2, 3, 4)
    with work.warm_workers(max(counts)) as workers:
        config = gpu.run("resnet50", "bf16")
        ready = [
            worker.submit(gpu_workers.stand_ready, dataclasses.replace(config, seed=seed), len(workers))
            for seed, worker in enumerate(workers)
        ]
        starts = [round(each.result(), 2) for each in ready]
        rates = gpu.measure({str(count): partial(_train_at_once, workers[:count]) for count in counts})
    yield {"name": "at_once", **told(rates, "1"), "first_update_s": starts}


def compile_alone(gpu: Gpu) -> Iterator[dict[str, Any]]:
    """The time from nothing to compiled code of resnet50 in bf16, with nothing beside it."""
    config = gpu.run("resnet50", "bf16", images=2 * 128)
    with work.warm_workers(1) as (worker,):
        found = worker.submit(gpu_workers.compile_anew, config).result()
    yield {"name": "compile_alone", "resnet50_bf16_s": round(found, 1)}


def started(config: RunConfig) -> tuple[work.Ours, dict[str, float]]:
    """Returns a run that has made its first updates, and what they took.

    `ready_s` is what is done once: images to the GPU, features of frozen layers. `compile_s` is the first update beyond
    the second. `peak_mb` is what PyTorch allocated on the GPU for this run.
    """
    before = reset_peak()
    run = work.Ours(config)
    costs = {"ready_s": seconds(run.make_ready), "compile_s": compile_s(run), "peak_mb": peak_mb() - before}
    return run, {name: round(value, 2) for name, value in costs.items()}


def started_released(gpu: Gpu, config: RunConfig) -> tuple[Released, dict[str, float]]:
    """Returns the released way of a run after its first updates, and the peak of its memory on the GPU."""
    before = reset_peak()
    released = gpu.released(config)
    released.update_first()
    return released, {"peak_mb": round(peak_mb() - before, 2)}


def told(rates: Rates, baseline: str) -> dict[str, Any]:
    """Returns medians and extremes of the rates, and of their ratios to the baseline in the same round."""
    others = [side for side in rates.by_side if side != baseline]
    return {
        "n": len(rates.by_side[baseline]),
        "images_per_s": {side: _three(values) for side, values in rates.by_side.items()},
        f"ratio_to_{baseline}": {side: _three(rates.ratios(side, baseline)) for side in others},
    }


def reset_peak() -> float:
    """Gives memory back, begins a new peak of it, and returns what is allocated on the GPU in MB."""
    gc.collect()
    if not torch.cuda.is_available():
        return 0.0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated() / 2**20


def peak_mb() -> float:
    """Returns the most that was allocated on the GPU at once, in MB."""
    return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0


def _spread(rates: Sequence[float], ready_s: float, run: work.Ours) -> list[float]:
    """Returns the rates of epochs that each bear their share of what is done once."""
    return [1 / (1 / rate + ready_s / work.EPOCHS / run.feed.images) for rate in rates]


def _without_tf32(action: Callable[[], int]) -> int:
    """Does it with convolutions in whole fp32; PyTorch's matrix products are so unless asked otherwise."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        return action()


def _train_at_once(workers: Sequence[ProcessPoolExecutor]) -> int:
    under_way = [worker.submit(gpu_workers.train_ready, EPOCHS_AT_ONCE) for worker in workers]
    return sum(each.result() for each in under_way)


def _three(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in (statistics.median(values), min(values), max(values))]
