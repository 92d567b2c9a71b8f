"""Analysis of tracked runs: what is logged, and what is refused."""

from collections.abc import Callable

import mlflow
import pytest

from wbc.analysis.analyse import analyse
from wbc.config import AnalyseConfig, RunConfig
from wbc.errors import ConfigError
from wbc.run import train_and_score


def test_table_and_figure_are_logged_to_the_run(small_config: Callable[..., RunConfig]) -> None:
    run_id = train_and_score(small_config(model="lite0_last16", epochs=1)).run_id
    line = analyse(AnalyseConfig(run=run_id, device="cpu"))
    assert line.startswith("lite0_last16/seed0  largest distance of means: folder_home")
    assert "folder_away" in line
    logged = {file.path for file in mlflow.MlflowClient().list_artifacts(run_id, "analysis")}
    assert logged == {f"analysis/batch_norm.{suffix}" for suffix in ("csv", "png", "pdf")}


def test_run_without_batch_norm_is_refused_in_a_line(small_config: Callable[..., RunConfig]) -> None:
    run_id = train_and_score(small_config(model="squeezenet", epochs=1)).run_id
    with pytest.raises(ConfigError, match="model squeezenet has no batch norm"):
        analyse(AnalyseConfig(run=run_id, device="cpu"))
