"""How runs end that were complete as their process was stopped, and what is left to other projects."""

import os
import pkgutil
import signal
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from tests.forks import forks
from tests.sweep.test_claims import leave_claim
from wbc.config import RunConfig
from wbc.run import train_and_score
from wbc.tracking import claims
from wbc.tracking.store import connect
from wbc.tracking.sweeps import end_orphans


@pytest.mark.parametrize("met_by", ["the same run again", "a sweep"])
def test_run_killed_after_it_was_complete_is_finished_by_whoever_meets_it(
    small_config: Callable[..., RunConfig], met_by: str
) -> None:
    config = small_config(epochs=1)
    process = forks().Process(target=_die_ending, args=(dict(os.environ), config))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    (killed,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert (killed.info.status, killed.data.tags["complete"]) == ("RUNNING", "true")
    leave_claim(killed.info.run_id, age_s=0, pid=4242)
    for standing in (True, False):
        if met_by == "a sweep":
            end_orphans()
        else:
            assert train_and_score(config).done_already
        run = mlflow.get_run(killed.info.run_id)
        claimed = any(tag.startswith("claim") for tag in run.data.tags)
        assert (run.info.status, claimed) == (("RUNNING", True) if standing else ("FINISHED", False))
        leave_claim(killed.info.run_id, age_s=claims.EXPIRY_S + 1, pid=4242)


def _die_ending(environment: dict[str, str], config: RunConfig) -> None:
    os.environ.update(environment)
    mlflow.end_run = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    train_and_score(config)


@pytest.mark.parametrize("name", ["wbc.tracking.score_log.ScoreLog.complete", "mlflow.MlflowClient.set_terminated"])
def test_run_stopped_after_it_was_complete_is_finished(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real, signals = pkgutil.resolve_name(name), iter([signal.SIGTERM])

    def stopped(*arguments: object) -> None:
        if name.endswith("complete"):
            real(*arguments)
        for signum in signals:
            signal.raise_signal(signum)
        if not name.endswith("complete"):
            real(*arguments)

    monkeypatch.setattr(name, stopped)
    with pytest.raises(SystemExit):
        train_and_score(small_config(epochs=1))
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert (run.info.status, run.data.tags["complete"]) == ("FINISHED", "true")
    assert not [tag for tag in run.data.tags if tag.startswith("claim")]


def test_running_runs_of_other_projects_are_left_alone(store: Path) -> None:
    client, experiment = mlflow.MlflowClient(), connect()
    tags: list[dict[str, str]] = [
        {"trained_as": "a"},
        {"trained_as": "b", "claim.1": "theirs", "complete": "true"},
        {"kind": "sweep", "profile": "demo", "claim.1": "{}"},
    ]
    runs = [client.create_run(experiment, tags=each).info.run_id for each in tags]
    end_orphans()
    assert [client.get_run(run_id).info.status for run_id in runs] == ["RUNNING"] * 3
