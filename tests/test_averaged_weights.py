"""Averaged weights of several seeds: by hand, scored as a run of their own, and shown in the report."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
import torch

from tests.conftest import name_of
from wbc.config import EvaluateConfig, ReportConfig, RunConfig
from wbc.errors import ConfigError
from wbc.models.build import build_model, write_backbone
from wbc.models.surgery import live_batch_norms
from wbc.report.query import read_study
from wbc.run import train_and_score
from wbc.scoring import score_run
from wbc.tracking.runs import fetch_checkpoint
from wbc.training.checkpoint import Checkpoint
from wbc.training.soup import average_weights


def checkpoint(make: Callable[..., RunConfig], value: float, **settings: object) -> Checkpoint:
    state = {"weight": torch.full((2,), value), "steps": torch.tensor(int(value))}
    config = make(**({"pretrained": "weights.pth"} | settings))
    return Checkpoint(config=config, epoch=3, model=state, optimiser=None)


def test_average_of_weights_is_their_mean_and_counters_are_the_first(
    untracked_config: Callable[..., RunConfig],
) -> None:
    found = average_weights([checkpoint(untracked_config, 1.0, seed=0), checkpoint(untracked_config, 4.0, seed=1)])
    assert found.model["weight"].tolist() == [2.5, 2.5]
    assert found.model["steps"].item() == 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"seed": 1, "model": "vgg16"}, "weights of model=resnet50 and vgg16 have no average"),
        ({"seed": 1, "lr": 0.5}, "weights of lr=0.0001 and 0.5 have no average"),
        ({"seed": 0}, "a seed is named twice"),
    ],
)
def test_weights_that_differ_in_more_than_the_seed_have_no_average(
    settings: dict[str, object], reason: str, untracked_config: Callable[..., RunConfig]
) -> None:
    made = [checkpoint(untracked_config, 1.0, lr=1e-4), checkpoint(untracked_config, 1.0, **{"lr": 1e-4} | settings)]
    with pytest.raises(ConfigError, match=reason):
        average_weights(made)


def test_seeds_that_start_apart_have_no_average(untracked_config: Callable[..., RunConfig]) -> None:
    made = [checkpoint(untracked_config, 1.0, seed=seed, pretrained="none") for seed in (0, 1)]
    with pytest.raises(ConfigError, match="with pretrained=none each seed starts from different weights"):
        average_weights(made)


def test_average_is_scored_as_a_run_of_its_own_and_found_by_the_report(
    small_config: Callable[..., RunConfig], store: Path
) -> None:
    network = build_model("resnet50", scale="tiny", image_size=32, pretrained="none", seed=5)
    write_backbone(network, store / "weights.safetensors")
    assert live_batch_norms(network)
    configs = [small_config(epochs=1, seed=seed, pretrained=str(store / "weights.safetensors")) for seed in (0, 1)]
    first, second = (train_and_score(config).run_id for config in configs)
    outcome = score_run(EvaluateConfig(run=f"{first} {second}", device="cpu"))
    assert outcome.lines()[0].startswith("resnet50, average of 2 runs  run ")
    logged = mlflow.get_run(outcome.run_id)
    assert (logged.info.run_name, logged.data.tags["averaged"]) == ("resnet50/average", f"{first},{second}")
    assert logged.data.metrics[f"test/{name_of('away')}/accuracy"] == outcome.accuracies[name_of("away")]
    states = [fetch_checkpoint(run).model["head.0.weight"] for run in (first, second)]
    assert not torch.equal(*states)

    file = store / "mine.toml"
    lines = {"epochs": 1, "image_size": 32, "batch_size": 8, "seeds": 2, "scale": '"tiny"', "models": '["resnet50"]'}
    lines |= {"sources": f'["{configs[0].source}"]', "targets": f'["{configs[0].targets[0]}"]'}
    lines["lr"] = configs[0].lr
    lines["pretrained"] = f'"{configs[0].pretrained}"'
    file.write_text("\n".join(f"{name} = {value}" for name, value in lines.items()))
    for run_id in (first, second, outcome.run_id):
        mlflow.MlflowClient().set_tag(run_id, "profile", "mine")
    study = read_study(ReportConfig(profile=str(file)))
    assert [soup.stored.id for soup in study.soups] == [outcome.run_id]
    assert list(study.soups[0].scores) == [name_of("away")]
    mlflow.MlflowClient().set_tag(outcome.run_id, "averaged", f"{first},gone")
    study = read_study(ReportConfig(profile=str(file)))
    assert study.soups == ()
    assert [each.why for each in study.excluded] == ["averages other runs than those of this report"]
