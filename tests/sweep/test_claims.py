"""Claims to a run: one process at a time, of whatever machine; what happens to claims that are left behind."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import SimpleNamespace

import mlflow
import psutil
import pytest

from tests.conftest import Once
from tests.forks import forks
from tests.servers import free_port
from tests.test_run import stop_after
from wbc.config import RunConfig
from wbc.errors import BusyError
from wbc.run import train_and_score
from wbc.tracking import claims, connection, sweeps
from wbc.tracking.claims import Claim, claim_run, process_start, withdraw
from wbc.tracking.store import connect
from wbc.tracking.sweeps import end_orphans, open_sweep
from wbc.training.loop import train_epoch


@pytest.fixture
def interrupted_run(
    small_config: Callable[..., RunConfig], once: Once, monkeypatch: pytest.MonkeyPatch
) -> tuple[RunConfig, str]:
    """A run that stopped before its first epoch: its settings and id."""
    config = small_config(epochs=1)

    def interrupt() -> None:
        with monkeypatch.context() as patch:
            patch.setattr("wbc.training.fit.train_epoch", stop_after(0, KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                train_and_score(config)

    once("interrupted at once", interrupt)
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return config, run.info.run_id


def leave_claim(run_id: str, *, age_s: float, **owner: object) -> None:
    """Puts a claim on a run as another process would."""
    (text,) = Claim().tag.values()
    other = {**json.loads(text), "host": "gpu7", "machine": "another", "renewed": time.time() - age_s, **owner}
    client = mlflow.MlflowClient()
    client.set_tag(run_id, "claim.0", json.dumps(other))
    client.update_run(run_id, status="RUNNING")


def test_claim_of_another_machine_holds_until_it_was_not_renewed_for_long(
    interrupted_run: tuple[RunConfig, str],
) -> None:
    config, run_id = interrupted_run
    leave_claim(run_id, age_s=claims.EXPIRY_S - 30, pid=4242)
    with pytest.raises(BusyError, match="resnet50/seed0 is being run by gpu7:4242"):
        train_and_score(config)
    leave_claim(run_id, age_s=claims.EXPIRY_S + 1, pid=4242)
    assert train_and_score(config).run_id == run_id
    assert not [tag for tag in mlflow.get_run(run_id).data.tags if tag.startswith("claim")]


def test_claim_of_a_process_of_this_machine_ends_with_the_process(interrupted_run: tuple[RunConfig, str]) -> None:
    config, run_id = interrupted_run
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        mine = json.loads(next(iter(Claim().tag.values())))
        leave_claim(run_id, age_s=0, machine=mine["machine"], pid=other.pid, start=process_start(other.pid))
        with pytest.raises(BusyError):
            train_and_score(config)
    assert train_and_score(config).run_id == run_id


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the clock decides")
def test_claim_of_a_living_process_holds_when_the_clock_is_set(
    interrupted_run: tuple[RunConfig, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run_id = interrupted_run
    mine = json.loads(next(iter(Claim().tag.values())))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        leave_claim(run_id, age_s=0, machine=mine["machine"], pid=other.pid, start=process_start(other.pid))
        real = psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda process: real(process) + 3600)
        with pytest.raises(BusyError):
            train_and_score(config)
        leave_claim(run_id, age_s=0, machine=mine["machine"], pid=other.pid, start=process_start(other.pid) + 1)
        assert train_and_score(config).run_id == run_id  # the claim was of an earlier process of this number


def test_start_of_a_process_is_read_whatever_its_name(store: Path) -> None:
    python = store / "a) R 1 (b"
    python.symlink_to("/bin/sleep")
    with subprocess.Popen([python, "30"]) as other:
        begun, mine = process_start(other.pid), process_start(os.getpid())
        other.kill()
    assert begun is not None
    assert mine is not None
    assert begun > mine
    assert process_start(other.pid) is None


@pytest.mark.parametrize("whose", ["mine", "another user's"])
def test_process_that_is_not_shown_is_gone_only_if_it_would_be_ours(
    interrupted_run: tuple[RunConfig, str], monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    config, run_id = interrupted_run
    mine = json.loads(next(iter(Claim().tag.values())))
    monkeypatch.setattr(psutil.Process, "status", _hidden_from(os.getpid()))
    uid = mine["uid"] + (whose != "mine")
    leave_claim(run_id, age_s=0, machine=mine["machine"], pid=os.getppid(), uid=uid)
    if whose != "mine":
        with pytest.raises(BusyError):
            train_and_score(config)
        leave_claim(run_id, age_s=claims.EXPIRY_S + 1, machine=mine["machine"], pid=os.getppid(), uid=uid)
    assert train_and_score(config).run_id == run_id


def _hidden_from(seen: int) -> Callable[[psutil.Process], str]:
    """Returns a `psutil.Process.status` to which all processes but one are not there, as in /proc with hidepid=2."""
    real = psutil.Process.status

    def status(process: psutil.Process) -> str:
        if process.pid != seen:
            raise psutil.NoSuchProcess(process.pid)
        return real(process)

    return status


def test_run_that_another_process_took_over_stops_and_is_left_to_it(
    interrupted_run: tuple[RunConfig, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run_id = interrupted_run
    monkeypatch.setattr(claims, "RENEWAL_S", 0.05)
    log_start = mlflow.log_params

    def taken_over(*arguments: object, **keywords: object) -> None:
        for _ in range(20):  # a renewal that is under way writes the tag once more
            withdraw(run_id, [tag for tag in mlflow.get_run(run_id).data.tags if tag.startswith("claim")])
            time.sleep(0.05)
        log_start(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(mlflow, "log_params", taken_over)
    with pytest.raises(BusyError, match="taken over by another process"):
        train_and_score(config)
    assert mlflow.get_run(run_id).info.status == "RUNNING"


@pytest.mark.parametrize("claim_is_there_again", [False, True])
def test_run_taken_over_while_its_process_was_suspended_logs_nothing_more(
    interrupted_run: tuple[RunConfig, str], monkeypatch: pytest.MonkeyPatch, claim_is_there_again: bool
) -> None:
    config, run_id = interrupted_run
    client = mlflow.MlflowClient()

    def suspended(*arguments: object) -> object:
        result = train_epoch(*arguments)  # type: ignore[arg-type]
        (tag,) = [tag for tag in client.get_run(run_id).data.tags if tag.startswith("claim")]
        if not claim_is_there_again:
            client.delete_tag(run_id, tag)
        leave_claim(run_id, age_s=-400, pid=4242)
        client.log_metric(run_id, "train/loss", 0.5, step=1)
        monkeypatch.setattr(claims, "time", SimpleNamespace(time=lambda: time.time() + 400))
        return result

    monkeypatch.setattr("wbc.training.fit.train_epoch", suspended)
    with pytest.raises(BusyError, match="taken over by another process"):
        train_and_score(config)
    run = client.get_run(run_id)
    assert [point.value for point in client.get_metric_history(run_id, "train/loss")] == [0.5]
    assert "checkpoint" not in run.data.tags
    assert run.info.status == "RUNNING"


@pytest.mark.parametrize("server", ["refuses", "is silent"])
def test_claim_is_released_within_seconds_while_the_server_is_away(
    interrupted_run: tuple[RunConfig, str], monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    claim = Claim()
    claim.hold(mlflow.get_run(interrupted_run[1]))
    monkeypatch.setattr(connection, "_IMPATIENT_TIMEOUT_S", 1.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "9")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if server == "is silent" else free_port()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        began = time.monotonic()
        claim.release()
        assert time.monotonic() - began < 5


def test_run_is_marked_as_killed_only_when_no_claim_stands(
    interrupted_run: tuple[RunConfig, str],
) -> None:
    _, run_id = interrupted_run
    leave_claim(run_id, age_s=0, pid=4242)
    end_orphans()
    assert mlflow.get_run(run_id).info.status == "RUNNING"
    leave_claim(run_id, age_s=claims.EXPIRY_S + 1, pid=4242)
    end_orphans()
    assert mlflow.get_run(run_id).info.status == "KILLED"


def test_stopped_sweep_that_two_go_on_with_at_once_has_one_of_them(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_with_another(*arguments: str) -> str | None:
        run_id = find_stopped(*arguments)
        assert run_id == stopped
        leave_claim(run_id, age_s=0, pid=4242)
        return run_id

    with pytest.raises(KeyboardInterrupt), open_sweep("demo"):
        raise KeyboardInterrupt
    stopped = mlflow.search_runs(search_all_experiments=True, output_format="list")[0].info.run_id
    find_stopped = sweeps._stopped_sweep
    monkeypatch.setattr(sweeps, "_stopped_sweep", find_with_another)
    with open_sweep("demo"):
        assert os.environ["WBC_SWEEP_RUN"] != stopped
    tags = mlflow.get_run(stopped).data.tags
    assert [tag for tag in tags if tag.startswith("claim")] == ["claim.0"]


def test_runs_that_several_processes_claim_at_once_go_to_one_each(store: Path) -> None:
    connect()
    barrier, won = forks().Barrier(3), forks().Queue()
    processes = [forks().Process(target=_claim_all, args=(dict(os.environ), barrier, won)) for _ in range(3)]
    for process in processes:
        process.start()
    winners = [won.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(60)
    assert sorted(name for names in winners for name in names) == ["a", "b", "c", "d", "e"]
    assert len(mlflow.search_runs(search_all_experiments=True, output_format="list")) == 5


def test_run_that_is_given_up_is_never_without_its_claim(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else another process might go on with a run that is about to be deleted."""
    experiment, deleted = connect(), dict[str, list[str]]()
    other = claims.create_run(experiment, "run a", {"trained_as": "a"})
    create, delete = claims.create_run, mlflow.MlflowClient.delete_run

    def create_beside(*arguments: object) -> str:
        leave_claim(other, age_s=0, pid=4242)
        return create(*arguments)  # type: ignore[arg-type]

    def delete_run(client: mlflow.MlflowClient, run_id: str) -> None:
        deleted[run_id] = [tag for tag in client.get_run(run_id).data.tags if tag.startswith("claim")]
        delete(client, run_id)

    monkeypatch.setattr(claims, "create_run", create_beside)
    monkeypatch.setattr(claims, "search", searches_that_miss_at_first(other))
    monkeypatch.setattr(mlflow.MlflowClient, "delete_run", delete_run)
    with pytest.raises(BusyError, match="gpu7:4242"):
        claim_run("a", "run a", experiment, lambda _: False)
    assert [len(tags) for tags in deleted.values()] == [1]


def searches_that_miss_at_first(run_id: str) -> Callable[[str], list[mlflow.entities.Run]]:
    """Returns `search`, the first call of which does not see a run yet."""
    calls = list[str]()

    def search(text: str) -> list[mlflow.entities.Run]:
        calls.append(text)
        return [run for run in find(text) if len(calls) > 1 or run.info.run_id != run_id]

    find = claims.search
    return search


def _claim_all(environment: dict[str, str], barrier: Barrier, won: "multiprocessing.Queue[list[str]]") -> None:
    os.environ.update(environment)
    experiment, names = connect(), []
    for name in "abcde":
        barrier.wait()
        try:
            claim_run(name, f"run {name}", experiment, lambda _: False)
            names.append(name)
        except BusyError:
            pass
    won.put(names)
    barrier.wait()  # a claim ends with its process
