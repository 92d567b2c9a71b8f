"""The cases: each yields results, a dictionary per line of the table and of the result file."""

import dataclasses
import statistics
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from benchmarks import work
from benchmarks.baseline import Released
from benchmarks.measure import Rates, Side, interleave
from benchmarks.result import arithmetic_share, peaks_alone, result_line
from benchmarks.whole_runs import grid, overhead, start
from benchmarks.work import Bench, Case
from wbc.arms import PLAIN
from wbc.config import RunConfig
from wbc.methods.catalog import METHODS

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


def data_path(bench: Bench) -> Iterator[dict[str, Any]]:
    """Images decoded, resized and augmented by the released code; here read from the pixel cache and flipped."""
    folder = bench.jpegs(256)
    config = work.full_run(folder, "resnet50", bench.device)
    ours, released = work.Ours(config), Released(config, folder, bench.loaders())
    sides = {
        "baseline": Side(released.load),
        "ours": Side(ours.load, keeps_memory=True),
        "normalised": Side(lambda: ours.load(normalise=True), keeps_memory=True),
    }
    rates = interleave(sides, bench.rounds, device=bench.device)
    # Each value is read as a byte, and written as one or as four.
    for name, side, written in (("data_path", "ours", 1), ("data_path_normalised", "normalised", 4)):
        moved = rates.median(side) * (1 + written) * 3 * config.image_size**2 / 1e9
        yield result_line(
            name,
            rates,
            bench.unit,
            images=len(ours.images.labels),
            side=side,
            more=peaks_alone(config, folder, partial(work.Ours.load, normalise=written > 1), Released.load)
            | {"moved_gb_per_s": moved, "share_of_limit": moved / bench.limits["copy_gb_per_s"]},
        )


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
    yield {
        **_epoch_line("resnet50_epoch", bench, bf16, rates, walls, side="bf16"),
        "steps": {name: round(rates.median(name), 3) for name in sides},
        "share_of_step_in_place": round(statistics.median(rates.ratios("bf16", "in_place")), 3),
    }
    yield _epoch_line("resnet50_fp32_epoch", bench, fp32, rates, walls, side=fp32_side)


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
        **_epoch_line("resnet50_frozenbn_last16_epoch", bench, config, rates, walls and _spread(walls)),
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
        yield _epoch_line(f"{model}_epoch", bench, config, rates, bench.walls(sides))

    return case


def evaluate(bench: Bench) -> Iterator[dict[str, Any]]:
    """Scoring of a thousand images by ResNet50."""
    folder = bench.exactly(1000)
    config = work.full_run(folder, "resnet50", bench.device)
    ours, released = work.Ours(config), Released(config, folder, bench.loaders())
    sides = {"baseline": Side(released.evaluate), "ours": Side(ours.evaluate, keeps_memory=True)}
    rates = interleave(sides, bench.rounds, device=bench.device)
    yield result_line(
        "resnet50_evaluate",
        rates,
        bench.unit,
        images=len(ours.images.labels),
        walls=bench.walls(sides),
        more=peaks_alone(config, folder, work.Ours.evaluate, Released.evaluate)
        | {"share_of_limit": arithmetic_share(config, rates.median("ours"), bench.limits, train=False)},
    )


def methods(bench: Bench) -> Iterator[dict[str, Any]]:
    """Epochs of EfficientNet-Lite0 at 96 pixels under each method, against epochs of this project without one."""
    plain = work.full_run(bench.jpegs(64), "lite0", bench.device, image_size=96, precision="fp32")
    named = {name: dataclasses.replace(plain, method=name) for name, row in METHODS.items() if row.labs == 1}
    sides = {name: Side(work.Ours(config).train, keeps_memory=True) for name, config in named.items()}
    sides["baseline"] = sides.pop(PLAIN)
    rates = interleave(sides, bench.rounds, device=bench.device)
    for name in (name for name in named if name != PLAIN):
        yield result_line(f"method_{name}", rates, bench.unit, images=len(work.load(plain).labels), side=name, more={})


CASES: Final[dict[str, Case]] = {
    "data_path": data_path,
    "resnet50_epoch": resnet50,
    "resnet50_frozenbn_last16_epoch": last16,
    **{f"{model}_epoch": epoch_of(model, images) for model, images in EPOCH_IMAGES.items()},
    "resnet50_evaluate": evaluate,
    "methods": methods,
    "grid": grid,
    "start": start,
    "overhead": overhead,
}


def _epoch_line(
    name: str, bench: Bench, config: RunConfig, rates: Rates, walls: Rates | None, *, side: str = "ours"
) -> dict[str, Any]:
    return result_line(
        name,
        rates,
        bench.unit,
        images=len(work.load(config).labels),
        side=side,
        walls=walls,
        more=peaks_alone(config, work.folder_of(config), work.Ours.train, Released.train)
        | {"share_of_limit": arithmetic_share(config, rates.median(side), bench.limits)},
    )


def _spread(rates: Rates) -> Rates:
    """Returns the rates with one more side: epochs, each with its share of what was done once."""
    both = zip(rates.by_side["epoch"], rates.by_side["fill"], strict=True)
    spread = [1 / (1 / epoch + 1 / fill / work.EPOCHS) for epoch, fill in both]
    return Rates({**rates.by_side, "ours": spread})
