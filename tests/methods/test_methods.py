"""The rows of METHODS that act elsewhere than in the image, by hand, and all of them in training."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from tests.methods.seams import labelled
from tests.training.test_golden import golden_config, golden_images, training_losses
from wbc.config import RunConfig
from wbc.data.cache import PixelCache
from wbc.errors import ConfigError
from wbc.methods.average import WeightAverage, ema, swa
from wbc.methods.catalog import METHODS, Method, find_method
from wbc.methods.losses import class_shares, l2_sp, logit_adjustment
from wbc.methods.sampling import balanced
from wbc.methods.stages import head_first
from wbc.models.build import build
from wbc.training.feed import Feed
from wbc.training.loop import build_optimiser, train_epoch

LABELS: Final = np.array([0] * 80 + [1] * 15 + [3] * 5)


def test_balanced_visits_each_class_equally_and_each_of_its_images() -> None:
    visits = balanced(LABELS, np.zeros_like(LABELS), 0, 0)
    assert len(visits) == 100
    assert sorted(np.bincount(LABELS[visits], minlength=5).tolist()) == [0, 0, 33, 33, 34]
    rare = np.bincount(visits[LABELS[visits] == 3])[95:]
    assert rare.min() >= 6
    assert rare.max() <= 7
    assert np.bincount(visits[LABELS[visits] == 0]).max() == 1
    assert balanced(LABELS, np.zeros_like(LABELS), 0, 1).tolist() != visits.tolist()
    assert balanced(LABELS, np.zeros_like(LABELS), 0, 0).tolist() == visits.tolist()


def test_logit_adjustment_is_cross_entropy_of_scores_and_log_shares() -> None:
    train = dataclasses.replace(golden_images("paper"), **labelled(LABELS))
    scores, target = [1.0, 0.5, 0.0, -1.0, 0.2], 1
    shares = [80 / 102, 15 / 102, 1 / 102, 5 / 102, 1 / 102]
    assert class_shares(LABELS).tolist() == pytest.approx(shares)
    weighed = [math.exp(score) * share for score, share in zip(scores, shares, strict=True)]
    expected = -math.log(weighed[target] / sum(weighed))
    found = logit_adjustment(None, train).compute(torch.tensor([scores]), torch.tensor([target]), None, None)  # type: ignore[arg-type]
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_l2_sp_is_cross_entropy_and_the_way_from_the_start() -> None:
    model = build(golden_config("resnet50_frozenbn_last16", "paper"), None)
    loss = l2_sp(model, golden_images("paper"))
    scores, targets = torch.zeros(2, 5), torch.tensor([0, 1])
    size = sum(float(value.detach().square().sum()) for value in model.head.parameters())
    near = float(loss.compute(scores, targets, None, None).detach())  # type: ignore[arg-type]
    assert near == pytest.approx(math.log(5) + 0.005 * size, rel=1e-5)
    trained = [value for value in model.backbone.parameters() if value.requires_grad]
    held = [value for value in model.backbone.parameters() if not value.requires_grad]
    with torch.no_grad():
        trained[0].add_(0.1)
        held[0].add_(5.0)
    far = float(loss.compute(scores, targets, None, None).detach())  # type: ignore[arg-type]
    assert far - near == pytest.approx(0.05 * 0.01 * trained[0].numel(), rel=1e-3)


def test_head_trains_alone_for_the_first_half() -> None:
    assert [head_first("backbone.conv1.weight", epoch, 5) for epoch in range(5)] == [False, False, True, True, True]
    assert all(head_first("head.0.weight", epoch, 5) for epoch in range(5))
    assert head_first("backbone.conv1.weight", 0, 1)


def test_ema_is_torchs_with_its_decay() -> None:
    _compare_averages(ema, lambda own, new, seen: get_ema_avg_fn(1 - ema(int(seen), 12))(own, new, seen), first=0)
    assert ema(5000, 10_000) == pytest.approx(9 / 5010)
    assert ema(10**6, 10**6) == 0.001


def test_swa_is_torchs_plain_average_of_the_last_quarter() -> None:
    _compare_averages(swa, None, first=9)


def _compare_averages(share: Callable[[int, int], float], average: Any, *, first: int) -> None:
    """Compares 12 steps of ours with torch's average, which begins at a step."""
    model, steps = torch.nn.Linear(3, 2), 12
    ours, theirs = WeightAverage(model, share), AveragedModel(model, avg_fn=average)
    for step in range(steps):
        with torch.no_grad():
            model.weight.add_(torch.arange(3.0) * (step + 1))
        ours.update(model, step, steps)
        if step >= first:
            theirs.update_parameters(model)
    torch.testing.assert_close(ours.state["weight"], theirs.module.weight)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ema+swa", "ema and swa both act on the average: choose one"),
        ("logit_adjustment+mixstyle", "both act on the loss"),
        ("balanced+logit_adjustment", "both correct for the class shares"),
        ("hed_jitter+hed_jitter", "hed_jitter and hed_jitter both act on the augmentation"),
        ("balanced+hed_jitter", "write hed_jitter+balanced"),
        ("erm+ema", "erm means no method: leave it out"),
    ],
)
def test_methods_that_do_not_combine_say_why(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason.replace("+", r"\+")):
        find_method(name)


def test_mixstyle_of_a_network_without_maps_of_features_is_refused() -> None:
    with pytest.raises(ConfigError, match="VisionTransformer has no stages with maps of features"):
        training_losses("vit_b_16+mixstyle", "paper")


@pytest.mark.parametrize("model", ["vgg16", "squeezenet", "convnext_tiny", "lite0_frozenbn_last16"])
def test_mixstyle_acts_in_training_and_not_in_scoring(model: str) -> None:
    config = golden_config(f"{model}+mixstyle", "paper")
    network, images = build(config, None), golden_images("paper")
    pixels = torch.from_numpy(np.array(images.pixels.square)).permute(0, 3, 1, 2)
    plain = network.eval()(pixels)
    feed = Feed(network, images, config)
    assert feed._features is None
    assert torch.equal(network.eval()(pixels), plain)
    with torch.random.fork_rng():
        for module in network.modules():
            if module._forward_hooks:
                module.training = True
        torch.manual_seed(0)
        assert not torch.equal(network(pixels), plain)


@pytest.mark.parametrize("method", ["trivial_augment", "mixstyle", "balanced+ema", "by_lab+coral", "v_rex"])
def test_method_that_is_off_gives_the_bits_of_plain_training(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "off", Method(title="nothing", access="source"))
    plain = training_losses("resnet50_gn", "paper")
    state = torch.random.get_rng_state()
    assert training_losses(f"resnet50_gn+{method}", "paper") != plain
    assert torch.equal(torch.random.get_rng_state(), state)
    assert training_losses("resnet50_gn+off", "paper") == plain


@pytest.mark.parametrize("method", [name for name in METHODS if name != "erm"])
def test_loss_stays_finite_on_white_black_and_constant_images(
    untracked_config: Callable[..., RunConfig], method: str
) -> None:
    config = dataclasses.replace(untracked_config(model="resnet50_gn", epochs=2), method=method)
    images = golden_images("paper")
    pixels = np.repeat(np.array([255, 0, 120], np.uint8)[np.arange(22) % 3], 32 * 32 * 3)
    images = dataclasses.replace(images, pixels=PixelCache(pixels, np.full((22, 2), 32)))
    model = build(config, None)
    feed, optimiser = Feed(model, images, config), build_optimiser(model, config)
    assert all(math.isfinite(train_epoch(model, optimiser, feed, epoch, config).loss) for epoch in range(2))
