"""Whether bf16 costs accuracy: the demo's runs in both precisions, over the same seeds, without tracking."""

import dataclasses
import math
from typing import Any, Final

import numpy as np
import torch
from scipy import stats

from benchmarks import work
from wbc.config import RunConfig
from wbc.data.images import load_images
from wbc.data.splits import expand_targets
from wbc.evaluation.predict import predict_pixels
from wbc.models.catalog import PAPER_ROWS
from wbc.processes import cores
from wbc.recipes import RECIPES
from wbc.report.statistics import seed_interval
from wbc.surroundings import data_dir
from wbc.training.pretrain import starting_weights

DOMAINS: Final = ("smears_source:test", "smears_target")
PRECISIONS: Final = ("fp32", "bf16")
MODELS: Final = {"tiny": tuple(PAPER_ROWS), "full": ("resnet50",)}
"""By scale: a full model takes a hundred times the arithmetic of a thin one."""


def compare_precisions(scale: str, seeds: int, device: str) -> list[dict[str, Any]]:
    """Returns for each model and domain the accuracy in fp32, with its 95 % interval over seeds, and in bf16."""
    models, first = MODELS[scale], _run(0, device, scale)
    work.load(first)
    for reference in expand_targets(",".join(DOMAINS)):
        load_images(reference, RECIPES[first.recipe].geometry(first.image_size), data_dir=data_dir())
    with work.warm_workers(cores()) as workers:
        for model in models:
            workers[0].submit(starting_weights, dataclasses.replace(first, model=model)).result()
        keys = [(model, seed, precision) for model in models for seed in range(seeds) for precision in PRECISIONS]
        futures = [
            workers[number % len(workers)].submit(_accuracies, *key, scale, device) for number, key in enumerate(keys)
        ]
        found = {key: future.result() for key, future in zip(keys, futures, strict=True)}
    rows = []
    for model in models:
        for number, domain in enumerate(DOMAINS):
            fp32, bf16 = (
                seed_interval([found[model, seed, precision][number] for seed in range(seeds)])
                for precision in PRECISIONS
            )
            changes = seed_interval(
                [found[model, seed, "bf16"][number] - found[model, seed, "fp32"][number] for seed in range(seeds)]
            )
            rows.append(
                {
                    "model": model,
                    "scale": scale,
                    "domain": domain,
                    "n": seeds,
                    "fp32": fp32.percent(),
                    "bf16": bf16.percent(),
                    "difference": changes.percent(),
                    "within": abs(bf16.mean - fp32.mean) <= (fp32.half_width or 0.0),
                    "expected_outside": round(expected_outside(seeds), 3),
                }
            )
    return rows


def expected_outside(n: int) -> float:
    """Returns how often a mean over n seeds falls outside the 95 % interval of that over n others of the same kind.

    The difference of two such means has twice the variance of one, so that fewer standard errors make up the interval.
    """
    return float(2 * stats.t.sf(stats.t.ppf(0.975, n - 1) / math.sqrt(2), n - 1))


def _run(seed: int, device: str, scale: str, **settings: Any) -> RunConfig:
    """Returns a run of the demo; a full model starts from random weights, since others would take a download."""
    pretrained = "none" if scale == "full" else None
    return work.demo_run(seed, device, scale=scale, pretrained=pretrained, **settings)


def _accuracies(model: str, seed: int, precision: str, scale: str, device: str) -> list[float]:
    torch.set_num_threads(1)
    config = dataclasses.replace(_run(seed, device, scale, precision=precision), model=model)
    run = work.Ours(config)
    for epoch in range(config.epochs):
        run.train(epoch)
    accuracies = []
    for reference in expand_targets(",".join(DOMAINS)):
        images = load_images(reference, RECIPES[config.recipe].geometry(config.image_size), data_dir=data_dir())
        scores, _ = predict_pixels(run.model, images.pixels, config, device=device)
        accuracies.append(float(np.mean(scores.argmax(1) == images.labels)))
    return accuracies
