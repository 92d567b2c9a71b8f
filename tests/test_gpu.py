"""How a GPU trains, without tracking: `benchmarks/gpu.sh` runs this where MLflow is missing. Skips without CUDA."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from benchmarks.work import Ours
from wbc import compute
from wbc.compute import GPU_SHARE
from wbc.config import RunConfig
from wbc.data.batches import draw_augmentation
from wbc.models.catalog import PAPER_ROWS
from wbc.sweep.runners.gpu import MOST, jobs_per_gpu, measure
from wbc.training.feed import Feed
from wbc.training.loop import batches

LAST16 = "resnet50_frozenbn_last16"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")


def flat(run: Ours) -> Tensor:
    return torch.cat([parameter.detach().flatten().cpu() for parameter in run.model.parameters()])


@pytest.fixture
def exact() -> Iterator[None]:
    """Convolutions in whole fp32, where PyTorch would take TF32."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("model", PAPER_ROWS)
def test_fast_training_on_cuda_agrees_with_the_plain_one(
    untracked_config: Callable[..., RunConfig], model: str
) -> None:
    losses, moved = [], []
    for fast in (True, False):
        run = Ours(untracked_config(device="cuda", model=model, fast=fast, lr=1e-6, epochs=12))
        before, found = flat(run), []
        for epoch in range(3):
            run.train(epoch)
            found.append(run.loss)
        losses.append(found)
        moved.append(flat(run) - before)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert cosine_similarity(*moved, dim=0).item() > 0.95


@pytest.mark.parametrize("share", [GPU_SHARE, 0.0], ids=["kept in its memory", "fetched ahead"])
@pytest.mark.parametrize("recipe", ["paper", "released"])
def test_batches_on_cuda_are_the_plain_ones_to_the_bit(
    untracked_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, recipe: str, share: float
) -> None:
    monkeypatch.setattr(compute, "GPU_SHARE", share)
    config, found = untracked_config(device="cuda", recipe=recipe), []
    for each in (config, replace(config, device="cpu", fast=False)):
        run = Ours(each)
        drawn = draw_augmentation(0, 0, len(run.images.labels))
        found.append(list(run.feed.load(batches(drawn.order, 8), drawn)))
    for (pixels, labels), (expected, truth) in zip(*found, strict=True):
        assert pixels.is_cuda
        assert torch.equal(pixels.cpu(), expected)
        assert torch.equal(labels.cpu(), truth)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("share", [GPU_SHARE, 0.0], ids=["kept in its memory", "in a file"])
def test_features_on_cuda_are_what_frozen_layers_make_of_each_batch(
    untracked_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(compute, "GPU_SHARE", share)
    config = untracked_config(device="cuda", model=LAST16, epochs=12)
    run = Ours(config)
    drawn = draw_augmentation(0, 0, len(run.images.labels))
    rows = batches(drawn.order, 8)
    kept, plain = run.feed, Feed(run.model, run.images, replace(config, fast=False))
    frozen, _ = run.model.split_frozen() or pytest.fail("nothing is frozen")
    for (features, labels), (pixels, truth) in zip(kept.load(rows, drawn), plain.load(rows, drawn), strict=True):
        with torch.no_grad():
            expected = frozen(pixels)
        assert features.is_cuda
        torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4)
        assert torch.equal(labels, truth)


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        ("resnet50", "fp32"),
        ("resnet50_frozenbn", "bf16"),  # live batch norm with random weights would turn the rounding into chaos
        ("resnet50_gn", "fp32"),
        ("vit_b_16", "fp32"),
        (LAST16, "fp32"),
    ],
)
def test_compiled_full_model_computes_the_same_and_its_seeds_share_the_code(model: str, precision: str) -> None:
    command = [sys.executable, "-m", "tests.training.compiled", "cuda", "inductor", "full", f"{model} {precision}"]
    first, second = map(json.loads, subprocess.check_output(command, text=True).splitlines())
    for step in (first, second):  # bf16 is rounded at other places when it is compiled
        assert step["loss"] == pytest.approx(step["expected"], rel=1e-3 if precision == "fp32" else 5e-2)
        assert step["cosine"] > (0.999 if precision == "fp32" else 0.95)
    assert first["frames"] > 0
    assert second["frames"] == 0


def test_runs_at_a_time_are_measured_on_the_gpu_whatever_else_the_plan_holds(
    untracked_config: Callable[..., RunConfig],
) -> None:
    models = ("timm:resnet18", "resnet50", "vgg16")  # the first has no thin variant
    configs = [untracked_config(device="cuda", model=model) for model in models]
    free, need = measure(configs)
    assert 0 < need < free
    assert 1 <= jobs_per_gpu(configs) <= MOST
