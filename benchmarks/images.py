"""How preparing and training grow with images: processor time and peak of memory, each in a process of its own.

    make bench ARGS="--cases images"

Images are JPEGs of 48 × 48 drawn pixels, so that the number of images counts and not their size. Preparing is what
`make data` does: it reads and checks each file, then decodes it into the pixel cache. Training is an epoch of a thin
resnet50 at 32 pixels, from the cache, with nothing measured before it but the loading of its images.
"""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks import work
from benchmarks.measure import in_fresh_process, peaks_so_far
from benchmarks.work import Bench
from wbc.config import RunConfig, TrainConfig
from wbc.studies import resolve

SIZES: Final = (10_000, 30_000, 100_000)
SIDE_PX: Final = 48
_SETTINGS: Final = {"image_size": 32, "scale": "tiny", "pretrained": "none", "precision": "fp32", "batch_size": 128}


def measure_images(bench: Bench, sizes: Sequence[int] = SIZES) -> list[dict[str, Any]]:
    """Returns for preparing and for an epoch the seconds of processor time and the peaks of memory at each size.

    On a GPU the seconds of an epoch are those of the process that feeds it.
    """
    points: dict[str, list[dict[str, float]]] = {"prepare": [], "train": []}
    for size in sizes:
        folder = work.write_jpegs(bench.folder / f"small-{size}", size, SIDE_PX)
        config = _run(folder, bench.device)
        for name, step in (("prepare", _prepare), ("train", _train)):
            seconds, peak_mb = in_fresh_process(step, config)
            points[name].append({"at": size, "seconds": round(seconds, 2), "peak_mb": round(peak_mb)})
        shutil.rmtree(folder)
    return [{"step": name, "n": 1, "points": each} for name, each in points.items()]


def _run(folder: Path, device: str) -> RunConfig:
    splits = {"source": f"folder:{folder}", "targets": f"folder:{folder}"}
    return resolve(TrainConfig(model="resnet50", device=device, **(splits | _SETTINGS)))  # type: ignore[arg-type]


def _prepare(config: RunConfig) -> tuple[float, float]:
    started = time.process_time()
    work.load(config)
    return time.process_time() - started, peaks_so_far()[0]


def _train(config: RunConfig) -> tuple[float, float]:
    torch.set_num_threads(1)
    run = work.Ours(config)
    started = time.process_time()
    run.train()
    return time.process_time() - started, peaks_so_far()[0]
