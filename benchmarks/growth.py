"""How the time and memory of a run grow with images, image size, batch size and seeds: three points of each."""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from benchmarks import work
from benchmarks.measure import in_fresh_process, peaks_so_far, repeated
from benchmarks.work import Bench
from wbc.compute import keep_memory
from wbc.config import RunConfig

REPEATS: Final = 3
BASE: Final = {"images": 64, "image_size": 160, "batch_size": 16, "seeds": 1}
POINTS: Final = (
    ("resnet50", "images", (32, 64, 128)),
    ("resnet50", "image_size", (96, 160, 224)),
    ("resnet50", "batch_size", (8, 16, 32)),
    ("resnet50", "seeds", (1, 2, 4)),
    ("resnet50_frozenbn_last16", "images", (32, 64, 128)),
)


def measure_growth(bench: Bench) -> list[dict[str, Any]]:
    """Returns for each quantity the seconds and peaks of memory of an epoch at three values, and how they grow.

    Seconds are of processor time at one thread on a CPU, of wall time on a GPU. Seeds are runs one after another in one
    process, and their seconds the total. Where frozen layers are computed once, the time of that and the size of what
    they give stand beside. The exponents are the slopes of straight lines through the logarithms: 1 is growth in
    proportion.
    """
    rows = []
    for model, quantity, values in POINTS:
        points = []
        for value in values:
            at = BASE | {quantity: value}
            config = work.full_run(
                bench.exactly(at["images"]),
                model,
                bench.device,
                image_size=at["image_size"],
                batch_size=at["batch_size"],
            )
            work.load(config)
            points.append({"at": value, **in_fresh_process(_measure, config, at["seeds"])})
        figures = {"time": "seconds", "memory": "peak_mb", "fill": "fill_seconds", "features": "features_gb"}
        exponents = {
            f"{name}_exponent": slope(points, figure) for name, figure in figures.items() if figure in points[0]
        }
        rows.append({"model": model, "quantity": quantity, "n": REPEATS, "points": points, **exponents})
    return rows


def slope(points: Sequence[dict[str, Any]], name: str) -> float:
    """Returns the power by which a figure of the points grows with what they are at."""
    x, y = (np.array([math.log(point[key]) for point in points]) for key in ("at", name))
    return round(float(np.polyfit(x, y, 1)[0]), 2)


def spread(name: str, by_seed: Sequence[Sequence[float]]) -> dict[str, float]:
    """Returns the median and the extremes over repetitions of what the seeds come to together."""
    totals = [sum(repetition) for repetition in zip(*by_seed, strict=True)]
    named = {name: statistics.median(totals), f"{name}_low": min(totals), f"{name}_high": max(totals)}
    return {key: round(value, 3) for key, value in named.items()}


def _measure(config: RunConfig, seeds: int) -> dict[str, float]:
    """Returns a point's figures, of epochs after the first; the peak of memory is the GPU's where there is one."""
    torch.set_num_threads(1)
    if config.device == "cpu":
        keep_memory()
    epochs, fills, features = [], [], 0.0
    for seed in range(seeds):
        run = work.Ours(dataclasses.replace(config, seed=seed))
        if run.model.split_frozen():
            fills.append(repeated(run.make_ready, REPEATS, config.device))
            features = run.features_gb()
        run.train()
        epochs.append(repeated(run.train, REPEATS, config.device))
    resident, on_gpu = peaks_so_far()
    point = spread("seconds", epochs) | {"peak_mb": round(on_gpu if config.device == "cuda" else resident)}
    return point | spread("fill_seconds", fills) | {"features_gb": round(features, 4)} if fills else point
