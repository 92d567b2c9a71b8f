"""Learning rate and epochs, chosen on held-out images of the source."""

import dataclasses
import statistics

import mlflow
import pytest

from wbc.config import TuneConfig
from wbc.errors import ConfigError
from wbc.studies import STUDIES, Study
from wbc.sweep.tune import best, grid, tune_study


def test_grid_holds_images_out_and_names_no_target(small_study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STUDIES, "demo", dataclasses.replace(small_study, adapt=("em",)))
    runs = grid(TuneConfig(lrs="1e-4,1e-3", epochs="1,20", seeds="0,1"))
    assert len(set(runs)) == 8
    assert {(run.targets, run.adapt) for run in runs} == {((), ())}
    assert {(run.lr, run.epochs, run.warmup_epochs) for run in runs} == {
        (1e-4, 1, 0),
        (1e-3, 1, 0),
        (1e-4, 20, 2),
        (1e-3, 20, 2),
    }
    assert {run.profile for run in runs} == {"demo-tune"}


def test_tune_prints_the_held_out_score_of_each_choice_and_the_best(
    small_study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    tune_study(TuneConfig(lrs="1e-7,1e-3", epochs="2", jobs=1))
    printed = capsys.readouterr().out
    assert "lr 1e-07, 2 epochs" in printed
    assert printed.splitlines()[-1].startswith("resnet50@folder:")
    assert "lr=" in printed.splitlines()[-1]
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    names = {name for run in runs for name in run.data.metrics if name.endswith("/accuracy")}
    assert names
    assert all(
        name.endswith(("_validation/accuracy", "_validation_corrupted/accuracy")) or name == "train/accuracy"
        for name in names
    )


def test_of_equal_choices_the_cheaper_and_the_lower_rate_is_best() -> None:
    assert best({(1e-3, 5): 0.9, (1e-4, 5): 0.9, (1e-5, 9): 0.9, (1e-2, 1): 0.8}) == (1e-4, 5)
    equal = {(1e-4, 5): statistics.mean([0.44, 0.41]), (1e-3, 9): statistics.mean([0.52, 0.33])}  # but for rounding
    assert best(equal) == (1e-4, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"validation": 0.0}, "validation=0.0"), ({"lrs": "fast"}, "lrs=fast: must be numbers by commas")],
)
def test_bad_grid_is_refused_before_anything_runs(small_study: Study, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tune_study(TuneConfig(**options))  # type: ignore[arg-type]
