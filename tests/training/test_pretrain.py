from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from wbc.config import RunConfig, TrainConfig
from wbc.errors import ConfigError
from wbc.models.build import build
from wbc.studies import resolve
from wbc.training import pretrain
from wbc.training.pretrain import standing_weights, starting_weights


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "IMAGES", 64)
    monkeypatch.setattr(pretrain, "EPOCHS", 2)


def test_rows_that_share_a_backbone_share_its_learned_weights(
    quick: None, small_config: Callable[..., RunConfig], store: Path
) -> None:
    frozen, plain = (small_config(model=model, pretrained="patterns") for model in ("resnet50_frozenbn", "resnet50"))
    assert starting_weights(frozen) == starting_weights(plain)
    assert len(list((store / "data" / "weights").glob("*.safetensors"))) == 1


def test_learned_weights_are_the_same_each_time_and_are_loaded(
    quick: None, small_config: Callable[..., RunConfig]
) -> None:
    config = small_config(pretrained="patterns")
    path = starting_weights(config)
    assert path
    first = path.read_bytes()
    for spoil in (path.unlink, lambda: path.write_bytes(first[:-1] + bytes([first[-1] ^ 1]))):
        spoil()
        assert standing_weights(config) == (False, None)
        assert starting_weights(config) == path
        assert path.read_bytes() == first
    loaded, fresh = build(config, path).state_dict(), build(config, None).state_dict()
    assert not torch.equal(loaded["backbone.bn1.running_mean"], fresh["backbone.bn1.running_mean"])


def test_each_seed_learns_weights_that_differ(quick: None, small_config: Callable[..., RunConfig]) -> None:
    first, second = (starting_weights(small_config(pretrained="patterns", seed=seed)) for seed in (0, 1))
    assert first
    assert second
    assert first.name != second.name
    assert first.read_bytes() != second.read_bytes()


def test_patterns_for_a_full_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="scale=tiny"):
        starting_weights(resolve(TrainConfig(scale="full")))


def test_none_is_no_file() -> None:
    assert starting_weights(resolve(TrainConfig(pretrained="none"))) is None


def test_imagenet_for_a_thin_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="starts from patterns"):
        starting_weights(resolve(TrainConfig(pretrained="imagenet")))
