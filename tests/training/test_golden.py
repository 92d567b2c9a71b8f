"""Training, pretraining and scoring give the numbers that they gave when their versions were last raised.

A version is part of what a run is *trained as* or *scored as*: a change of the code that moves a number has to raise
it. `python -m tests.training.test_golden` renews the numbers.

The tolerance lies between what rounding moves (another number of threads, other layouts and kernels: at most 4e-5 of
a loss) and what changes of the loop move (7e-3 and more).
"""

import dataclasses
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.optim import AdamW

from wbc import identity
from wbc.arms import parse_arm
from wbc.compute import place
from wbc.config import RunConfig, TrainConfig
from wbc.data.batches import Draws, draw_augmentation
from wbc.data.cache import PixelCache
from wbc.data.images import Images
from wbc.evaluation import predict
from wbc.methods.catalog import METHODS, find_method
from wbc.models.build import build
from wbc.models.catalog import MODELS
from wbc.studies import resolve
from wbc.training import feed as feed_module
from wbc.training import loop, patterns, pretrain
from wbc.training.feed import Feed
from wbc.training.loop import batches, build_optimiser, train_epoch
from wbc.training.schedule import learning_rates

FILE: Final = Path(__file__).with_name("golden.json")
RENEW: Final = "python -m tests.training.test_golden"
TOLERANCE: Final = 2e-4
ARMS: Final = (
    *((model, "paper") for model in MODELS),
    *((f"resnet50+{method}", "paper") for method in METHODS if method != "erm"),
    ("resnet50", "released"),
    ("resnet50+mixup", "released"),
)


def golden_config(arm: str, recipe: str) -> RunConfig:
    """Returns a run whose weight decay few steps show; a high rate would turn rounding of batch norm into chaos.

    Of `lite0`, and of `resnet50` with a method, even 1e-4 would, on some processors: AdamW's first steps go by the
    signs of gradients, of which many are near zero. There the steps are those of weight decay alone.
    """
    steady = arm == "lite0" or arm.startswith("resnet50+")
    source = "drawn" if find_method(parse_arm(arm, ()).method).labs == 1 else "drawn,again"
    return resolve(
        TrainConfig(
            **{"model": arm, "recipe": recipe, "scale": "tiny", "pretrained": "none", "source": source},
            **{
                "image_size": 32,
                "epochs": 12,
                "batch_size": 11,
                "lr": 1e-7 if steady else 1e-4,
                "weight_decay": 3e5 if steady else 300.0,
                "device": "cpu",
            },
        )
    )


def golden_images(recipe: str) -> Images:
    """Returns 22 images of noise on a ramp, so that flips, crops and order are seen."""
    size, rng = 32 if recipe == "paper" else 37, np.random.default_rng(0)
    labels = np.arange(22) % 5
    ramp = np.linspace(0, 80, size)[:, None, None] + np.linspace(0, 40, size)[None, :, None]
    noise = rng.normal(0, 20, (22, size, size, 3)) + rng.normal(0, 30, (22, 1, 1, 3))
    pixels = (40 + 20 * labels[:, None, None, None] + ramp + noise).clip(0, 255).astype(np.uint8)
    return Images(
        name="drawn",
        labels=labels,
        labs=np.arange(22) % 2,
        digest="",
        ids=tuple(map(str, range(22))),
        contents=tuple(map(str, range(22))),
        groups=tuple(map(str, range(22))),
        pixels=PixelCache(pixels.ravel(), np.full((22, 2), size)),
        origin="",
    )


def training_losses(arm: str, recipe: str) -> list[float]:
    """Returns the mean loss of each of three epochs of two steps."""
    config = golden_config(arm, recipe)
    model = build(config, None)
    place(model, config)
    optimiser, feed = build_optimiser(model, config), Feed(model, golden_images(recipe), config)
    return [train_epoch(model, optimiser, feed, epoch, config).loss for epoch in range(3)]


def pretraining_losses() -> list[float]:
    """Returns the mean loss of each of two short epochs of pretraining on drawn patterns."""
    _, losses = patterns.learn_patterns("resnet50", 32, seed=0, images=64, epochs=2)
    return losses


def scores(recipe: str) -> list[float]:
    """Returns the probabilities of a thin model with random weights, of each image and class in turn."""
    config = golden_config("resnet50_gn", recipe)
    model = build(config, None)
    place(model, config)
    with torch.no_grad():
        model.head[-1].weight.mul_(20)  # else each probability is near a fifth, whatever the image
    return predict.predict(model, golden_images(recipe), config).scores.astype(float).ravel().tolist()


NUMBERS: Final[dict[str, dict[str, Callable[[], list[float]]]]] = {
    "TRAINING_VERSION": {f"{arm} {recipe}": partial(training_losses, arm, recipe) for arm, recipe in ARMS},
    "PRETRAIN_VERSION": {"resnet50": pretraining_losses},
    "SCORING_VERSION": {recipe: partial(scores, recipe) for recipe in ("paper", "released")},
}
VERSIONS: Final = {
    "TRAINING_VERSION": identity.TRAINING_VERSION,
    "PRETRAIN_VERSION": pretrain.PRETRAIN_VERSION,
    "SCORING_VERSION": identity.SCORING_VERSION,
}


def fault(version: str, name: str) -> str | None:
    """Returns why the numbers called `name` are not the ones kept, and what to do; None if they are."""
    kept = json.loads(FILE.read_bytes()).get(version, {"value": None, "numbers": {}})
    if name not in kept["numbers"]:
        return f"no numbers are kept of '{name}': run {RENEW}."
    if kept["value"] != VERSIONS[version]:
        return f"{version} is {VERSIONS[version]}, the numbers kept are of {kept['value']}: run {RENEW}."
    found, expected = NUMBERS[version][name](), kept["numbers"][name]
    if found == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE):
        return None
    return f"'{name}' gives {found}, not {expected}: raise {version} if that is meant, then run {RENEW}."


@pytest.mark.parametrize(("version", "name"), [(version, name) for version in NUMBERS for name in NUMBERS[version]])
def test_numbers_are_those_of_the_version(version: str, name: str) -> None:
    reason = fault(version, name)
    if reason:
        pytest.fail(reason, pytrace=False)


def _doubled_rate(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "learning_rates", lambda **settings: tuple(2 * rate for rate in learning_rates(**settings)))


def _weight_decay_left_out(patch: pytest.MonkeyPatch) -> None:
    def without(parameters: object, *, lr: float, weight_decay: float, fused: bool | None) -> torch.optim.Optimizer:
        return AdamW(parameters, lr=lr, weight_decay=0.0, fused=fused)  # type: ignore[arg-type]

    patch.setattr(torch.optim, "AdamW", without)


def _flips_exchanged(patch: pytest.MonkeyPatch) -> None:
    def exchanged(*arguments: object, **keywords: object) -> Draws:
        drawn = draw_augmentation(*arguments, **keywords)  # type: ignore[arg-type]
        return dataclasses.replace(drawn, flips=drawn.flips[:, ::-1].copy())

    patch.setattr(feed_module, "draw_augmentation", exchanged)


def _order_reversed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "batches", lambda order, size: batches(order[::-1].copy(), size))


def _another_normalisation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("wbc.models.build.IMAGENET_MEAN", (0.5, 0.5, 0.5))


def _smoothed_labels(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "cross_entropy", partial(cross_entropy, label_smoothing=0.05))


@pytest.mark.parametrize(
    "change",
    [
        _doubled_rate,
        _weight_decay_left_out,
        _flips_exchanged,
        _order_reversed,
        _another_normalisation,
        _smoothed_labels,
    ],
)
def test_change_of_the_loop_is_seen_and_the_message_says_what_to_do(
    change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch)
    reason = fault("TRAINING_VERSION", "resnet50 paper")
    assert reason
    assert reason.endswith(f"raise TRAINING_VERSION if that is meant, then run {RENEW}.")


def test_rounding_of_other_kernels_is_not_taken_for_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    make = golden_config
    monkeypatch.setattr(
        sys.modules[__name__], "golden_config", lambda *arm: dataclasses.replace(make(*arm), fast=False)
    )
    moved = {model: fault("TRAINING_VERSION", f"{model} paper") for model in MODELS}
    assert not any(moved.values()), moved


def renew() -> None:
    """Writes all numbers; where one has moved since the version was last raised, it says so and writes nothing.

    Numbers of a version that stands stay to the last digit; those that are missing are added.
    """
    torch.set_num_threads(1)
    kept = json.loads(FILE.read_bytes()) if FILE.exists() else {}
    for version, group in NUMBERS.items():
        if version in kept and kept[version]["value"] == VERSIONS[version]:
            reasons = (fault(version, name) for name in group if name in kept[version]["numbers"])
            if reason := next(filter(None, reasons), None):
                sys.exit(reason)
        else:
            kept[version] = {"numbers": {}}
    written = {
        version: {
            "value": VERSIONS[version],
            "numbers": {name: kept[version]["numbers"].get(name) or compute() for name, compute in group.items()},
        }
        for version, group in NUMBERS.items()
    }
    FILE.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    renew()
