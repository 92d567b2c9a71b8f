"""Runs in real containers: their results, limits and ends; and what is said where there is no engine, GPU or image.

Without an engine and an image of the code that is here (`make image`) most of these tests skip.
"""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from unittest.mock import MagicMock

import docker
import mlflow
import pytest
from filelock import FileLock

from tests.conftest import name_of
from tests.servers import free_port, mlflow_server
from wbc.config import ReproduceConfig, RunConfig
from wbc.errors import ConfigError, RunnerError, TrainingError
from wbc.inputs import load_inputs
from wbc.run import train_and_score
from wbc.sweep.runners.containers import container_environment, container_settings
from wbc.sweep.runners.docker import DockerRunner, _failure, _Sweep
from wbc.sweep.runners.image import build_arguments, connect_engine, find_image
from wbc.tracking import read
from wbc.tracking.store import search

ROOT = Path(__file__).parents[3]
SOME_RUN = {"search_all_experiments": True, "filter_string": "metrics.`train/loss` > 0", "output_format": "list"}
LONG_EPOCHS = 300
"""More than a run trains in the seconds that it takes to see that it does, and to stop it."""


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    """An engine that has an image of the code that is here; for one test at a time, since sweeps clean up."""
    try:
        client = connect_engine()
        find_image(client, ReproduceConfig().image)
    except RunnerError as error:
        pytest.skip(str(error))
    with FileLock(Path(tempfile.gettempdir()) / "wbc-container-tests.lock"):
        yield client


def containers(engine: docker.DockerClient) -> list[str]:
    """Returns the states of this project's containers."""
    return [each.status for each in engine.containers.list(all=True, filters={"label": "wbc.sweep"})]


def test_run_in_a_container_is_the_local_run_bit_for_bit_and_known_to_both(
    engine: docker.DockerClient, small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config()
    load_inputs(config)
    faulty = dataclasses.replace(config, model="timm:resnet18")
    results = dict(DockerRunner(ReproduceConfig()).run([faulty, config]))
    assert "has no thin variant" in str(results[faulty])
    inside = results[config]
    assert not isinstance(inside, Exception)
    assert train_and_score(config) == dataclasses.replace(inside, done_already=True)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/other.db")
    outside = train_and_score(config)
    assert outside.accuracies == inside.accuracies
    (again,) = DockerRunner(ReproduceConfig()).run([config])
    assert again == (config, outside)

    predictions = {
        path.parents[2].name: path for path in (store / "mlartifacts").rglob(f"predictions/{name_of('away')}.csv")
    }
    assert predictions[inside.run_id].read_bytes() == predictions[outside.run_id].read_bytes()
    assert {path.stat().st_uid for path in store.rglob("*")} == {os.getuid()}
    assert containers(engine) == []


def test_run_in_a_container_reaches_a_server_on_this_machine(
    engine: docker.DockerClient, small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config()
    load_inputs(config)
    with mlflow_server(free_port(), f"sqlite:///{store}/other.db", store / "artifacts") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        ((_, outcome),) = DockerRunner(ReproduceConfig()).run([config])
        assert not isinstance(outcome, Exception)
        assert mlflow.get_run(outcome.run_id).info.status == "FINISHED"
    assert list((store / "artifacts").rglob("final.pt"))
    assert not (store / "mlartifacts").exists()
    assert containers(engine) == []


def test_image_runs_as_a_user_below_an_init_and_says_what_it_is_and_no_secrets(engine: docker.DockerClient) -> None:
    image = find_image(engine, ReproduceConfig().image)
    settings = image.attrs["Config"]
    assert settings["User"] not in ("", "0", "root")
    assert settings["Entrypoint"] == ["tini", "--"]
    label = {name.removeprefix("org.opencontainers.image."): value for name, value in image.labels.items()}
    assert (label["title"], label["licenses"]) == ("wbc-benchmark", "MIT")
    assert label["version"] == build_arguments()["VERSION"]
    assert {"description", "source"} <= set(label)
    commit = label["revision"].removesuffix("+")
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert subprocess.run(["git", "-C", ROOT, "cat-file", "-e", f"{commit}^{{commit}}"]).returncode == 0
    assert f"WBC_COMMIT={label['revision']}" in settings["Env"]
    for text in (*settings["Env"], *(layer["CreatedBy"] for layer in image.history())):
        assert not re.search("MLFLOW_TRACKING_|AWS_|PASSWORD|SECRET|TOKEN", text), text


def test_run_that_outgrows_its_memory_is_named(
    engine: docker.DockerClient, small_config: Callable[..., RunConfig]
) -> None:
    ((_, error),) = DockerRunner(ReproduceConfig(runner="docker", memory="128m")).run([small_config()])
    assert isinstance(error, TrainingError)
    assert str(error).startswith("killed, since it needed more memory than memory=128m: give it more")


def test_containers_cannot_write_to_the_images(
    engine: docker.DockerClient, small_config: Callable[..., RunConfig], store: Path
) -> None:
    ((_, error),) = DockerRunner(ReproduceConfig()).run([small_config()])  # its images are not prepared
    assert f"the data folder '{store}/data' cannot be written to: Read-only file system" in str(error)
    assert list((store / "data").iterdir()) == []


def test_containers_have_no_capabilities_and_gain_none(
    engine: docker.DockerClient, small_config: Callable[..., RunConfig]
) -> None:
    settings = container_settings([small_config()], None, cpus=1, jobs=1, gpus=0)
    words = ["grep", "-E", "^(CapEff|CapBnd|NoNewPrivs)", "/proc/self/status"]
    said = engine.containers.run(ReproduceConfig().image, words, remove=True, **settings).decode()
    assert said.split() == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


def test_sweep_that_is_stopped_or_killed_goes_on_with_the_next(
    engine: docker.DockerClient, small_config: Callable[..., RunConfig], store: Path
) -> None:
    config = small_config(epochs=LONG_EPOCHS, checkpoint_every=20)
    load_inputs(config)
    script = store / "sweep.py"
    script.write_text(
        "from wbc.config import ReproduceConfig, RunConfig\n"
        "from wbc.processes import signals_exit\n"
        "from wbc.sweep.runners.docker import DockerRunner\n"
        f"with signals_exit():\n    list(DockerRunner(ReproduceConfig()).run([{config!r}]))\n"
    )

    def start_and_end_by(signum: signal.Signals) -> None:
        before = sum(run.data.metrics["train/loss"] for run in mlflow.search_runs(**SOME_RUN))
        sweep = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)})
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if before != sum(run.data.metrics["train/loss"] for run in mlflow.search_runs(**SOME_RUN)):
                break
            time.sleep(0.2)
        sweep.send_signal(signum)
        sweep.wait(60)

    start_and_end_by(signal.SIGTERM)
    assert containers(engine) == []
    (run,) = mlflow.search_runs(**SOME_RUN)
    assert run.info.status == "KILLED"
    start_and_end_by(signal.SIGKILL)
    assert containers(engine) == ["running"]
    ((_, outcome),) = DockerRunner(ReproduceConfig()).run([config])
    assert not isinstance(outcome, Exception)
    assert outcome.run_id == run.info.run_id
    assert containers(engine) == []
    steps = [point.step for point in mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/loss")]
    assert steps == list(range(1, LONG_EPOCHS + 1))


def test_gpu_that_the_engine_cannot_give_is_one_line_and_leaves_no_container(
    engine: docker.DockerClient, small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "nvidia" in engine.info()["Runtimes"]:
        pytest.skip("this engine has the NVIDIA runtime")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    config = dataclasses.replace(small_config(), device="cuda")
    with pytest.raises(RunnerError, match="install the NVIDIA Container Toolkit"):
        list(DockerRunner(ReproduceConfig()).run([config]))
    assert containers(engine) == []


@pytest.mark.parametrize(
    ("settings", "message"), [({"memory": "lots"}, "memory=lots"), ({"cpus": 0}, "cpus=0"), ({"cpus": 9999}, "cpus=9")]
)
def test_limits_that_are_not_allowed_are_refused(
    engine: docker.DockerClient,
    small_config: Callable[..., RunConfig],
    settings: dict[str, object],
    message: str,
) -> None:
    with pytest.raises(ConfigError, match=message):
        list(DockerRunner(ReproduceConfig(runner="docker", **settings)).run([small_config()]))  # type: ignore[arg-type]


def test_image_that_is_not_there_or_of_other_code_is_refused(engine: docker.DockerClient) -> None:
    with pytest.raises(RunnerError, match="no Docker image 'wbc-none' here: build it by `make image IMAGE=wbc-none`"):
        find_image(engine, "wbc-none")
    wanted = build_arguments()
    labels = {"wbc.code": "0123456789abcdef", "wbc.lock": wanted["LOCK"]}
    text = "FROM scratch\n" + "".join(f"LABEL {name}={value}\n" for name, value in labels.items())
    other, _ = engine.images.build(fileobj=BytesIO(text.encode()), tag="wbc-other", forcerm=True)
    try:
        with pytest.raises(RunnerError, match=f"other code \\(0123456789abcdef\\) than is here \\({wanted['CODE']}\\)"):
            find_image(engine, "wbc-other")
    finally:
        engine.images.remove(other.id, force=True)


def test_run_that_has_ended_in_its_container_is_asked_for_alone(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, asked = small_config(epochs=1), list[str]()
    train_and_score(dataclasses.replace(config, seed=1))
    ended = MagicMock(**{"logs.return_value": [], "wait.return_value": {"StatusCode": 0}})
    ended.start = lambda: train_and_score(config)
    sweep = _Sweep.__new__(_Sweep)
    sweep._gpus, sweep._stopping = SimpleQueue(), Event()
    sweep._gpus.put(None)
    monkeypatch.setattr(sweep, "_create", lambda *_: ended)
    monkeypatch.setattr(read, "search_by_pages", lambda text: asked.append(text) or search(text))
    outcome = sweep.run(config)
    fingerprint = mlflow.get_run(outcome.run_id).data.tags["trained_as"]
    assert set(asked) == {f"tags.trained_as = '{fingerprint}'"}
    assert dataclasses.replace(outcome, done_already=True) == train_and_score(config)


def test_engine_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(RunnerError, match=r"no Docker engine answers at unix://.*none.sock .*install Docker Engine"):
        connect_engine()


@pytest.mark.parametrize(
    ("code", "reason"), [(137, "ended by SIGKILL;"), (255, "exit code 255;"), (1, "exit code 1;"), (2, "no such model")]
)
def test_end_of_a_container_is_told_whatever_its_exit_code(code: int, reason: str) -> None:
    assert reason in _failure(code, "no such model", None, False)


def test_containers_get_credentials_and_proxies_of_this_process_and_nothing_else(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = {"MLFLOW_TRACKING_PASSWORD": "a", "AWS_SECRET_ACCESS_KEY": "b", "HTTPS_PROXY": "http://c", "no_proxy": "d"}
    for name, value in {**passed, "SOME_TOKEN": "e"}.items():
        monkeypatch.setenv(name, value)
    inside = container_environment("http://server", jobs=1, gpus=0, cpus=2)
    assert {name: inside.get(name) for name in passed} == passed
    assert "SOME_TOKEN" not in inside
