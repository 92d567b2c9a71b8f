"""A run against a real MLflow server over HTTP: stopped, resumed, scored elsewhere."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import mlflow
import pytest

from tests.conftest import name_of, write_cells
from tests.servers import breaking_proxy, free_port, mlflow_server, one_in_six
from tests.test_run import interrupted
from wbc.config import EvaluateConfig, RunConfig
from wbc.errors import TrackingError
from wbc.inputs import load_inputs
from wbc.run import train_and_score
from wbc.scoring import score_run
from wbc.tracking import writer as writing
from wbc.tracking.connection import check_server
from wbc.tracking.datasets import log_input
from wbc.tracking.store import EXPERIMENT, connect, which_run
from wbc.tracking.writer import Writer


@pytest.fixture
def server(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an MLflow server with a store of its own; `MLFLOW_TRACKING_URI` points to it."""
    with mlflow_server(free_port(), f"sqlite:///{store}/other.db", store / "artifacts") as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        yield uri


def test_run_on_a_server_is_resumed_and_scored_elsewhere(
    server: str, small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config()
    interrupted(config, monkeypatch, KeyboardInterrupt())
    trained = train_and_score(config)
    run = mlflow.get_run(trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    history = mlflow.MlflowClient().get_metric_history(trained.run_id, "train/loss")
    assert [point.step for point in history] == [1, 2, 3]
    artifacts = mlflow.artifacts.list_artifacts(run_id=trained.run_id, artifact_path="checkpoint")
    assert [artifact.path for artifact in artifacts] == ["checkpoint/final.pt"]
    slides = write_cells(store / "slides", 1)
    assert set(score_run(EvaluateConfig(targets=f"folder:{slides}", device="cpu")).accuracies) == {name_of("slides")}
    assert not (store / "mlflow.db").stat().st_mtime > (store / "other.db").stat().st_mtime


@pytest.mark.parametrize("seed", [0, 1])
def test_answers_that_break_off_lose_nothing_and_double_nothing(
    seed: int, server: str, small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    with breaking_proxy(server, one_in_six(seed)) as address, monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", address)
        outcome = train_and_score(small_config())
    client = mlflow.MlflowClient()
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert (run.info.run_id, run.info.status, run.data.tags["complete"]) == (outcome.run_id, "FINISHED", "true")
    assert [point.step for point in client.get_metric_history(outcome.run_id, "train/loss")] == [1, 2, 3]
    assert len(client.get_metric_history(outcome.run_id, f"test/{name_of('away')}/accuracy")) == 1
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert model.model_id == run.data.tags["model_id"]
    artifacts = mlflow.artifacts.list_artifacts(run_id=outcome.run_id, artifact_path="checkpoint")
    assert [artifact.path for artifact in artifacts] == ["checkpoint/final.pt"]


def test_server_whose_answers_break_off_several_times_in_a_row_is_known_as_one(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks = iter([True] * 4 + [False] * 9)
    with breaking_proxy(server, lambda: next(breaks)) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        check_server(address)


def test_experiment_is_created_once_and_beside_the_database(store: Path) -> None:
    assert connect() == connect()
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    assert experiment.artifact_location == (store / "mlartifacts").as_uri()


def test_run_of_mlflow_run_is_adopted_and_keeps_the_words_typed(
    store: Path, small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, client = small_config(epochs=1), mlflow.MlflowClient()
    project_run = client.create_run("0", run_name="stylish-foal-1")
    client.log_param(project_run.info.run_id, "lr", "1e-3")
    monkeypatch.setenv("MLFLOW_RUN_ID", project_run.info.run_id)
    outcome = train_and_score(config)
    assert outcome.run_id == project_run.info.run_id
    run = mlflow.get_run(outcome.run_id)
    assert run.info.run_name == "resnet50/seed0"
    assert run.data.params["lr"] == "1e-3"
    assert run.data.params["epochs"] == "1"


def test_run_of_mlflow_run_points_to_the_one_that_was_done_already(
    store: Path, small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, client = small_config(epochs=1), mlflow.MlflowClient()
    done = train_and_score(config)
    project_run = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", project_run)
    again = train_and_score(config)
    assert (again.run_id, again.done_already) == (done.run_id, True)
    assert client.get_run(project_run).data.tags["forwarded_to"] == done.run_id


def test_model_that_the_environment_still_names_is_given_nothing_of_another_run(
    store: Path, small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, client = train_and_score(small_config(epochs=1)).run_id, mlflow.MlflowClient()
    model = client.get_run(first).data.tags["model_id"]
    monkeypatch.setenv("MLFLOW_ACTIVE_MODEL_ID", model)
    mlflow.set_active_model(model_id=model)  # as MLFLOW_ACTIVE_MODEL_ID does where a process begins
    train_and_score(small_config(epochs=1, seed=1))
    assert {metric.run_id for metric in client.get_logged_model(model).metrics} == {first}
    assert mlflow.get_active_model_id() is None


def test_deleted_experiment_is_named_with_how_to_restore_it(store: Path) -> None:
    experiment = connect()
    mlflow.delete_experiment(experiment)
    with pytest.raises(TrackingError, match=f"restore -x {experiment}"):
        connect()


def test_runs_go_to_the_experiment_that_mlflow_run_was_given(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = mlflow.create_experiment("mine")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    assert connect() == experiment


def test_runs_that_start_at_once_on_the_same_images_log_them_all(small_config: Callable[..., RunConfig]) -> None:
    client, experiment = mlflow.MlflowClient(), connect()
    (train,) = load_inputs(small_config()).train
    runs = [client.create_run(experiment).info.run_id for _ in range(8)]
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(lambda run: log_input(run, train, "training"), runs))
    for run in runs:
        (logged,) = client.get_run(run).inputs.dataset_inputs
        assert logged.dataset.name == name_of("home")


def test_writes_that_wait_when_a_stopped_run_has_parted_from_its_store_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writing, "_PARTING_S", 0.1)
    writer, store_is_back, written = Writer(), Event(), []
    writer.later(store_is_back.wait)
    writer.later(lambda: written.append("another's checkpoint deleted"))
    with pytest.raises(KeyboardInterrupt), writer:
        raise KeyboardInterrupt
    store_is_back.set()
    writer.flush(10)
    assert not written


def test_latest_run_is_asked_for_alone_however_many_there_are(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, experiment = mlflow.MlflowClient(), connect()
    runs = [client.create_run(experiment, tags={"complete": "true"}).info.run_id for _ in range(3)]
    for place, run in enumerate(runs):
        client.set_terminated(run, end_time=1000 * (place + 1))
    met: list[int] = []
    search = mlflow.search_runs

    def counted(**asked: Any) -> Any:
        found = search(**asked)
        met.append(len(found))
        return found

    monkeypatch.setattr(mlflow, "search_runs", counted)
    assert (which_run("latest"), met) == (runs[-1], [1])
