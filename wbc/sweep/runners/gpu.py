"""The GPUs that there are, and how many runs fit on one at once: measured, by a few steps of each model of the plan."""

import logging
import math
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final

from wbc.config import RunConfig
from wbc.processes import cores, shared_memory_errors
from wbc.surroundings import named_gpus

MOST: Final = 2
"""Runs on one GPU: one fills it in an epoch, a second fills its pauses, and more only share (docs/speed.md)."""
CORES: Final = 2
"""CPU cores that a run on a GPU needs beside it."""
HEADROOM: Final = 0.6
"""Of the free memory, what models may take; images and features of frozen layers take the rest where they fit."""
CONTEXT_BYTES: Final = 700 * 2**20
"""What CUDA itself takes in each process: about 0.5 GB, more on newer GPUs."""

_log = logging.getLogger(__name__)


def visible_gpus() -> list[str]:
    """Returns the GPUs that this process may use, by the number or id that CUDA and Docker know them by."""
    import torch

    return named_gpus() or [str(index) for index in range(torch.cuda.device_count())]


def jobs_per_gpu(configs: Sequence[RunConfig]) -> int:
    """Returns how many runs of the plan fit at once on a GPU, at most `MOST`, all GPUs taken to be like the first.

    That is free memory divided by the need of the largest model. The need is what PyTorch reserves at most during two
    training steps on random images, and the CUDA context.
    """
    import torch

    gpus = len(visible_gpus())
    models = list({config.model: config for config in configs}.values())
    context = multiprocessing.get_context("spawn")  # another process, so that this one keeps no context on the GPU
    with shared_memory_errors():
        alone = ProcessPoolExecutor(1, mp_context=context)
    try:
        with alone as pool:
            free, need = pool.submit(measure, models).result()
    except (torch.OutOfMemoryError, BrokenProcessPool):
        return 1
    fitting = int(HEADROOM * free / need) if need else 1
    jobs = max(1, min(fitting, MOST, cores() // (CORES * gpus), math.ceil(len(configs) / gpus)))
    _log.info(
        "%d GPUs: %.1f GB free, a run needs %.1f GB at most: %d at a time on each",
        *(gpus, free / 1e9, need / 1e9, jobs),
    )
    return jobs


def measure(configs: Sequence[RunConfig]) -> tuple[int, int]:
    """Returns the first GPU's free memory and the most that a run of one of these models needs, in bytes.

    A model that cannot be built or trained needs none: its run tells why.

    Raises:
        torch.OutOfMemoryError: one does not fit.
    """
    import torch

    free = torch.cuda.mem_get_info()[0] + CONTEXT_BYTES  # this process's own context goes with it
    most = 0
    for config in configs:
        try:
            most = max(most, _need(config))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            _log.debug("%s is not measured: %s", config.model, error)
    return free, most


def _need(config: RunConfig) -> int:
    import torch

    from wbc.compute import autocast, place
    from wbc.models.build import build
    from wbc.training.loop import build_optimiser

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    model = build(config, None)
    place(model, config)
    optimiser = build_optimiser(model, config)
    images = torch.zeros(config.batch_size, 3, config.image_size, config.image_size, dtype=torch.uint8, device="cuda")
    model.train()
    for _ in range(2):
        with autocast(config):
            loss = model(images).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # A copy of weights and optimiser is kept between checkpoints: three tensors for each that is trained, at most.
    copied = 3 * sum(parameter.nbytes for parameter in model.parameters())
    return torch.cuda.max_memory_reserved() + copied + CONTEXT_BYTES
