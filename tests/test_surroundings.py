"""Environment variables: one module touches them, and one that is empty is not set."""

import ast
import os
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from wbc import surroundings
from wbc.config import RunConfig
from wbc.data.catalog import find_domain
from wbc.run import train_and_score
from wbc.tracking.store import EXPERIMENT, connect

ROOT = Path(__file__).parents[1]


def touches_the_environment(file: Path) -> bool:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return not names.isdisjoint({"environ", "environb", "getenv", "putenv", "unsetenv"})


def test_only_one_module_reads_and_sets_variables() -> None:
    files = [file for folder in ("wbc", "entrypoints") for file in (ROOT / folder).rglob("*.py")]
    assert [file for file in files if touches_the_environment(file)] == [ROOT / "wbc" / "surroundings.py"]


def test_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WBC_DATA_DIR", "WBC_MIRROR", "WBC_JOBS", "WBC_SWEEP_RUN", "MLFLOW_RUN_ID", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")
    assert surroundings.data_dir() == tmp_path / "data"
    assert surroundings.runs_at_once() == 1
    assert not any((surroundings.mirror(), surroundings.sweep_run(), surroundings.project_run()))
    assert surroundings.named_gpus() is None
    surroundings.set_defaults(WBC_JOBS="3")
    assert surroundings.runs_at_once() == 3


def test_home_of_a_user_who_is_not_known_is_a_folder_of_that_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WBC_DATA_DIR", "~nobody-of-this-name/data")
    assert surroundings.data_dir() == tmp_path / "~nobody-of-this-name" / "data"
    assert find_domain("folder:~nobody-of-this-name/x").path == tmp_path / "~nobody-of-this-name" / "x"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert surroundings.expanded("~/x") == tmp_path / "x"


def test_changed_variables_are_as_they_were_after_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WBC_JOBS", "2")
    monkeypatch.delenv("WBC_MIRROR", raising=False)
    with surroundings.changed({"WBC_JOBS": "4", "WBC_MIRROR": "x"}):
        assert (surroundings.runs_at_once(), surroundings.mirror()) == (4, "x")
    assert (surroundings.runs_at_once(), surroundings.mirror()) == (2, None)


@pytest.mark.parametrize("name", ["MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"])
def test_runs_go_to_the_projects_experiment_when_the_variable_is_empty(
    store: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "")
    assert mlflow.get_experiment(connect()).name == EXPERIMENT


def test_values_are_written_in_order_whatever_mlflow_is_asked_for(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS", "60")
    outcome = train_and_score(small_config(epochs=2))
    connect()
    assert caplog.text.count("MLFLOW_ENABLE_ASYNC_LOGGING is switched off") == 1
    assert os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] == "false"
    points = mlflow.MlflowClient().get_metric_history(outcome.run_id, "train/loss")
    assert [point.step for point in points] == [1, 2]
