"""A row of METHODS and a function are a method: each seam acts, in training and after an interruption."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch

from tests.forks import run_anew
from tests.training.test_golden import golden_images
from wbc.config import RunConfig
from wbc.data.batches import draw_augmentation
from wbc.errors import ConfigError
from wbc.methods.average import WeightAverage
from wbc.methods.catalog import METHODS, SEAMS, Method, find_method
from wbc.models.build import Classifier, build
from wbc.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from wbc.training.feed import Feed
from wbc.training.fit import fit
from wbc.training.loop import EpochResult, build_optimiser, train_epoch

ROOT: Final = Path(__file__).parents[2]
LAST16: Final = "resnet50_frozenbn_last16"
ADDED: Final = {
    "balanced": "sampler",
    "brightness": "augmentation",
    "turned": "augmentation",
    "halved": "mixing",
    "adjusted": "loss",
    "short": "loss",
    "slow": "average",
    "head_first": "trained",
}
ROWS: Final = (
    "trivial_augment",
    "mixstyle",
    "l2_sp",
    "by_lab+group_dro",
    "swa",
    "random_view+lab_jitter+fourier+mixup+lp_ft+ema",
)
"""Rows of METHODS, of each way to draw and each state that is kept."""


@pytest.fixture(autouse=True)
def _added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds a row for each function of `tests.methods.seams`."""
    for name, seam in ADDED.items():
        row = Method(title=name, access="source", **{seam: f"tests.methods.seams:{name}"})  # type: ignore[arg-type]
        monkeypatch.setitem(METHODS, name, row)


class Memory:
    """Keeps what training reports, and its checkpoints in a file, as a store does."""

    def __init__(self, path: Path) -> None:
        self.losses: list[float] = []
        self._path = path

    def log_epoch(self, epoch: int, result: EpochResult) -> None:
        self.losses.append(result.loss)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        write_checkpoint(checkpoint, self._path)

    def rescue_checkpoint(self, checkpoint: Checkpoint) -> None:
        write_checkpoint(checkpoint, self._path)

    def load_checkpoint(self) -> Checkpoint | None:
        return read_checkpoint(self._path) if self._path.exists() else None


def fitted(config: RunConfig, path: Path) -> tuple[list[float], Classifier]:
    log, model = Memory(path), build(config, None)
    fit(model, golden_images(config.recipe), config, log)
    return log.losses, model


def same(one: Classifier, other: Classifier) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("method", [*ADDED, *ROWS])
def test_method_of_one_row_and_one_function_acts_and_survives_an_interruption(
    small_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    config = replace(small_config(model="resnet50_gn", lr=1e-3), method=method)  # the images are of two labs
    losses, model = fitted(config, tmp_path / "whole.pt")
    _, plain = fitted(small_config(model="resnet50_gn", lr=1e-3), tmp_path / "plain.pt")
    assert not same(model, plain)

    def stop(*arguments: object) -> EpochResult:
        if arguments[3] == 2:
            raise KeyboardInterrupt
        return train_epoch(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("wbc.training.fit.train_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            fitted(config, tmp_path / "part.pt")
    rest, resumed = fitted(config, tmp_path / "part.pt")
    assert rest == losses[2:]
    assert same(resumed, model)


def test_methods_at_different_seams_combine_in_the_catalogues_order(
    small_config: Callable[..., RunConfig],
) -> None:
    config = small_config(model="resnet50_gn", method="balanced+brightness+adjusted+slow+head_first")
    parts = Feed(build(config, None), golden_images("paper"), config).parts
    assert [seam for seam in SEAMS if getattr(parts, seam)] == ["sampler", "augmentation", "loss", "average", "trained"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("adjusted+short", "adjusted and short both act on the loss: choose one"),
        ("brightness+balanced", "write balanced+brightness"),
        ("mixup+mixup", "mixup and mixup both act on the mixing"),
        ("erm+mixup", "erm means no method: leave it out"),
        ("mixup+balancd", "unknown method 'balancd'; did you mean 'balanced'"),
    ],
)
def test_methods_that_do_not_combine_are_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason.replace("+", r"\+")):
        find_method(name)


def test_sampler_may_visit_an_image_again_and_then_draws_anew() -> None:
    visits = np.array([3, 1, 3, 3, 0])
    drawn, plain = draw_augmentation(0, 0, 4, visits=visits), draw_augmentation(0, 0, 4)
    assert drawn.order.tolist() == [3, 1, 7, 11, 0]
    assert (drawn.order % 4).tolist() == visits.tolist()
    np.testing.assert_array_equal(drawn.corners[:4], plain.corners)
    assert len(np.unique(drawn.corners[[3, 7, 11], 0])) == 3


def test_head_alone_trains_in_the_epoch_that_says_so(small_config: Callable[..., RunConfig]) -> None:
    config = small_config(model=LAST16, method="head_first")
    model = build(config, None)
    optimiser, feed = build_optimiser(model, config), Feed(model, golden_images("paper"), config)
    held = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
    for epoch in (0, 1):
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        train_epoch(model, optimiser, feed, epoch, config)
        moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
        may = {name for name, value in model.named_parameters() if id(value) in held}
        assert moved == {name for name in may if name.startswith("head.") or epoch}


def test_average_is_what_torch_averages() -> None:
    model, torch_model = torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    averaged = torch.optim.swa_utils.AveragedModel(
        torch_model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.8), use_buffers=True
    )
    average = WeightAverage(model, lambda step, steps: 1.0 if step == 0 else 0.2)
    for step in range(4):
        for network in (model, torch_model):
            with torch.no_grad():
                network.weight.add_(torch.arange(3.0) * (step + 1))
            network(torch.randn(8, 3, generator=torch.Generator().manual_seed(step)))
        average.update(model, step, 4)
        averaged.update_parameters(torch_model)
    for name in ("weight", "running_mean", "running_var"):
        torch.testing.assert_close(average.state[name], getattr(averaged.module, name))


@pytest.mark.parametrize(
    ("method", "kept"), [("turned", True), ("short", True), ("brightness", False), ("halved", False)]
)
def test_features_of_frozen_layers_are_kept_where_variants_can_be_counted_and_train_the_same(
    small_config: Callable[..., RunConfig], method: str, kept: bool
) -> None:
    losses = []
    for fast in (True, False):
        config = small_config(model=LAST16, method=method, epochs=16, fast=fast)
        model, images = build(config, None), golden_images("paper")
        feed = Feed(model, images, config)
        assert (feed._features is not None) == (kept and fast)
        optimiser = build_optimiser(model, config)
        losses.append([train_epoch(model, optimiser, feed, epoch, config).loss for epoch in range(2)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_loss_sees_the_embeddings_of_the_batch(small_config: Callable[..., RunConfig]) -> None:
    config = small_config(model="resnet50_fc", method="short")
    model = build(config, None)
    feed = Feed(model, golden_images("paper"), config)
    model.eval()
    inputs, _ = next(feed.load([np.arange(4)], feed.draw(0)))
    scores, embeddings = feed.split_outputs(feed.forward(inputs), model.head[-1])
    assert embeddings is not None
    assert torch.equal(embeddings, model.embed(inputs))
    assert torch.equal(scores, model(inputs))


def test_embeddings_come_from_compiled_code_too() -> None:
    script = """
import torch
from wbc.compute import _Compiled
from wbc.models.build import build_model
model = build_model("resnet50_fc", scale="tiny", image_size=32, pretrained="none", seed=0).eval()
images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
found, expected = _Compiled(model.embed, backend="aot_eager")(images), model.embed(images)
print(torch.allclose(found, expected, atol=1e-5), torch._dynamo.utils.counters["frames"]["ok"] > 0)
"""
    done = run_anew(ROOT, "-c", script)
    assert done.stdout == "True True\n", done.stderr
