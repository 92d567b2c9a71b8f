"""Plans on a Ray cluster: a node that is lost, nodes that differ, no cluster there, and the end of the sweep."""

import contextlib
import dataclasses
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import psutil
import pytest

from tests.servers import free_port
from wbc.config import ReproduceConfig, RunConfig
from wbc.errors import BusyError, ConfigError, RunnerError
from wbc.outcome import Outcome
from wbc.run import train_and_score
from wbc.tracking.store import connect

# Ray reads these once per process: a token of the tests' own, so that none is written to the home folder.
# Its workers do not give way to all other work, which on a busy machine they would do for ever.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_worker_niceness": "0"}
if not importlib.util.find_spec("ray"):
    pytest.skip("Ray is not installed: make setup", allow_module_level=True)

from wbc.sweep.runners import ray as cluster
from wbc.sweep.runners.ray import RayRunner
from wbc.sweep.runners.ray_cluster import cluster_environment
from wbc.sweep.runners.ray_worker import Misfit

ROOT = Path(__file__).parents[3]
EPOCHS = 100
"""So many that a run is still going when its node is lost, on a quick machine too."""


class Nodes:
    """A head node and others that join it, on this machine with one CPU each: to Ray they are as many machines."""

    def __init__(self, folder: str) -> None:
        port, client_port = free_port(), free_port()
        self.address = f"ray://127.0.0.1:{client_port}"
        quick = {"period_ms": 500, "timeout_ms": 1000, "failure_threshold": 4, "initial_delay_ms": 0}
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "tests" / "sweep"),  # not this code: it goes along with the sweep
            "PYTHONUNBUFFERED": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            **{f"RAY_health_check_{name}": str(value) for name, value in quick.items()},
        }
        dashboard = ["--include-dashboard", "false", "--dashboard-agent-listen-port", "0"]
        head = ["--head", "--port", f"{port}", "--ray-client-server-port", f"{client_port}", "--temp-dir", folder]
        self._processes = [self._start(folder, *head, *dashboard)]
        self._wait_for(client_port)
        self._join, self._log = [folder, "--address", f"127.0.0.1:{port}"], Path(folder, "log")

    def join(self, **variables: str) -> None:
        """Starts one more node, with these variables besides the head's."""
        self._environment |= variables
        self._processes.append(self._start(*self._join))

    def wait_until_alive(self) -> None:
        """Returns once all nodes that were started belong to the cluster."""
        deadline = time.monotonic() + 120
        while self._log.read_text().count("Ray runtime started.") < len(self._processes):
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.2)

    def end(self) -> None:
        for index in reversed(range(len(self._processes))):
            self.kill(index)

    def kill(self, index: int) -> None:
        """Ends a node and all that runs on it as a power cut would."""
        with contextlib.suppress(psutil.NoSuchProcess):
            node = psutil.Process(self._processes[index].pid)
            for process in [node, *node.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._processes[index].wait(30)

    def _start(self, folder: str, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--node-ip-address", "127.0.0.1"]
        with Path(folder, "log").open("ab") as log:
            ports = ["--min-worker-port", "0", "--max-worker-port", "0", "--num-cpus", "1", "--disable-usage-stats"]
            command += [*ports, "--object-store-memory", str(100 * 2**20), *arguments]
            return subprocess.Popen(command, env=self._environment, cwd=folder, stdout=log, stderr=log)

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.2)


@pytest.fixture
def head(store: Path) -> Iterator[Nodes]:
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:  # sockets want a short path
        started = Nodes(folder)
        try:
            yield started
        finally:
            started.end()


@pytest.fixture
def nodes(head: Nodes) -> Nodes:
    head.join()
    head.wait_until_alive()
    return head


def losses(run_id: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in mlflow.MlflowClient().get_metric_history(run_id, "train/loss")]


def predictions(run_id: str) -> dict[str, bytes]:
    folder = Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/predictions"))
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_run_on_a_lost_node_ends_on_another_as_if_nothing_had_been(
    nodes: Nodes,
    small_config: Callable[..., RunConfig],
    monkeypatch: pytest.MonkeyPatch,
    store: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    configs = [small_config(seed=seed, epochs=EPOCHS, checkpoint_every=5) for seed in (0, 1)]
    connect()  # MLflow opens a store in one thread at a time

    def lose_a_node() -> None:
        under_way = {"search_all_experiments": True, "filter_string": "tags.checkpoint LIKE '%epoch%'"}
        while len(mlflow.search_runs(output_format="list", **under_way)) < 2:
            time.sleep(0.1)
        nodes.kill(1)

    killer = threading.Thread(target=lose_a_node, daemon=True)
    killer.start()
    options = ReproduceConfig(runner="ray", address=nodes.address)
    with caplog.at_level("INFO", logger="wbc"):
        results = dict(RayRunner(options).run(configs))
    assert not killer.is_alive()
    assert "lost its worker and starts again from its last checkpoint" in caplog.text
    outcomes = [results[config] for config in configs]
    assert all(isinstance(outcome, Outcome) for outcome in outcomes)
    ids = [outcome.run_id for outcome in outcomes if isinstance(outcome, Outcome)]
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert sorted((run.info.run_id, run.info.status) for run in runs) == sorted((run_id, "FINISHED") for run_id in ids)
    logged = [losses(run_id) for run_id in ids]
    written = [predictions(run_id) for run_id in ids]

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/other.db")
    undisturbed = [train_and_score(dataclasses.replace(config, checkpoint_every=EPOCHS)) for config in configs]
    assert [[step for step, _ in run] for run in logged] == [list(range(1, EPOCHS + 1))] * 2
    assert logged == [losses(outcome.run_id) for outcome in undisturbed]
    assert written == [predictions(outcome.run_id) for outcome in undisturbed]


def other_timm(folder: Path) -> str:
    """Returns a folder that makes another version of timm of the one that is installed, where it is on the path."""
    metadata = folder / "elsewhere" / "timm-0.0.1.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: timm\nVersion: 0.0.1\n")
    return str(metadata.parents[1])


def test_nodes_that_differ_are_refused_by_name_and_with_the_difference(
    small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", other_timm(store))  # of the nodes that Ray starts, not of this process
    with pytest.raises(RunnerError, match=rf"^node {socket.gethostname()} has timm 0\.0\.1, not [^;]+: .*make setup"):
        list(RayRunner(ReproduceConfig(runner="ray")).run([small_config()]))
    assert not mlflow.search_runs(search_all_experiments=True, output_format="list")


def test_node_that_joins_late_and_differs_gets_no_runs(
    head: Nodes, small_config: Callable[..., RunConfig], store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configs = [
        small_config(seed=seed, epochs=epochs, checkpoint_every=1000) for seed, epochs in ((0, 600), (1, 1), (2, 1))
    ]
    connect()

    def join_late() -> None:
        under_way = {"search_all_experiments": True, "filter_string": "metrics.`train/loss` > 0"}
        while not mlflow.search_runs(output_format="list", **under_way):
            time.sleep(0.1)
        head.join(PYTHONPATH=other_timm(store))

    joiner = threading.Thread(target=join_late, daemon=True)
    joiner.start()
    results = list(RayRunner(ReproduceConfig(runner="ray", address=head.address)).run(configs))
    assert not joiner.is_alive()
    assert "has timm 0.0.1, not" in caplog.text
    assert caplog.text.count("No more runs start there.") == 1
    assert {config.seed for config, result in results if isinstance(result, Outcome)} == {0, 1, 2}


def test_run_of_which_no_node_takes_another_attempt_fails_with_the_difference(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, misfit = small_config(), Misfit("a", "node a has other images.")
    nodes = [{"NodeID": name, "Alive": True, "NodeManagerHostname": name, "Resources": {"CPU": 4.0}} for name in "ab"]
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(cluster, "cluster_environment", lambda *_: {})
    work = cluster._Work([config], ReproduceConfig(runner="ray"))
    attempt = work.elsewhere(cluster._Attempt(config), misfit)
    assert attempt == cluster._Attempt(config, losses=1)
    assert str(work.elsewhere(cluster._Attempt(config, losses=cluster.LOSSES), misfit)) == misfit.told
    assert str(work.elsewhere(attempt, Misfit("b", "node b too."))) == "node b too."


@pytest.mark.parametrize(
    ("losses", "lost_s_ago", "waits"), [(1, 5, True), (0, 5, False), (1, cluster.CLAIM_S + 1, False)]
)
def test_run_waits_for_the_claim_of_the_worker_it_lost_and_for_no_others(
    small_config: Callable[..., RunConfig],
    monkeypatch: pytest.MonkeyPatch,
    losses: int,
    lost_s_ago: float,
    waits: bool,
) -> None:
    busy, now = BusyError("node1:7 is at it."), time.monotonic()
    monkeypatch.setattr(cluster.ray, "get", lambda _: busy)
    attempt = cluster._Attempt(small_config(), losses=losses, lost_at=now - lost_s_ago)
    result = cluster._result(None, attempt)
    if waits:
        assert isinstance(result, cluster._Attempt)
        assert result == dataclasses.replace(attempt, not_before=result.not_before)
        assert now + 5 < result.not_before < now + 15
    else:
        assert result is busy


def test_run_that_no_node_has_room_for_is_refused(small_config: Callable[..., RunConfig]) -> None:
    options = ReproduceConfig(runner="ray", cpus=1000)
    with pytest.raises(RunnerError, match="no node of the Ray cluster has 1000 CPUs and 0 GPUs for resnet50/seed0"):
        list(RayRunner(options).run([small_config()]))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://127.0.0.1:9", "no Ray cluster at ray://127.0.0.1:9: .*refused"),
        ("ray://127.0.0.1", "must be ray://HOST:PORT, auto or local"),
    ],
)
def test_no_cluster_at_the_address_is_told_within_seconds(
    address: str, message: str, small_config: Callable[..., RunConfig]
) -> None:
    started = time.monotonic()
    with pytest.raises(RunnerError, match=message):
        RayRunner(ReproduceConfig(runner="ray", address=address)).plan([small_config()])
    assert time.monotonic() - started < 15


def test_device_is_what_runs_ask_for_whatever_this_machine_has(small_config: Callable[..., RunConfig]) -> None:
    config = small_config()
    options = ReproduceConfig(runner="ray", address="ray://elsewhere:10001", gpus=0.5)
    (fitted,) = RayRunner(options).plan([config])
    assert fitted == dataclasses.replace(config, device="cuda")


def test_store_in_files_is_refused_for_a_cluster_of_other_machines(store: Path) -> None:
    with pytest.raises(ConfigError, match=r"other machines \(node7\), which do not reach .*mlflow.db: start an MLflow"):
        cluster_environment("ray://node7:10001", {"node7"})


def test_sigterm_marks_runs_as_killed_and_leaves_no_process(
    small_config: Callable[..., RunConfig], store: Path
) -> None:
    script = store / "sweep.py"
    script.write_text(
        "from wbc.config import ReproduceConfig, RunConfig\n"
        "from wbc.sweep.runners.ray import RayRunner\n"
        f"list(RayRunner(ReproduceConfig(runner='ray')).run([{small_config(epochs=5000)!r}]))\n"
    )
    sweep = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)})
    filters = {"search_all_experiments": True, "filter_string": "metrics.`train/loss` > 0", "output_format": "list"}
    deadline = time.monotonic() + 120
    while not mlflow.search_runs(**filters) and time.monotonic() < deadline:
        time.sleep(0.2)
    children = psutil.Process(sweep.pid).children(recursive=True)
    sweep.send_signal(signal.SIGTERM)
    assert sweep.wait(60) == 128 + signal.SIGTERM
    _, alive = psutil.wait_procs(children, timeout=30)
    assert children
    assert not alive
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.status == "KILLED"
