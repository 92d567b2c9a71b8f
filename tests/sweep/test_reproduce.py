"""A plan of small runs in worker processes: its table, what is done already, what fails, and the end of its parent."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import psutil
import pytest

from wbc.config import ReproduceConfig, RunConfig
from wbc.errors import ConfigError, TrainingError
from wbc.profiles import PROFILES, Profile
from wbc.sweep.reproduce import reproduce_profile

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small_profile(small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch) -> Profile:
    """The demo's profile, replaced by two seeds of one quick model on small folders."""
    config = small_config()
    names = {field.name for field in dataclasses.fields(Profile)} - {"targets", "seeds", "models", "epochs"}
    settings = {name: getattr(config, name) for name in names}
    profile = Profile(targets=",".join(config.targets), seeds=2, models=("resnet50",), epochs=1, **settings)
    monkeypatch.setitem(PROFILES, "demo", profile)
    return profile


def test_reproduce_prints_a_row_per_model_and_what_guessing_scores(
    small_profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    reproduce_profile(ReproduceConfig())
    table = capsys.readouterr().out
    assert "over seeds 0, 1 (Student t)" in table
    (row,) = (line for line in table.splitlines() if " resnet50 " in line)
    assert "(a)" in row
    assert "±" in row
    (guessing,) = (line for line in table.splitlines() if "always the largest class" in line)
    assert "20.00" in guessing
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert sorted(run.info.run_name for run in runs) == ["report/demo", "resnet50/seed0", "resnet50/seed1"]
    assert table.splitlines()[-1] == str(Path("paper_artifacts/demo/report.html").absolute())
    assert Path("paper_artifacts/demo/report.html").exists()


def test_reproduce_again_runs_only_what_is_not_done(small_profile: Profile, caplog: pytest.LogCaptureFixture) -> None:
    reproduce_profile(ReproduceConfig(seeds="0", jobs=1))
    caplog.clear()
    with caplog.at_level("INFO", logger="wbc"):
        reproduce_profile(ReproduceConfig(seeds="0,3", jobs=1))
    ended = [message for message in caplog.messages if "/seed" in message]
    assert ["(done already)" in message for message in ended] == [True, False]


def test_reproduce_goes_on_after_a_run_that_fails_and_says_so(
    small_profile: Profile, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="wbc"), pytest.raises(TrainingError, match="1 of 2 runs failed"):
        reproduce_profile(ReproduceConfig(models="timm:resnet18,resnet50", seeds="0", jobs=1))
    assert "timm:resnet18/seed0 failed: model 'timm:resnet18' has no thin variant" in caplog.text
    assert "failed" in capsys.readouterr().out


@pytest.mark.parametrize(("settings", "message"), [({"jobs": 0}, "jobs=0"), ({"seeds": "a"}, "seeds=a")])
def test_reproduce_refuses_what_is_not_allowed(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        reproduce_profile(ReproduceConfig(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_and_what_they_would_run_next_end_with_their_parent(
    small_profile: Profile, store: Path, signum: signal.Signals
) -> None:
    slow = dataclasses.replace(small_profile, epochs=500)
    script = store / "sweep.py"
    script.write_text(
        "from wbc.config import ReproduceConfig\n"
        "from wbc.profiles import PROFILES, Profile\n"
        "from wbc.sweep.reproduce import reproduce_profile\n"
        "if __name__ == '__main__':\n"
        f"    PROFILES['demo'] = {slow!r}\n"
        "    reproduce_profile(ReproduceConfig(seeds='0,1,2', jobs=1))\n"
    )
    parent = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 120
    filters = {"search_all_experiments": True, "filter_string": "metrics.`train/loss` > 0", "output_format": "list"}
    while not mlflow.search_runs(**filters) and time.monotonic() < deadline:
        time.sleep(0.2)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signum)
    parent.wait(60)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert children
    assert not alive
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.status == "KILLED"
