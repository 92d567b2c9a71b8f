"""The cases: each yields results, a dictionary per line of the table and of the result file."""

import dataclasses
import statistics
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import work
from benchmarks.baseline import Released
from benchmarks.measure import Rates, Side, interleave, peak_memory
from wbc.config import RunConfig
from wbc.models.build import build_model
from wbc.models.catalog import find_model
from wbc.processes import cores
from wbc.sweep.gpu import jobs_per_gpu
from wbc.training.pretrain import starting_weights

GRID_RUNS: Final = 4
GPU_IMAGES: Final = 80 * 128
EPOCH_IMAGES: Final = {
    "resnet50_fc": 64,
    "resnet50_gn": 64,
    "resnet50_frozenbn": 64,
    "convnext_tiny": 32,
    "vgg16": 32,
    "vgg16_bn": 32,
    "vit_b_16": 32,
}
"""Models of the paper whose epochs are measured alike, and the images of an epoch on a CPU."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where and how much is measured."""

    device: str
    rounds: int
    folder: Path
    """JPEGs in folders of the five classes, in a folder of their own for each number of images."""
    limits: Mapping[str, float]

    @property
    def unit(self) -> str:
        """Images per second: of processor time at one thread on a CPU, of wall time on a GPU."""
        return "images/s" if self.device == "cuda" else "images/CPU-s"

    def jpegs(self, count: int) -> Path:
        """Returns the folder with so many images; on a GPU with as many as Raabin has, in whole batches."""
        return self.exactly(GPU_IMAGES if self.device == "cuda" else count)

    def exactly(self, count: int) -> Path:
        """Returns the folder with so many images."""
        folder = self.folder / str(count)
        return folder if folder.exists() else work.write_jpegs(folder, count)

    def loaders(self) -> int:
        """Returns how many processes load the baseline's images: none beside a CPU, which is busy anyway."""
        return min(8, cores()) if self.device == "cuda" else 0

    def walls(self, sides: Mapping[str, Side]) -> Rates | None:
        """Returns the rates on a CPU at all of its threads, on the wall; a GPU's are that already."""
        return interleave(sides, 3, device="cpu", threads=cores(), wall=True) if self.device == "cpu" else None


Case = Callable[[Bench], Iterator[dict[str, Any]]]


def data_path(bench: Bench) -> Iterator[dict[str, Any]]:
    """Images decoded, resized and augmented by the released code; here read from the pixel cache and flipped."""
    config = work.full_run(bench.jpegs(256), "resnet50", bench.device)
    ours, released = work.Ours(config), Released(config, bench.jpegs(256), bench.loaders())
    sides = {
        "baseline": Side(released.load),
        "ours": Side(ours.load, keeps_memory=True),
        "normalised": Side(lambda: ours.load(normalise=True), keeps_memory=True),
    }
    rates = interleave(sides, bench.rounds, device=bench.device)
    yield _result("data_path", rates, bench.unit, moved_gb_per_s=rates.median("ours") * 2 * 3 * 224**2 / 1e9)
    yield _result("data_path_normalised", rates, bench.unit, side="normalised")


def resnet50(bench: Bench) -> Iterator[dict[str, Any]]:
    """A whole epoch, and what each step from the released code to this one gives."""
    folder = bench.jpegs(64)
    bf16 = work.full_run(folder, "resnet50", bench.device)
    fp32 = dataclasses.replace(bf16, precision="fp32")
    plain, unfused = work.Ours(dataclasses.replace(fp32, fast=False)), work.Ours(fp32, fused=False)
    fast, best = work.Ours(fp32), work.Ours(bf16)
    layout = "compiled_channels_last_images_on_gpu" if bench.device == "cuda" else "channels_last"
    sides = {
        "baseline": Side(Released(bf16, folder, bench.loaders()).train),
        "pixel_cache": Side(plain.train),
        layout: Side(unfused.train),
        "fused_adamw": Side(fast.train),
        "allocator": Side(fast.train, keeps_memory=True),
        "bf16": Side(best.train, keeps_memory=True),
        "in_place": Side(best.repeat_step, keeps_memory=True),
    }
    if bench.device == "cuda":
        del sides["allocator"]
    fp32_side = "fused_adamw" if bench.device == "cuda" else "allocator"
    rates = interleave(sides, bench.rounds, device=bench.device)
    fewer = {name: sides[name] for name in ("baseline", fp32_side, "bf16")}
    walls = bench.walls(fewer)
    steps = {name: round(rates.median(name), 3) for name in sides}
    yield {
        **_result("resnet50_epoch", rates, bench.unit, side="bf16", walls=walls, config=bf16, bench=bench),
        "steps": steps,
        "share_of_step_in_place": round(statistics.median(rates.ratios("bf16", "in_place")), 3),
    }
    yield _result("resnet50_fp32_epoch", rates, bench.unit, side=fp32_side, walls=walls, config=fp32, bench=bench)


def last16(bench: Bench) -> Iterator[dict[str, Any]]:
    """A whole epoch, with the cost of the features, which are computed once, spread over a hundred."""
    folder = bench.jpegs(64)
    config = work.full_run(folder, "resnet50_frozenbn_last16", bench.device)
    ours = work.Ours(config)
    sides = {
        "baseline": Side(Released(config, folder, bench.loaders()).train),
        "fill": Side(ours.make_ready, keeps_memory=True),
        "epoch": Side(ours.train, keeps_memory=True),
    }
    rates = _spread(interleave(sides, bench.rounds, device=bench.device))
    walls = bench.walls(sides)
    yield {
        **_result(
            "resnet50_frozenbn_last16_epoch",
            rates,
            bench.unit,
            walls=walls and _spread(walls),
            config=config,
            bench=bench,
        ),
        "epochs_to_fill": round(rates.median("epoch") / rates.median("fill"), 2),
    }


def epoch_of(model: str, images: int) -> Case:
    """Returns the case of a whole epoch of a model."""

    def case(bench: Bench) -> Iterator[dict[str, Any]]:
        folder = bench.jpegs(images)
        config = work.full_run(folder, model, bench.device)
        sides = {
            "baseline": Side(Released(config, folder, bench.loaders()).train),
            "ours": Side(work.Ours(config).train, keeps_memory=True),
        }
        rates = interleave(sides, bench.rounds, device=bench.device)
        walls = bench.walls(sides)
        yield _result(f"{model}_epoch", rates, bench.unit, walls=walls, config=config, bench=bench)

    return case


def evaluate(bench: Bench) -> Iterator[dict[str, Any]]:
    """Scoring of images by ResNet50."""
    folder = bench.jpegs(64)
    config = work.full_run(folder, "resnet50", bench.device)
    ours, released = work.Ours(config), Released(config, folder, bench.loaders())
    sides = {"baseline": Side(released.evaluate), "ours": Side(ours.evaluate, keeps_memory=True)}
    rates = interleave(sides, bench.rounds, device=bench.device)
    walls = bench.walls(sides)
    share = (
        rates.median("ours") * flops_per_image(config, train=False) / 1e9 / bench.limits[f"{config.precision}_gflops"]
    )
    yield _result("resnet50_evaluate", rates, bench.unit, walls=walls, share_of_limit=share)


def grid(bench: Bench) -> Iterator[dict[str, Any]]:
    """Runs of the demo side by side, against one after another; without tracking."""
    configs = [work.thin_run(seed, bench.device, epochs=3) for seed in range(GRID_RUNS)]
    work.load(configs[0])
    starting_weights(configs[0])
    jobs = jobs_per_gpu(configs) if bench.device == "cuda" else min(cores(), GRID_RUNS)
    with work.warm_workers(jobs) as workers:

        def run_on(pools: list[ProcessPoolExecutor]) -> int:
            under_way = [pools[index % len(pools)].submit(work.run_thin, each) for index, each in enumerate(configs)]
            for future in under_way:
                future.result()
            return len(configs)

        sides = {"baseline": Side(lambda: run_on(workers[:1])), "ours": Side(lambda: run_on(workers))}
        rates = interleave(sides, bench.rounds, device=bench.device, wall=True)
    yield {**_result("grid", rates, "runs/s"), "jobs": jobs}


def start(bench: Bench) -> Iterator[dict[str, Any]]:
    """From a warm worker to a run's first update; the released code starts a process for each run."""
    folder = bench.jpegs(64)
    thin, full = work.thin_run(0, bench.device), work.full_run(folder, "resnet50", bench.device)
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
            seconds = {side: [1 / rate for rate in values] for side, values in rates.by_side.items()}
            result = _result(name, rates, "s")
            yield {**result, **{side: round(statistics.median(values), 3) for side, values in seconds.items()}}


CASES: Final[dict[str, Case]] = {
    "data_path": data_path,
    "resnet50_epoch": resnet50,
    "resnet50_frozenbn_last16_epoch": last16,
    **{f"{model}_epoch": epoch_of(model, images) for model, images in EPOCH_IMAGES.items()},
    "resnet50_evaluate": evaluate,
    "grid": grid,
    "start": start,
}


def flops_per_image(config: RunConfig, *, train: bool = True) -> float:
    """Returns the floating-point operations of scoring an image, or of a training step: three times as many.

    PyTorch counts gradients too, but those of grouped convolutions as if they were not grouped.
    """
    model = build_model(config.model, scale=config.scale, image_size=config.image_size, pretrained="none", seed=0)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, 3, config.image_size, config.image_size, dtype=torch.uint8))
    return float(counter.get_total_flops() * (3 if train else 1))


def _spread(rates: Rates) -> Rates:
    """Returns the rates with one more side: epochs, each with its share of what was done once."""
    both = zip(rates.by_side["epoch"], rates.by_side["fill"], strict=True)
    spread = [1 / (1 / epoch + 1 / fill / work.EPOCHS) for epoch, fill in both]
    return Rates({**rates.by_side, "ours": spread})


def _result(
    name: str,
    rates: Rates,
    unit: str,
    *,
    side: str = "ours",
    walls: Rates | None = None,
    config: RunConfig | None = None,
    bench: Bench | None = None,
    **more: float,
) -> dict[str, Any]:
    """Returns a line of results; of a run of `config`, also its peak memory and its share of what the machine can."""
    ratios = rates.ratios(side, "baseline")
    result: dict[str, Any] = {
        "name": name,
        "ratio_median": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "baseline": rates.median("baseline"),
        "ours": rates.median(side),
        "unit": unit,
        "n": len(ratios),
        **more,
    }
    if walls:
        result |= {
            "wall_ratio_median": statistics.median(walls.ratios(side, "baseline")),
            "wall_baseline": walls.median("baseline"),
            "wall_ours": walls.median(side),
            "wall_threads": cores(),
        }
    if config and bench:
        mine = peak_memory(work.train_ours, config)
        theirs = peak_memory(work.train_released, config, Path(config.source.removeprefix("folder:")))
        result |= {"peak_rss_mb": mine[0], "baseline_peak_rss_mb": theirs[0]}
        if find_model(config.model).trainable == "all":  # else not all of the arithmetic is done in each epoch
            limit = bench.limits[f"{config.precision}_gflops"]
            result["share_of_limit"] = rates.median(side) * flops_per_image(config) / 1e9 / limit
        if bench.device == "cuda":
            result |= {"peak_device_mb": mine[1], "baseline_peak_device_mb": theirs[1]}
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in result.items()}
