"""Tracked runs on a CUDA GPU. Skips where there is none."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch

from tests.test_run import interrupted
from wbc.config import EvaluateConfig, RunConfig
from wbc.evaluation.records import read_scores
from wbc.outcome import Outcome
from wbc.run import train_and_score
from wbc.scoring import score_run
from wbc.tracking.read import read_curve, read_runs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")


def scores(outcome: Outcome, domain: str) -> np.ndarray:
    path = mlflow.artifacts.download_artifacts(f"runs:/{outcome.run_id}/predictions/{domain}.csv")
    return read_scores(Path(path))[2]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_run_on_cuda_learns_and_names_the_gpu(small_config: Callable[..., RunConfig], precision: str) -> None:
    outcome = train_and_score(small_config(device="cuda", epochs=8, precision=precision))
    (run,) = read_runs("demo")
    losses = read_curve(run, "train/loss")
    assert losses[8] < losses[1] / 2
    assert mlflow.artifacts.load_dict(f"runs:/{outcome.run_id}/environment.json")["gpus"] == [
        torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
    ]


@pytest.mark.parametrize("model", ["resnet50", "vgg16", "vit_b_16"])
def test_model_trained_on_cuda_scores_the_same_on_the_cpu(small_config: Callable[..., RunConfig], model: str) -> None:
    outcome = train_and_score(small_config(device="cuda", model=model))
    on_cuda = scores(outcome, "folder_away")
    score_run(EvaluateConfig(run=outcome.run_id, device="cpu"))
    np.testing.assert_allclose(scores(outcome, "folder_away"), on_cuda, atol=2e-3)  # tf32 convolutions


def test_resumed_run_on_cuda_goes_on_where_it_stopped(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(device="cuda", epochs=4)
    interrupted(config, monkeypatch, KeyboardInterrupt())
    train_and_score(config)
    (run,) = read_runs("demo")
    assert sorted(read_curve(run, "train/loss")) == [1, 2, 3, 4]
