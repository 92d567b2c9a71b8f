"""Runs from before `trained_as`: they are known by a fingerprint, and the report still reads them."""

import mlflow

from tests.report.conftest import AWAY, arm
from wbc.config import ReportConfig
from wbc.report.query import read_study


def test_run_known_by_a_fingerprint_is_read(golden_runs: dict[tuple[str, int], str], options: ReportConfig) -> None:
    client, run_id = mlflow.MlflowClient(), golden_runs["resnet50", 0]
    before = read_study(options).accuracies(arm("resnet50"), AWAY)
    params = mlflow.get_run(run_id).data.params
    for name in ("model", "seed", "source", "scale", "image_size", "precision", "fast"):
        client.set_tag(run_id, name, params[name])
    for tag in mlflow.get_run(run_id).data.tags:
        if tag in ("trained_as", "method") or tag.startswith("scored_as."):
            client.delete_tag(run_id, tag)
    client.set_tag(run_id, "fingerprint", "0123456789abcdef")
    study = read_study(options)
    assert run_id in {run.stored.id for run in study.runs}
    assert study.accuracies(arm("resnet50"), AWAY) == before
