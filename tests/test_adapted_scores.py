"""Scores under adaptations: added to a finished run, or asked for by a study; a collapse is named."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import torch

from tests.conftest import Once, name_of
from wbc.config import EvaluateConfig, PlanConfig, RunConfig, TrainConfig
from wbc.errors import ConfigError
from wbc.identity import suited
from wbc.outcome import Outcome
from wbc.run import train_and_score
from wbc.scoring import score_run
from wbc.store_check import find_faults
from wbc.studies import plan, resolve
from wbc.sweep.plan import survey
from wbc.tracking.read import read_run, read_trainings


def test_evaluate_adds_adapted_scores_to_a_finished_run_and_keeps_the_plain_one(
    trained: Outcome,
) -> None:
    away = name_of("away")
    before = mlflow.get_run(trained.run_id).data.metrics
    outcome = score_run(EvaluateConfig(run=trained.run_id, adapt="adabn,lab+flips,shots_1", device="cpu"))
    assert outcome.accuracies == trained.accuracies
    lines = outcome.in_full[-3:]
    assert lines[0].startswith(f"  {away} under adabn: balanced accuracy ")
    assert "It sees all 10 images, unlabelled." in lines[0]
    assert "It sees one image at a time." in lines[1]
    assert "It sees labels of a few images, which are not scored." in lines[2]
    run = read_run(trained.run_id)
    assert set(run.scored) == {away, f"{away}/adabn", f"{away}/lab-flips", f"{away}/shots_1"}
    assert {name: value for name, value in run.metrics.items() if name in before} == before
    read = pd.read_csv(
        mlflow.artifacts.download_artifacts(run_id=run.id, artifact_path=f"predictions/{away}/shots_1.csv")
    )
    assert len(read) == 5 * (10 - 5)
    assert list(find_faults()) == []
    metrics = mlflow.get_run(run.id).data.metrics
    again = score_run(EvaluateConfig(run=trained.run_id, adapt="adabn", device="cpu"))
    assert again.in_full[-1] == lines[0]
    assert mlflow.get_run(run.id).data.metrics == metrics


def test_evaluate_names_a_collapse(trained: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:

    def silenced(model: torch.nn.Module, *others: object) -> torch.nn.Module:
        with torch.no_grad():
            model.head[-1].bias.copy_(torch.tensor([0.0, 99, 0, 0, 0]))  # type: ignore[index]
        return model

    monkeypatch.setattr("wbc.methods.adapt_norms.adabn", silenced)
    outcome = score_run(EvaluateConfig(run=trained.run_id, adapt="adabn", device="cpu"))
    assert outcome.in_full[-1].endswith(" Collapsed: it predicts 1 of 5 classes.")


@pytest.fixture
def without_batch_norm(small_config: Callable[..., RunConfig], once: Once) -> Outcome:
    outcome: Outcome = once("resnet50_gn", lambda: train_and_score(small_config(model="resnet50_gn", epochs=1)))
    return outcome


def test_evaluate_refuses_an_adaptation_that_does_not_suit_the_model(without_batch_norm: Outcome) -> None:
    with pytest.raises(ConfigError, match=r"adapt=adabn: adabn changes batch norm's .* group norm \(resnet50_gn\)"):
        score_run(EvaluateConfig(run=without_batch_norm.run_id, adapt="em,adabn", device="cpu"))


def test_run_is_scored_under_what_its_study_lists_and_then_done(
    without_batch_norm: Outcome, small_config: Callable[..., RunConfig]
) -> None:
    config = small_config(model="resnet50_gn", epochs=1, adapt="adabn,em")
    (cell,) = survey([config], read_trainings())
    assert cell.state == "interrupted"
    outcome = train_and_score(config)
    assert outcome.run_id == without_batch_norm.run_id
    assert set(read_run(outcome.run_id).scored) == {name_of("away"), f"{name_of('away')}/em"}  # it has no batch norm
    (cell,) = survey([config], read_trainings())
    assert cell.state == "done"


def test_study_lists_adaptations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = 'sources = ["pbc2500"]\ntargets = ["bccd"]\nmodels = ["lite0", "squeezenet"]\nseeds = 1\n'
    Path("mine.toml").write_text(text + 'adapt = ["adabn", "em"]\n')
    first, second = plan(PlanConfig(profile="mine.toml"))
    assert first.adapt == second.adapt == ("adabn", "em")
    assert suited(first, first.adapt) == ["adabn", "em"]
    assert suited(second, second.adapt) == ["em"]
    assert resolve(TrainConfig(profile="mine.toml", adapt="none")).adapt == ()
    Path("mine.toml").write_text(text + 'adapt = ["adabm"]\n')
    with pytest.raises(ConfigError, match="unknown adaptation 'adabm'; did you mean 'adabn'"):
        plan(PlanConfig(profile="mine.toml"))
