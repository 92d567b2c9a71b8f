"""The whole path on a CUDA GPU. Skips where there is none."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch

from tests.conftest import name_of
from tests.test_run import interrupted
from tests.training.test_fast import LAST16, both_ways
from wbc import compute
from wbc.compute import GPU_SHARE, place
from wbc.config import EvaluateConfig, RunConfig
from wbc.data.batches import draw_augmentation
from wbc.evaluation.records import read_scores
from wbc.inputs import load_inputs
from wbc.models.build import build
from wbc.models.catalog import PAPER_ROWS
from wbc.run import train_and_score
from wbc.scoring import Outcome, score_run
from wbc.sweep.runners.gpu import MOST, jobs_per_gpu, measure
from wbc.tracking.read import read_curve, read_runs
from wbc.training.feed import Feed
from wbc.training.loop import batches

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
    on_cuda = scores(outcome, name_of("away"))
    score_run(EvaluateConfig(run=outcome.run_id, device="cpu"))
    np.testing.assert_allclose(scores(outcome, name_of("away")), on_cuda, atol=2e-3)  # tf32 convolutions


def test_resumed_run_on_cuda_goes_on_where_it_stopped(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(device="cuda", epochs=4)
    interrupted(config, monkeypatch, KeyboardInterrupt())
    train_and_score(config)
    (run,) = read_runs("demo")[0]
    assert sorted(read_curve(run, "train/loss")) == [1, 2, 3, 4]


@pytest.fixture
def exact() -> Iterator[None]:
    """Convolutions in whole fp32, where PyTorch would take TF32."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("model", PAPER_ROWS)
def test_fast_training_on_cuda_agrees_with_the_plain_one(small_config: Callable[..., RunConfig], model: str) -> None:
    fast, plain, cosine = both_ways(small_config, device="cuda", model=model)
    assert fast == pytest.approx(plain, rel=1e-3)
    assert cosine > 0.95


@pytest.mark.parametrize("share", [GPU_SHARE, 0.0], ids=["kept in its memory", "fetched ahead"])
@pytest.mark.parametrize("recipe", ["paper", "released"])
def test_batches_on_cuda_are_the_plain_ones_to_the_bit(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, recipe: str, share: float
) -> None:
    monkeypatch.setattr(compute, "GPU_SHARE", share)
    config = small_config(device="cuda", recipe=recipe)
    (train,), found = load_inputs(config).train, []
    for each in (config, replace(config, device="cpu", fast=False)):
        model = build(each, None)
        place(model, each)
        drawn = draw_augmentation(0, 0, len(train.labels))
        found.append(list(Feed(model, train, each).load(batches(drawn.order, 8), drawn)))
    for (pixels, labels), (expected, truth) in zip(*found, strict=True):
        assert pixels.is_cuda
        assert torch.equal(pixels.cpu(), expected)
        assert torch.equal(labels.cpu(), truth)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("share", [GPU_SHARE, 0.0], ids=["kept in its memory", "in a file"])
def test_features_on_cuda_are_what_frozen_layers_make_of_each_batch(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(compute, "GPU_SHARE", share)
    config = small_config(device="cuda", model=LAST16, epochs=12)
    (train,) = load_inputs(config).train
    model = build(config, None)
    place(model, config)
    drawn = draw_augmentation(0, 0, len(train.labels))
    rows = batches(drawn.order, 8)
    kept, plain = Feed(model, train, config), Feed(model, train, replace(config, fast=False))
    frozen, _ = model.split_frozen() or pytest.fail("nothing is frozen")
    for (features, labels), (pixels, truth) in zip(kept.load(rows, drawn), plain.load(rows, drawn), strict=True):
        with torch.no_grad():
            expected = frozen(pixels)
        assert features.is_cuda
        torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4)
        assert torch.equal(labels, truth)


@pytest.mark.parametrize(
    ("model", "precision"),
    [("resnet50", "fp32"), ("resnet50", "bf16"), ("resnet50_gn", "fp32"), ("vit_b_16", "fp32"), (LAST16, "fp32")],
)
def test_compiled_full_model_computes_the_same_and_its_seeds_share_the_code(model: str, precision: str) -> None:
    command = [sys.executable, "-m", "tests.training.compiled", "cuda", "inductor", "full", model, precision]
    first, second = map(json.loads, subprocess.check_output(command, text=True).splitlines())
    for step in (first, second):  # tf32 convolutions; bf16 is rounded at other places when it is compiled
        assert step["loss"] == pytest.approx(step["expected"], rel=1e-2 if precision == "fp32" else 5e-2)
        assert step["cosine"] > (0.99 if precision == "fp32" else 0.8)
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
