"""Stores: eight processes at once on SQLite and PostgreSQL lose no metric; one half made; passwords stay unsaid."""

import os
import shutil
import signal
import socket
import sqlite3
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import mlflow
import pytest
from filelock import FileLock
from mlflow.tracking._tracking_service.utils import _get_store
from sqlalchemy import make_url, text

from tests.conftest import name_of
from tests.forks import forks
from tests.servers import free_port, postgresql
from wbc.config import RunConfig, ServerConfig
from wbc.errors import TrackingError
from wbc.inputs import load_inputs
from wbc.tracking.connection import check_server, impatient, patience_s
from wbc.tracking.read import read_run
from wbc.tracking.repoint import repoint
from wbc.tracking.runs import open_run
from wbc.tracking.server import serve
from wbc.tracking.store import EXPERIMENT, connect, describe_store, store_location
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
    inputs = load_inputs(config)
    with open_run(config, f"identity {config.seed}", {}) as run:
        run.training.start([*inputs.train, *inputs.tests])
        for epoch in range(1, EPOCHS + 1):
            run.training.log_epoch(
                epoch, EpochResult(loss=config.seed + 1 / epoch, accuracy=0.5, lr=1e-3, images_per_s=epoch)
            )


def test_eight_processes_at_once_lose_no_metric(shared_store: None, small_config: Callable[..., RunConfig]) -> None:
    configs = [small_config(seed=seed) for seed in range(WORKERS)]
    connect()
    load_inputs(configs[0])
    workers = [forks().Process(target=log_run, args=(dict(os.environ), config)) for config in configs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * WORKERS
    client, runs = mlflow.MlflowClient(), mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert sorted(run.info.run_name for run in runs) == [f"resnet50/seed{seed}" for seed in range(WORKERS)]
    for run in runs:
        seed = int(run.data.params["seed"])
        losses = client.get_metric_history(run.info.run_id, "train/loss")
        assert [(point.step, point.value) for point in losses] == [
            (step, seed + 1 / step) for step in range(1, EPOCHS + 1)
        ]
        assert len(client.get_metric_history(run.info.run_id, "train/images_per_s")) == EPOCHS
        assert {item.dataset.name for item in run.inputs.dataset_inputs} == {name_of("home"), name_of("away")}


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
    for ask in (connect, lambda: read_run("0123")):
        with pytest.raises(TrackingError, match=r"^no MLflow server at http://\*\*\*@127.0.0.1:9 "):
            ask()


def test_database_that_is_down_is_named_at_once_without_its_password(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ada:s3cret@127.0.0.1:9/mlflow")
    for ask in (connect, describe_store):
        with pytest.raises(
            TrackingError, match=r"^no database answers at 127.0.0.1:9 \(Connection refused\). Start it"
        ):
            ask()


def test_database_that_takes_connections_and_says_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    assert os.environ["PGCONNECT_TIMEOUT"] == "5"
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://ada:s3cret@127.0.0.1:{silent.getsockname()[1]}/db")
        with pytest.raises(TrackingError, match=r"postgresql://\*{3}@127\.0\.0\.1:\d+/db fails: .*timeout"):
            connect()


@pytest.mark.parametrize(
    "uri",
    [
        *("http://[::1", "http://host:port", "postgresql://ada:s3cret@host:port/mlflow", "localhost:5000"),
        *("127.0.0.1:5000/x", "http:/host", "https://", "HTTP://host", "http://host\n", " sqlite:///x.db"),
    ],
)
def test_address_that_is_none_is_named_without_its_password(
    store: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for ask in (connect, describe_store):
        with pytest.raises(
            TrackingError, match=r"^the tracking store .+ is no address \(.+\): correct MLFLOW_"
        ) as told:
            ask()
        assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x.db?uri=true"])
def test_store_that_keeps_nothing_is_refused_and_leaves_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    before = sorted(store.iterdir())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for ask in (connect, describe_store):
        with pytest.raises(TrackingError, match=r"names no file to keep runs in: write sqlite:///mlflow\.db"):
            ask()
    assert sorted(store.iterdir()) == before


def test_store_whose_driver_is_named_is_a_file_all_the_same(no_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite+pysqlite:///{no_database}")
    assert describe_store().endswith("which the first run makes")
    assert not no_database.exists()
    connect()
    assert store_location()[1] == {no_database.parent, no_database.parent / "mlartifacts"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "many"),
        ("MLFLOW_TRACKING_INSECURE_TLS", "maybe"),
        ("MLFLOW_ENABLE_ASYNC_LOGGING", "maybe"),
    ],
)
def test_variable_that_mlflow_cannot_read_is_named_before_anything_runs(
    store: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    for ask in (connect, describe_store):
        with pytest.raises(TrackingError, match=f"{value}.*: correct or unset {name}"):
            ask()


def test_locked_sqlite_store_is_waited_for_as_long_as_a_server_and_not_when_stopping(store: Path) -> None:
    def waits_s() -> float:
        with _get_store().ManagedSessionMaker() as session:
            return session.execute(text("PRAGMA busy_timeout")).scalar() / 1000

    assert waits_s() == patience_s() == 240
    with impatient():
        assert waits_s() == patience_s() == 4


def test_process_that_holds_a_store_and_never_ends_is_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wbc.tracking.store.patience_s", lambda: 0.1)
    with FileLock(store / "mlflow.db.lock"), pytest.raises(TrackingError, match=r"mlflow\.db\.lock' could not be acq"):
        connect()
    connect()


def test_database_of_an_error_is_named_without_its_password() -> None:
    with pytest.raises(TrackingError, match=r"^no postgresql://\*\*\*@host:5432/mlflow here, nor ada@home$"):
        raise TrackingError("no postgresql://ada:s3c@ret@host:5432/mlflow here, nor ada@home")


@pytest.mark.parametrize("name", ["my work", "a%20b", "a#b", "a?b", "müll", "plain"])
def test_store_is_made_where_it_is_said_to_be_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_database: Path, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(fresh_database, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    experiment, client = connect(), mlflow.MlflowClient()
    client.log_dict(client.create_run(experiment).info.run_id, {}, "config.json")
    uri, folders = store_location()
    assert folders == {folder, folder / "mlartifacts"}
    assert make_url(uri).database == str(folder / "mlflow.db")
    assert [path.relative_to(folder).parts[0] for path in tmp_path.rglob("config.json")] == ["mlartifacts"]
    assert {"%", "?"} & set(name) or [path.name for path in tmp_path.iterdir()] == [name]  # MLflow's own leaves junk


def test_settings_in_the_address_of_a_store_are_kept(no_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{no_database}?timeout=60")
    connect()
    assert no_database.exists()
    assert store_location()[0] == f"sqlite:///{no_database}?timeout=60"


class _Server(BaseHTTPRequestHandler):
    """Says as MLflow does that it has no such experiment, to those who know the password; has no /health."""

    code, page = 404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}'

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == f"Basic {b64encode(b'ada:s3cret').decode()}"
        here = self.path.startswith("/api/2.0/mlflow/experiments/get-by-name?")
        self.send_response(self.code if known and here else 404 if known else 401)
        self.end_headers()
        self.wfile.write(self.page if known and here else b"no")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


_OTHERS = (
    b"<html>Welcome to the clinic's network</html>",
    b"",
    b"{}",
    b'{"status": "ok"}',
    b'{"experiment": {"experiment_id": "1", "name": "other"}}',
    *(b'{"experiment": "none"}', b'{"experiments": 3}', b"[]", b"\xff\xfe"),
)
"""What proxies and other servers answer with code 200."""


@pytest.fixture(params=[None, *_OTHERS])
def guarded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Whether a server that asks for a password is MLflow's, and not another or behind a proxy."""
    another = type("Another", (_Server,), {"code": 200, "page": request.param})
    with ThreadingHTTPServer(("127.0.0.1", 0), another if request.param is not None else _Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        yield request.param is None
        server.shutdown()


def test_server_behind_a_password_is_asked_as_mlflow_asks(guarded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrackingError, match=r"it does not know you \(401\): set MLFLOW_TRACKING_USERNAME"):
        check_server("http://here")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cret")
    if guarded:
        check_server("http://here")
        return
    with pytest.raises(TrackingError, match="no MLflow server at http://here"):
        check_server("http://here")


def test_server_gets_the_address_of_its_store_where_lists_of_processes_do_not_show_it(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda *words: called.append(words))
    serve(ServerConfig(port=free_port()))
    ((_, command, environment),) = called
    assert "mlflow.db" not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{store}/mlflow.db"


def test_moved_project_is_named_and_goes_on_once_it_is_repointed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_database: Path
) -> None:
    old, new = tmp_path / "old place", tmp_path / "new%20place"
    old.mkdir()
    shutil.copy(fresh_database, old / "mlflow.db")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(old)
    run_id = mlflow.MlflowClient().create_run(connect()).info.run_id
    mlflow.MlflowClient().log_dict(run_id, {"epochs": 3}, "config.json")
    old.rename(new)
    monkeypatch.chdir(new)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for ask in (connect, describe_store):
        with pytest.raises(
            TrackingError, match=f"at {old}/mlartifacts, but they lie at {new}/mlartifacts: `make repoint`"
        ):
            ask()
    assert repoint() == 2
    connect()
    describe_store()
    assert mlflow.artifacts.load_dict(f"{mlflow.get_run(run_id).info.artifact_uri}/config.json") == {"epochs": 3}
    assert not old.exists()
    assert repoint() == 0
    with pytest.raises(TrackingError, match=f"no address of the store lies below {old}/mlartifacts; .*{new}/mlartif"):
        repoint(old / "mlartifacts", new / "mlartifacts")


def test_project_that_was_moved_before_anything_was_logged_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_database: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    shutil.copy(fresh_database, old / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{old}/mlflow.db")
    chosen = connect()
    old.rename(new)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{new}/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", chosen)
    with pytest.raises(TrackingError, match="`make repoint` records the new place"):
        connect()
    assert repoint() == 1
    assert connect() == chosen


def test_copied_project_does_not_write_to_the_artifacts_of_the_first(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, copy = mlflow.MlflowClient().create_run(connect()).info.run_id, tmp_path / "copy"
    mlflow.MlflowClient().log_dict(run_id, {"epochs": 3}, "config.json")
    mlflow.MlflowClient().create_registered_model("cells")
    mlflow.MlflowClient().create_model_version("cells", f"{mlflow.get_run(run_id).info.artifact_uri}/model", run_id)
    copy.mkdir()
    shutil.copy(store / "mlflow.db", copy)
    shutil.copytree(store / "mlartifacts", copy / "mlartifacts")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{copy}/mlflow.db")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{copy}/mlflow.db")
    with pytest.raises(TrackingError, match=f"of which there is a copy at {copy}/mlartifacts: `make repoint`"):
        connect()
    repoint()
    connect()
    addresses = [
        mlflow.get_run(run_id).info.artifact_uri,
        mlflow.MlflowClient().get_model_version("cells", "1").source,
        mlflow.MlflowClient().get_model_version_download_uri("cells", "1"),
    ]
    assert all(address.startswith(f"{copy.as_uri()}/mlartifacts/") for address in addresses)
