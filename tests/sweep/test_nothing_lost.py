"""What must survive: workers killed outright, a server that is away, a full disk."""

import itertools
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from tests.conftest import name_of, write_cells
from tests.forks import forks, run_command, run_module, start
from tests.servers import free_port, mlflow_server
from tests.sweep.phases import PHASES, Reaper
from tests.test_run import predictions_of
from wbc.config import RunConfig
from wbc.data.cache import Geometry
from wbc.data.catalog import find_domain
from wbc.data.disk import one_writer
from wbc.data.images import load_images
from wbc.data.splits import parse_source
from wbc.errors import TrackingError
from wbc.inputs import load_inputs
from wbc.run import train_and_score
from wbc.tracking.store import connect
from wbc.training import fit
from wbc.training.loop import train_epoch

KILLS = int(os.environ.get("WBC_TEST_KILLS", "8"))
OUTAGE_S = float(os.environ.get("WBC_TEST_OUTAGE_S", "15"))
OUTAGE_EPOCHS = 100


def all_runs() -> list[Run]:
    runs: list[Run] = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return runs


def wait_for_checkpoint(*names: str) -> None:
    """Returns once the one run there is names one of these checkpoints as its last."""
    deadline = time.monotonic() + 300
    while all_runs()[0].data.tags.get("checkpoint") not in names:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def started(configs: Sequence[RunConfig], reaper: Reaper | None = None) -> ForkServerProcess:
    """Returns a process that runs a grid as a worker would, forked from one with PyTorch and MLflow, and ready to."""
    ready = forks().Event()
    process = forks().Process(target=_work, args=(dict(os.environ), configs, ready, reaper))
    process.start()
    assert ready.wait(300)
    return process


def _work(environment: dict[str, str], configs: Sequence[RunConfig], ready: Event, reaper: Reaper | None) -> None:
    os.environ.update(environment)
    if reaper:
        reaper.watch()
    connect()
    load_inputs(configs[0])
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
    assert {"train/loss", "train/lr", f"test/{name_of('away')}/accuracy", f"test/{name_of('away')}/ece"} <= set(history)
    checkpoints = Path(run.info.artifact_uri.removeprefix("file://"), "checkpoint")
    assert [path.name for path in checkpoints.iterdir()] == ["final.pt"], name
    assert len(run.inputs.dataset_inputs) == 2, name
    (model,) = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    assert (model.model_id, str(model.status)) == (run.data.tags["model_id"], "READY"), name
    of_run = ("train/", "score/", "system/")
    logged = {metric.key: metric.value for metric in model.metrics or [] if not metric.key.startswith("system/")}
    assert logged == {key: points[0].value for key, points in history.items() if not key.startswith(of_run)}, name


def test_grid_whose_worker_is_killed_over_and_over_ends_as_one_that_is_left_alone(
    small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = itertools.cycle(("resnet50", "vgg16"))
    cells = (small_config(model=model, epochs=3, seed=seed) for seed, model in enumerate(models))
    configs, reaper, drawn = [next(cells)], Reaper(forks()), random.Random(0)
    worker = started(configs, reaper)
    worker.join()
    assert worker.exitcode == 0
    while sum(reaper.kills) < KILLS:
        first = drawn.randrange(len(PHASES))
        for phase in (PHASES[first:] + PHASES[:first])[: KILLS - sum(reaper.kills)]:
            reaper.draw(phase, drawn)
            while (worker := started(configs[-1:], reaper)).join() or worker.exitcode == 0:  # those before are done
                configs.append(next(cells))
            assert worker.exitcode == -signal.SIGALRM
    assert all(reaper.kills) or len(PHASES) > KILLS, reaper.kills
    worker = started(configs)
    worker.join()
    assert worker.exitcode == 0
    runs = {run.info.run_name: run for run in all_runs()}
    assert len(all_runs()) == len(runs) == len(configs)
    for config in configs:
        check_run(runs[f"{config.model}/seed{config.seed}"], config)
    predictions = {name: predictions_of(run.info.run_id, name_of("away")) for name, run in runs.items()}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/other.db")
    worker = started(configs)
    worker.join()
    assert {run.info.run_name: predictions_of(run.info.run_id, name_of("away")) for run in all_runs()} == predictions


def test_training_goes_on_while_the_server_is_away_and_all_metrics_are_there_after(
    small_config: Callable[..., RunConfig],
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config, port = small_config(epochs=OUTAGE_EPOCHS, checkpoint_every=10), free_port()
    serve = partial(mlflow_server, port, f"sqlite:///{store}/other.db", store / "artifacts")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    during: list[str] = []
    with ThreadPoolExecutor(1) as pool, ExitStack() as servers:
        servers.enter_context(serve())
        caplog.set_level("INFO", logger="wbc")
        run = pool.submit(train_and_score, config)
        while not any("epoch 12/" in message for message in caplog.messages):
            assert not run.done()
            time.sleep(0.05)
        servers.close()
        before = len(caplog.messages)
        time.sleep(OUTAGE_S)
        during = caplog.messages[before:]
        servers.enter_context(serve())
        outcome = run.result(120)
        (logged,) = all_runs()
        assert (logged.info.run_id, logged.info.status) == (outcome.run_id, "FINISHED")
        history = mlflow.MlflowClient().get_metric_history(outcome.run_id, "train/loss")
        assert [point.step for point in history] == list(range(1, OUTAGE_EPOCHS + 1))
        artifacts = mlflow.artifacts.list_artifacts(run_id=outcome.run_id, artifact_path="checkpoint")
        assert [artifact.path for artifact in artifacts] == ["checkpoint/final.pt"]
    assert sum("epoch " in message for message in during) >= 20


def test_server_that_stays_away_ends_the_run_in_one_line_and_it_can_be_resumed(
    small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, port = small_config(epochs=4), free_port()
    serve = partial(mlflow_server, port, f"sqlite:///{store}/other.db", store / "artifacts")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    with ExitStack() as servers:
        servers.enter_context(serve())

        def crash(*arguments: object) -> object:
            if arguments[3] == 2:
                wait_for_checkpoint("checkpoint/epoch_0001.pt", "checkpoint/epoch_0002.pt")
                servers.close()
            return train_epoch(*arguments)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(fit, "train_epoch", crash)
            with pytest.raises(
                TrackingError, match=r"did not answer, asked 3 times. Correct this and run the same command again"
            ):
                train_and_score(config)
        servers.enter_context(serve())
        (stopped,) = all_runs()
        assert stopped.data.tags["checkpoint"] in ("checkpoint/epoch_0001.pt", "checkpoint/epoch_0002.pt")
        assert train_and_score(config).run_id == stopped.info.run_id
        history = mlflow.MlflowClient().get_metric_history(stopped.info.run_id, "train/loss")
        assert [point.step for point in history] == [1, 2, 3, 4]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_full_disk_is_told_and_leaves_the_earlier_checkpoint_to_go_on_from(
    small_config: Callable[..., RunConfig], store: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(epochs=4)
    shutil.copy(store / "mlflow.db", small_disk)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{small_disk}/mlflow.db")
    options = [f"--{name}={getattr(config, name)}" for name in ("model", "source", "scale", "pretrained", "epochs")]
    options += [f"--{name}={getattr(config, name)}" for name in ("image_size", "batch_size", "checkpoint_every")]
    command = ["entrypoints.train", *options, "--targets", ",".join(config.targets)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    ballast, said = small_disk / "ballast", forks().Queue()
    first = forks().Process(target=_fill_and_train, args=(dict(os.environ), config, ballast, said))
    first.start()
    assert re.search(r"the tracking store .* fails: .*(No space left|full)", said.get(timeout=300))
    first.join()  # its claim ends with it: there is no room to withdraw it
    refused = run_command(*command)
    assert (refused.returncode, "Traceback" in refused.stderr) == (2, False), refused.stderr
    assert "full" in refused.stderr or "No space left" in refused.stderr
    ballast.unlink()
    (stopped,) = all_runs()
    assert stopped.data.tags["checkpoint"] == "checkpoint/epoch_0002.pt"
    resumed = run_command(*command)
    assert resumed.returncode == 0, resumed.stderr
    assert f"going on with the run {stopped.info.run_id}" in resumed.stderr
    assert "epoch 2/4" not in resumed.stderr
    (finished,) = all_runs()
    check_run(finished, config)


def _fill_and_train(
    environment: dict[str, str], config: RunConfig, ballast: Path, said: "multiprocessing.Queue[str]"
) -> None:
    """Fills the disk in the third epoch, once the second one's checkpoint is there; says what training ends with."""
    os.environ.update(environment)

    def fill(*arguments: object) -> object:
        if arguments[3] == 2:
            wait_for_checkpoint("checkpoint/epoch_0002.pt")
            ballast.write_bytes(bytes(shutil.disk_usage(ballast.parent).free - 4096))
        return train_epoch(*arguments)  # type: ignore[arg-type]

    fit.train_epoch = fill  # type: ignore[assignment]
    try:
        train_and_score(config)
    except TrackingError as error:
        said.put(str(error))


def test_two_prepares_at_once_make_one_cache_that_both_can_use(store: Path) -> None:
    write_cells(store / "slides", 40)
    command = ["entrypoints.prepare", "--domains", f"folder:{store}/slides", "--image_size", "64"]
    reference = parse_source(f"folder:{store}/slides")
    home, logs = store / "data" / find_domain(reference.key).slug, [store / "first.log", store / "second.log"]
    with one_writer(home):
        both = [start(log.with_suffix(".out"), log, run_module, *command) for log in logs]
        deadline = time.monotonic() + 120
        while not all(log.exists() and "another process is preparing it" in log.read_text() for log in logs):
            assert time.monotonic() < deadline
            assert [process.exitcode for process in both] == [None, None]
            time.sleep(0.1)
        assert [path.name for path in home.iterdir()] == [".lock"]
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    outputs = [log.with_suffix(".out").read_text() for log in logs]
    assert outputs[0] == outputs[1]
    assert "".join(log.read_text() for log in logs).count("200 images are ready") == 1
    assert {path.name for path in home.iterdir()} == {
        ".lock",
        "manifest.csv",
        "cache-squash64.bin",
        "cache-squash64.json",
    }
    images = load_images(reference, Geometry("squash", 64), data_dir=store / "data")
    assert images.pixels.square.shape == (200, 64, 64, 3)
