"""Stores: eight processes at once on SQLite and PostgreSQL lose no metric; one half made; passwords stay unsaid."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import mlflow
import pytest

from tests.forks import forks
from tests.servers import postgresql
from wbc.config import RunConfig
from wbc.errors import TrackingError
from wbc.run import load_domains
from wbc.tracking.runs import open_run
from wbc.tracking.store import EXPERIMENT, connect, describe_store, find_run
from wbc.training.loop import EpochResult

WORKERS = 8
EPOCHS = 12


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_store(request: pytest.FixtureRequest, store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "sqlite":
        yield
        return
    with postgresql() as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        yield


def log_run(environment: dict[str, str], config: RunConfig) -> None:
    os.environ.update(environment)
    train, tests = load_domains(config)
    with open_run(config, f"identity {config.seed}", {}) as run:
        run.training.start([train, *tests])
        for epoch in range(1, EPOCHS + 1):
            run.training.log_epoch(
                epoch, EpochResult(loss=config.seed + 1 / epoch, accuracy=0.5, lr=1e-3, images_per_s=epoch)
            )


def test_eight_processes_at_once_lose_no_metric(shared_store: None, small_config: Callable[..., RunConfig]) -> None:
    configs = [small_config(seed=seed) for seed in range(WORKERS)]
    connect()
    load_domains(configs[0])
    workers = [forks().Process(target=log_run, args=(dict(os.environ), config)) for config in configs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * WORKERS
    client, runs = mlflow.MlflowClient(), mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert sorted(run.info.run_name for run in runs) == [f"resnet50/seed{seed}" for seed in range(WORKERS)]
    for run in runs:
        seed = int(run.data.tags["seed"])
        losses = client.get_metric_history(run.info.run_id, "train/loss")
        assert [(point.step, point.value) for point in losses] == [
            (step, seed + 1 / step) for step in range(1, EPOCHS + 1)
        ]
        assert len(client.get_metric_history(run.info.run_id, "train/images_per_s")) == EPOCHS
        assert {item.dataset.name for item in run.inputs.dataset_inputs} == {"folder_home", "folder_away"}


def make_store(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    connect()


@pytest.fixture
def no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that nothing was written to yet."""
    database = tmp_path / "fresh.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    return database


def test_store_is_whole_though_its_maker_is_killed_in_the_middle(no_database: Path) -> None:
    """MLflow makes its tables one by one, and refuses a database that has some of them."""
    half_made = no_database.with_name(".fresh.db.making")
    maker = forks().Process(target=make_store, args=(dict(os.environ),))
    maker.start()
    while maker.is_alive() and not (half_made.exists() and half_made.stat().st_size):
        time.sleep(0.001)
    maker.kill()
    maker.join()
    assert half_made.stat().st_size
    assert not no_database.exists()
    experiment = connect()
    assert experiment == mlflow.get_experiment_by_name(EXPERIMENT).experiment_id
    assert no_database.exists()
    assert not half_made.exists()


def test_store_that_another_program_left_half_made_is_named_with_the_remedy(no_database: Path) -> None:
    with closing(sqlite3.connect(no_database)) as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
    for ask in (connect, describe_store):
        with pytest.raises(TrackingError, match=r"fresh\.db is half made: .* delete it"):
            ask()


def write_half(environment: dict[str, str], database: Path) -> None:
    os.environ.update(environment)
    connect()
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA cache_size = 1")  # so that pages go to the file, and their old state to its journal
    connection.execute(
        "CREATE TABLE half AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n "
        "LIMIT 10000) SELECT i, randomblob(100) FROM n"
    )
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE half SET i = 0")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("ask", [connect, describe_store])
def test_store_goes_on_after_a_process_was_killed_as_it_wrote_to_it(no_database: Path, ask: Callable[[], str]) -> None:
    writer = forks().Process(target=write_half, args=(dict(os.environ), no_database))
    writer.start()
    writer.join()
    assert no_database.with_name("fresh.db-journal").stat().st_size
    ask()
    with closing(sqlite3.connect(no_database)) as connection:
        assert connection.execute("SELECT min(i), max(i) FROM half").fetchone() == (1, 10000)


def test_server_that_does_not_answer_is_named_without_its_password(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:s3cret@127.0.0.1:9")
    for ask in (connect, lambda: find_run("0123")):
        with pytest.raises(TrackingError, match=r"^no MLflow server at http://\*\*\*@127.0.0.1:9 "):
            ask()


def test_database_of_an_error_is_named_without_its_password() -> None:
    with pytest.raises(TrackingError, match=r"^no postgresql://\*\*\*@host:5432/mlflow here, nor ada@home$"):
        raise TrackingError("no postgresql://ada:s3c@ret@host:5432/mlflow here, nor ada@home")
