"""A plan of small runs in worker processes: its table, what is done already, what fails, and the end of its parent."""

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import mlflow
import psutil
import pytest
from mlflow.entities import Run

from tests.forks import start
from wbc.config import ReproduceConfig, RunConfig
from wbc.errors import ConfigError, TrainingError
from wbc.outcome import Outcome
from wbc.run import train_and_score
from wbc.studies import STUDIES, Study
from wbc.sweep import reproduce
from wbc.sweep.reproduce import reproduce_study
from wbc.sweep.runners import local
from wbc.tracking.read import read_trainings
from wbc.tracking.sweeps import end_orphans


def test_reproduce_prints_a_row_per_model_and_what_guessing_scores(
    small_study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    reproduce_study(ReproduceConfig())
    table = capsys.readouterr().out
    assert "seeds 0, 1: fewer than five seeds give no interval." in table
    (row,) = (line for line in table.splitlines() if " resnet50 " in line)
    assert "(a)" in row
    assert "–" in row
    (guessing,) = (line for line in table.splitlines() if "always the largest class" in line)
    assert "20.00" in guessing
    runs = all_runs()
    assert set(runs) == {"report/demo", "sweep/demo", "resnet50/seed0", "resnet50/seed1"}
    runs.pop("report/demo")
    sweep = runs.pop("sweep/demo")
    assert (sweep.info.status, sweep.data.tags["kind"], sweep.data.tags["profile"]) == ("FINISHED", "sweep", "demo")
    assert not {"model", "complete", "trained_as"} & set(sweep.data.tags)
    assert "**Table 4. Accuracy in %" in sweep.data.tags["mlflow.note.content"]
    assert [file.path for file in mlflow.artifacts.list_artifacts(run_id=sweep.info.run_id)] == ["report.html"]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {sweep.info.run_id}
    assert not [tag for run in [sweep, *runs.values()] for tag in run.data.tags if tag.startswith("claim")]
    assert table.splitlines()[-1] == str(Path("reports/demo/report.html").absolute())
    assert Path("reports/demo/report.html").exists()


def test_reproduce_again_runs_only_what_is_not_done(small_study: Study, caplog: pytest.LogCaptureFixture) -> None:
    reproduce_study(ReproduceConfig(seeds="0", jobs=1))
    caplog.clear()
    with caplog.at_level("INFO", logger="wbc"):
        reproduce_study(ReproduceConfig(seeds="0,3", jobs=1))
        before = mlflow.search_runs(search_all_experiments=True, output_format="list")
        reproduce_study(ReproduceConfig(seeds="0,3", jobs=1))
    ended = [message for message in caplog.messages if "/seed" in message]
    assert [message.split()[1] for message in ended] == ["resnet50/seed3"]
    assert "2 runs of demo: 1 done, 0 elsewhere, 1 to run" in caplog.messages
    after = mlflow.search_runs(search_all_experiments=True, output_format="list")
    kinds = [sorted(run.data.tags.get("kind", "cell") for run in runs) for runs in (before, after)]
    both = ["cell", "cell", "report", "report", "sweep", "sweep"]  # only where there was something to do
    assert kinds == [both, both]
    assert "the report stays" in caplog.messages[-1]


def test_reproduce_makes_a_report_again_that_was_edited(small_study: Study) -> None:
    reproduce_study(ReproduceConfig(seeds="0", jobs=1))
    page = Path("reports/demo/report.html")
    made = page.read_text()
    page.write_text("edited")
    reproduce_study(ReproduceConfig(seeds="0", jobs=1))
    assert page.read_text() == made


def test_reproduce_with_nothing_to_do_imports_no_pytorch(small_study: Study, store: Path) -> None:
    settings = {name: value for name, value in dataclasses.asdict(small_study).items() if value is not None}
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items() if value not in ("", [], ())]
    (store / "small.toml").write_text("\n".join(lines))
    options = ReproduceConfig(profile="small.toml", seeds="0", jobs=1)
    reproduce_study(options)
    script = (
        "import sys; from wbc.config import ReproduceConfig; from wbc.sweep.reproduce import reproduce_study\n"
        "for dry in (True, False):\n"
        "    reproduce_study(ReproduceConfig(profile='small.toml', seeds='0', dry_run=dry))\n"
        "print(sorted({'torch', 'timm', 'torchvision', 'matplotlib'} & set(sys.modules)))"
    )
    paths = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], env=paths, capture_output=True, text=True, check=True)
    assert "Nothing is left to run." in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def fail_by_a_bug(config: RunConfig) -> Outcome:
    """In a worker process, in place of a run."""
    if config.seed == 0:
        raise ZeroDivisionError("of a bug")
    return train_and_score(config)


def test_reproduce_goes_on_after_an_error_that_nobody_foresaw_and_shows_where_it_came_from(
    small_study: Study, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "_work", fail_by_a_bug)
    with caplog.at_level("INFO", logger="wbc"), pytest.raises(TrainingError, match="1 of 2 runs failed"):
        reproduce_study(ReproduceConfig(jobs=1))
    assert "resnet50/seed0 failed: ZeroDivisionError: of a bug" in caplog.text
    assert "in fail_by_a_bug" in caplog.text
    assert all_runs()["resnet50/seed1"].info.status == "FINISHED"


def test_sweep_of_mlflow_run_is_the_run_that_it_opened(small_study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = mlflow.MlflowClient().create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    reproduce_study(ReproduceConfig(seeds="0", jobs=1))
    runs = all_runs()
    assert set(runs) == {"sweep/demo", "resnet50/seed0", "report/demo"}
    assert runs["sweep/demo"].info.run_id == runs["resnet50/seed0"].data.tags["mlflow.parentRunId"] == opened


def test_dry_run_prints_what_is_done_and_hours_by_measured_rates_alone(
    small_study: Study, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reproduce_study(ReproduceConfig(dry_run=True))
    assert "Images are not prepared yet" in capsys.readouterr().out
    assert not (store / "data").exists()
    assert not all_runs()
    reproduce_study(ReproduceConfig(seeds="0", jobs=1))
    capsys.readouterr()
    reproduce_study(ReproduceConfig(models="resnet50,vgg16", seeds="0,1", dry_run=True))
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    assert rows == [["resnet50", "done", "to run"], ["vgg16", "to run", "to run"]]
    assert "4 cells: 1 done, 3 to run. runner=local" in out
    measured = all_runs()["resnet50/seed0"].data.metrics["train/images_per_s"]
    assert f"for 1 of them, at images/s measured: resnet50 {measured:.0f} (n=1)." in out
    assert "No rate is known, since none was measured on this hardware: vgg16 (2)." in out


@pytest.mark.parametrize("there", [False, True], ids=["no store yet", "a store"])
def test_dry_run_makes_nothing(small_study: Study, store: Path, there: bool) -> None:
    if there:
        read_trainings()
    else:
        (store / "mlflow.db").unlink()
    before = sorted(store.rglob("*"))
    reproduce_study(ReproduceConfig(dry_run=True))
    assert sorted(store.rglob("*")) == before


def test_dry_run_says_that_cells_without_their_weights_may_be_done(
    small_study: Study, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reproduce_study(ReproduceConfig(jobs=1))
    monkeypatch.setitem(STUDIES, "demo", dataclasses.replace(small_study, pretrained="patterns"))
    capsys.readouterr()
    reproduce_study(ReproduceConfig(dry_run=True))
    told = "Weights to start from are not here yet for 2 of the cells: whether those are done is not known."
    assert told in capsys.readouterr().out


def test_reproduce_goes_on_after_a_run_that_fails_and_says_so(
    small_study: Study, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="wbc"), pytest.raises(TrainingError, match="1 of 2 runs failed"):
        reproduce_study(ReproduceConfig(models="timm:resnet18,resnet50", seeds="0", jobs=1))
    assert "timm:resnet18/seed0 failed: model 'timm:resnet18' has no thin variant" in caplog.text
    assert "failed" in capsys.readouterr().out
    assert all_runs()["sweep/demo"].info.status == "FAILED"


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"jobs": 0}, "jobs=0"), ({"seeds": "a"}, "seeds=a"), ({"runner": "dokcer"}, "did you mean 'docker'")],
)
def test_reproduce_refuses_what_is_not_allowed(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        reproduce_study(ReproduceConfig(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_and_what_they_would_run_next_end_with_their_parent(
    small_study: Study, store: Path, signum: signal.Signals
) -> None:
    parent = start_sweep(dataclasses.replace(small_study, epochs=500), store)
    wait_for(lambda: "resnet50/seed0" in all_runs() and "train/loss" in all_runs()["resnet50/seed0"].data.metrics)
    children = psutil.Process(parent.pid).children(recursive=True)
    os.kill(parent.pid, signum)
    parent.join(60)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert children
    assert not alive
    runs = all_runs()
    assert set(runs) == {"sweep/demo", "resnet50/seed0"}
    assert runs["resnet50/seed0"].info.status == "KILLED"
    if signum == signal.SIGKILL:  # which leaves the sweep's own run to the next sweep
        end_orphans()
    assert all_runs()["sweep/demo"].info.status == "KILLED"


def test_run_of_a_worker_that_is_killed_goes_on_in_another(small_study: Study, store: Path) -> None:
    running = start_sweep(dataclasses.replace(small_study, epochs=40), store, seeds="0,1")
    wait_for(lambda: "resnet50/seed0" in all_runs() and "checkpoint" in all_runs()["resnet50/seed0"].data.tags)
    tags = all_runs()["resnet50/seed0"].data.tags
    worker = next(json.loads(text)["pid"] for name, text in tags.items() if name.startswith("claim."))
    os.kill(worker, signal.SIGKILL)
    running.join(240)
    assert running.exitcode == 0
    assert "a worker process was killed" in (store / "sweep0.log").read_text()
    check_whole(all_runs(), epochs=40)


def test_sweep_that_is_started_twice_at_once_runs_each_cell_once(small_study: Study, store: Path) -> None:
    profile = dataclasses.replace(small_study, epochs=20)
    sweeps = [start_sweep(profile, store, seeds="0,1", number=number) for number in range(2)]
    for each in sweeps:
        each.join(300)
    assert [each.exitcode for each in sweeps] == [0, 0]
    check_whole(all_runs(), epochs=20)
    for number in range(2):
        assert "seeds 0, 1: fewer than five" in (store / f"sweep{number}.out").read_text()


def all_runs() -> dict[str, Run]:
    """Returns the runs by name; of one name the newest."""
    found = mlflow.search_runs(search_all_experiments=True, output_format="list", order_by=["attributes.start_time"])
    return {run.info.run_name: run for run in found}


def check_whole(runs: dict[str, Run], epochs: int) -> None:
    """Makes sure that seeds 0 and 1 were run once each, by one sweep or two, without a gap."""
    found = mlflow.search_runs(search_all_experiments=True, output_format="list")
    cells = [run for run in found if "kind" not in run.data.tags]
    assert sorted(run.info.run_name for run in cells) == ["resnet50/seed0", "resnet50/seed1"]
    for run in cells:
        assert (run.info.status, run.data.tags["complete"]) == ("FINISHED", "true")
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/loss")
        assert [point.step for point in history] == list(range(1, epochs + 1))


def start_sweep(profile: Study, store: Path, seeds: str = "0,1,2", number: int = 0) -> ForkServerProcess:
    """Starts a sweep with one worker in a process of its own, its output in sweep<number>.out and .log."""
    return start(store / f"sweep{number}.out", store / f"sweep{number}.log", sweep, profile, seeds)


def sweep(profile: Study, seeds: str) -> None:
    """Runs a sweep, in a process of its own; its worker is started as a user's is."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    reproduce.WAIT_S = 0.5  # type: ignore[misc]
    STUDIES["demo"] = profile
    reproduce_study(ReproduceConfig(seeds=seeds, jobs=1))


def wait_for(condition: Callable[[], bool], timeout_s: float = 300) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
