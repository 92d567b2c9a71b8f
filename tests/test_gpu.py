"""The whole path on a CUDA GPU. Skips where there is none."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch

from tests.test_run import interrupted
from wbc.config import EvaluateConfig, RunConfig
from wbc.evaluation.records import read_scores
from wbc.run import Outcome, score_run, train_and_score
from wbc.sweep.gpu import MOST, jobs_per_gpu, measure
from wbc.tracking.results import read_curve, read_runs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")


def scores(outcome: Outcome, domain: str) -> np.ndarray:
    path = mlflow.artifacts.download_artifacts(f"runs:/{outcome.run_id}/predictions/{domain}.csv")
    return read_scores(Path(path))[1]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_run_on_cuda_learns_and_names_the_gpu(small_config: Callable[..., RunConfig], precision: str) -> None:
    outcome = train_and_score(small_config(device="cuda", epochs=8, precision=precision))
    (run,) = read_runs("demo")[0]
    losses = read_curve(run, "train/loss")
    assert losses[8] < losses[1] / 2
    assert mlflow.artifacts.load_dict(f"runs:/{outcome.run_id}/environment.json")["gpus"] == [
        torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
    ]


@pytest.mark.parametrize("model", ["resnet50", "vgg16", "vit_b_16"])
def test_model_trained_on_cuda_scores_the_same_on_the_cpu(small_config: Callable[..., RunConfig], model: str) -> None:
    outcome = train_and_score(small_config(device="cuda", model=model))
    on_cuda = scores(outcome, "folder_away")
    score_run(EvaluateConfig(run=outcome.run_id), "cpu")
    np.testing.assert_allclose(scores(outcome, "folder_away"), on_cuda, atol=2e-3)  # tf32 convolutions


def test_resumed_run_on_cuda_goes_on_where_it_stopped(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(device="cuda", epochs=4)
    interrupted(config, monkeypatch, KeyboardInterrupt())
    train_and_score(config)
    (run,) = read_runs("demo")[0]
    assert sorted(read_curve(run, "train/loss")) == [1, 2, 3, 4]


@pytest.mark.parametrize("model", ["resnet50", "resnet50_frozenbn_last16", "vit_b_16"])
@pytest.mark.parametrize("recipe", ["paper", "released"])
def test_fast_paths_on_cuda_agree_with_the_plain_one(
    small_config: Callable[..., RunConfig], model: str, recipe: str
) -> None:
    losses = {}
    for fast in (True, False):
        outcome = train_and_score(small_config(device="cuda", model=model, recipe=recipe, fast=fast, lr=1e-6, epochs=8))
        losses[fast] = list(
            read_curve(next(run for run in read_runs("demo")[0] if run.id == outcome.run_id), "train/loss").values()
        )
    assert losses[True] == pytest.approx(losses[False], rel=5e-3)  # tf32 convolutions


def test_compiled_full_model_computes_the_same_and_its_seeds_share_the_code() -> None:
    command = [sys.executable, "-m", "tests.training.compiled", "cuda", "inductor", "full"]
    first, second = map(json.loads, subprocess.check_output(command, text=True).splitlines())
    for step in (first, second):
        assert step["loss"] == pytest.approx(step["expected"], rel=1e-2)  # tf32 convolutions
        assert step["cosine"] > 0.99
    assert first["frames"] > 0
    assert second["frames"] == 0


def test_runs_at_a_time_are_measured_on_the_gpu_whatever_else_the_plan_holds(
    small_config: Callable[..., RunConfig],
) -> None:
    models = ("timm:resnet18", "resnet50", "vgg16")  # the first has no thin variant
    configs = [small_config(device="cuda", model=model) for model in models]
    free, need = measure(configs)
    assert 0 < need < free
    assert 1 <= jobs_per_gpu(configs) <= MOST
