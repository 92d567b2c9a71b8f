"""What must survive: workers killed outright, a server that is away, a full disk."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from tests.test_run import predictions_of
from wbc.config import RunConfig
from wbc.run import load_domains, train_and_score
from wbc.tracking.store import connect

KILLS = int(os.environ.get("WBC_TEST_KILLS", "20"))
CELLS = int(os.environ.get("WBC_TEST_CELLS", "6"))
FORKSERVER = multiprocessing.get_context("forkserver")


def all_runs() -> list[Run]:
    runs: list[Run] = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return runs


def started(configs: Sequence[RunConfig]) -> ForkServerProcess:
    """Returns a process that runs a grid as a worker would, forked from one with PyTorch and MLflow, and ready to."""
    FORKSERVER.set_forkserver_preload(["tests.sweep.test_nothing_lost"])
    ready = FORKSERVER.Event()
    process = FORKSERVER.Process(target=_work, args=(dict(os.environ), configs, ready))
    process.start()
    assert ready.wait(60)
    return process


def _work(environment: dict[str, str], configs: Sequence[RunConfig], ready: Event) -> None:
    os.environ.update(environment)
    connect()
    load_domains(configs[0])
    ready.set()
    for config in configs:
        train_and_score(config)


def check_run(run: Run, config: RunConfig) -> None:
    """Makes sure that a run is whole, and holds nothing twice."""
    client, name = mlflow.MlflowClient(), run.info.run_name
    assert (run.info.status, run.data.tags.get("complete")) == ("FINISHED", "true"), name
    history = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    for key, points in history.items():
        steps = list(range(1, config.epochs + 1)) if key.startswith("train/") else [0]
        assert key.startswith("system/") or [point.step for point in points] == steps, (name, key)
    assert {"train/loss", "train/lr", "test/folder_away/accuracy", "test/folder_away/ece"} <= set(history)
    checkpoints = Path(run.info.artifact_uri.removeprefix("file://"), "checkpoint")
    assert [path.name for path in checkpoints.iterdir()] == ["final.pt"], name
    assert len(run.inputs.dataset_inputs) == 2, name
    (model,) = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    assert (model.model_id, str(model.status)) == (run.data.tags["model_id"], "READY"), name
    logged = {metric.key: metric.value for metric in model.metrics or []}
    assert logged == {key: points[0].value for key, points in history.items() if key.startswith("test/")}, name


def test_grid_whose_worker_is_killed_over_and_over_ends_as_one_that_is_left_alone(
    small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [
        small_config(model=model, epochs=3, seed=seed) for seed in range(CELLS // 2) for model in ("resnet50", "vgg16")
    ]
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/other.db")
        worker, begin = started(configs), time.monotonic()
        worker.join(300)
        assert worker.exitcode == 0
        undisturbed = {run.info.run_name: predictions_of(run.info.run_id, "folder_away") for run in all_runs()}
    usual_s = (time.monotonic() - begin) / len(configs)
    moments = random.Random(0)
    for _ in range(KILLS):
        worker = started(configs)
        worker.join(moments.uniform(0, 2 * usual_s))
        worker.kill()
        worker.join()
        assert worker.exitcode == -signal.SIGKILL  # there was work left
        print("STAGE", len(all_runs()), len([r for r in all_runs() if "complete" in r.data.tags]), usual_s, [sorted(set(r.data.tags) & {"complete", "model_id", "checkpoint"}) for r in all_runs()][:1], {k for k in all_runs()[0].data.metrics if "acc" in k} if all_runs() else "")
    worker = started(configs)
    worker.join(300)
    assert worker.exitcode == 0
    runs = {run.info.run_name: run for run in all_runs()}
    assert len(all_runs()) == len(runs) == len(configs)
    for config in configs:
        check_run(runs[f"{config.model}/seed{config.seed}"], config)
    assert {name: predictions_of(run.info.run_id, "folder_away") for name, run in runs.items()} == undisturbed
