"""A line of results: rates and their ratios, peaks of memory, and the share of what the machine can do."""

import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import work
from benchmarks.baseline import Released
from benchmarks.measure import Rates, peak_memory
from wbc.config import RunConfig
from wbc.models.build import build_model
from wbc.processes import cores
from wbc.training.features import FLIPS


def result_line(
    name: str,
    rates: Rates,
    unit: str,
    *,
    images: int,
    side: str = "ours",
    walls: Rates | None = None,
    more: Mapping[str, float],
) -> dict[str, Any]:
    """Returns a line of results, with `more` in it; `images` go through in what is measured at a time."""
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
        "images": images,
    }
    if walls:
        wall_ratios = walls.ratios(side, "baseline")
        result |= {
            "wall_ratio_median": statistics.median(wall_ratios),
            "wall_baseline": walls.median("baseline"),
            "wall_ours": walls.median(side),
            "wall_threads": cores(),
            "wall_n": len(wall_ratios),
        }
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in (result | dict(more)).items()}


def peaks_alone(
    config: RunConfig, folder: Path, ours: Callable[[work.Ours], int], baseline: Callable[[Released], int]
) -> dict[str, float]:
    """Returns the peaks of memory of two processes that each do one side's work once."""
    return peak_fields(
        config.device,
        peak_memory(work.by_ours, ours, config),
        peak_memory(work.by_released, baseline, config, folder),
    )


def peak_fields(device: str, ours: tuple[float, float], baseline: tuple[float, float]) -> dict[str, float]:
    """Returns peaks of resident memory and, on a GPU, of its memory as a result holds them."""
    kinds = ("peak_rss_mb", "peak_device_mb")[: 2 if device == "cuda" else 1]
    mine = dict(zip(kinds, ours, strict=False))
    return mine | {f"baseline_{kind}": value for kind, value in zip(kinds, baseline, strict=False)}


def arithmetic_share(config: RunConfig, rate: float, limits: Mapping[str, float], *, train: bool = True) -> float:
    """Returns what share of the machine's arithmetic a run of so many images per second does."""
    return rate * flops_per_image(config, train=train) / 1e9 / limits[f"{config.precision}_gflops"]


def flops_per_image(config: RunConfig, *, train: bool = True) -> float:
    """Returns the floating-point operations of scoring an image, or of training on it in an epoch.

    A step takes three times what the trained layers take forward. (PyTorch counts gradients too, but those of grouped
    convolutions as if they were not grouped.) Frozen layers before them go through each flip once in all.
    """
    model = build_model(config.model, scale=config.scale, image_size=config.image_size, pretrained="none", seed=0)
    image = torch.zeros(1, 3, config.image_size, config.image_size, dtype=torch.uint8)
    if not train:
        return _count(model, image)[0]
    frozen, trained = model.split_frozen() or (lambda images: images, model)
    once, features = _count(frozen, image)
    return once * len(FLIPS) / work.EPOCHS + 3 * _count(trained, features)[0]


def _count(function: Callable[[Tensor], Tensor], values: Tensor) -> tuple[float, Tensor]:
    """Returns the operations of a function on values, and what it returns."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        returned = function(values)
    return float(counter.get_total_flops()), returned
