"""How the time and memory of a run grow with images, image size, batch size and seeds: three points of each."""

import dataclasses
import math
import time
from typing import Any, Final

import numpy as np
import torch

from benchmarks import work
from benchmarks.cases import Bench
from benchmarks.measure import in_fresh_process, peaks_so_far
from wbc.compute import keep_memory
from wbc.config import RunConfig

BASE: Final = {"images": 64, "image_size": 160, "batch_size": 16, "seeds": 1}
POINTS: Final = {
    "images": (32, 64, 128),
    "image_size": (96, 160, 224),
    "batch_size": (8, 16, 32),
    "seeds": (1, 2, 4),
}


def measure_growth(bench: Bench) -> list[dict[str, Any]]:
    """Returns for each quantity the seconds and peaks of memory of ResNet50's epoch at three values, and how they grow.

    The exponents are the slopes of straight lines through the logarithms: 1 is growth in proportion.
    """
    found = []
    for quantity, values in POINTS.items():
        points = []
        for value in values:
            at = BASE | {quantity: value}
            config = work.full_run(
                bench.exactly(at["images"]),
                "resnet50",
                bench.device,
                image_size=at["image_size"],
                batch_size=at["batch_size"],
            )
            work.load(config)
            seconds, peak = in_fresh_process(_epochs, config, at["seeds"])
            points.append({"at": value, "seconds": round(seconds, 3), "peak_mb": round(peak)})
        found.append(
            {
                "quantity": quantity,
                "points": points,
                "time_exponent": _slope(points, "seconds"),
                "memory_exponent": _slope(points, "peak_mb"),
            }
        )
    return found


def _epochs(config: RunConfig, seeds: int) -> tuple[float, float]:
    """Returns the seconds of the second epoch of each seed's run, together, and the peak of memory in MB: the GPU's."""
    torch.set_num_threads(1)
    if config.device == "cpu":
        keep_memory()
    seconds = 0.0
    for seed in range(seeds):
        run = work.Ours(dataclasses.replace(config, seed=seed))
        run.train()
        started = time.perf_counter()
        run.train()  # whose loss is read from the device at the end
        seconds += time.perf_counter() - started
    on_gpu = config.device == "cuda"
    return seconds, torch.cuda.max_memory_reserved() / 2**20 if on_gpu else peaks_so_far()[0]


def _slope(points: list[dict[str, Any]], name: str) -> float:
    x, y = (np.array([math.log(point[key]) for point in points]) for key in ("at", name))
    return round(float(np.polyfit(x, y, 1)[0]), 2)
