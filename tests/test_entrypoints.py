"""The commands as a user meets them: bad input gets one line on stderr and exit code 2, and leaves nothing behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch

from entrypoints.command import main
from entrypoints.evaluate import evaluate
from entrypoints.prepare import prepare
from entrypoints.reproduce import reproduce
from entrypoints.train import train
from tests.conftest import name_of, write_cells
from tests.servers import free_port, wait_for
from wbc.config import EvaluateConfig, PrepareConfig, ReproduceConfig, RunConfig, TrainConfig
from wbc.models.build import build
from wbc.training.checkpoint import Checkpoint, write_checkpoint

ROOT = Path(__file__).parents[1]
COMMANDS: dict[str, tuple[type[Any], Callable[[Any], None]]] = {
    "prepare": (PrepareConfig, prepare),
    "train": (TrainConfig, train),
    "evaluate": (EvaluateConfig, evaluate),
    "reproduce": (ReproduceConfig, reproduce),
}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Returns a function that runs a command in this process: exit code, stdout, and the last line of stderr."""

    def call(name: str, *options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [f"entrypoints.{name}", *options])
        with pytest.raises(SystemExit) as ended:
            main(*COMMANDS[name])
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        return int(ended.value.code or 0), output.out, (output.err.splitlines() or [""])[-1]

    return call


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train --model resnet_50", "unknown model 'resnet_50'; did you mean 'resnet50'"),
        ("train --model timm:resnet1888", "unknown timm backbone 'resnet1888'; did you mean"),
        ("train --model VGG-16", "did you mean 'vgg16'?"),
        ("train --model vgg16,resnet50", "a run has one model: make reproduce takes several as MODELS."),
        ("train --method mixup,coral", "a run has one method: join several by +."),
        ("train --model vgg16+mixup --method coral", "names its method, so coral would not be used"),
        ("train --fast --epochs 0", "epochs=0: must be 1 or more."),
        ("train --lr inf", "lr=inf: must be a finite number."),
        ("train --model efficientnet_b0", "unknown model 'efficientnet_b0': timm's backbones are written timm:effi"),
        ("train --source rabin", "unknown domain 'rabin'; did you mean 'raabin'"),
        ("train --targets bcd", "unknown domain 'bcd'; did you mean 'bccd'"),
        ("train --targets raabin:testb", "did you mean 'test_b'"),
        ("train --recipe relesed", "unknown recipe 'relesed'; did you mean 'released'"),
        ("train --sede 3", "No such option: --sede"),
        ("train --lr abc", "Invalid value for '--lr': 'abc' is not a number, nor auto."),
        ("train --seed x", "Invalid value for '--seed': 'x' is not a whole number."),
        ("train --epochs 0", "epochs=0: must be 1 or more."),
        ("train --epochs 1.5", "'1.5' is not a whole number"),
        ("train --pretrained nowhere.pth", "pretrained=nowhere.pth is not there"),
        ("train --scale full", "pretrained=patterns is for scale=tiny"),
        ("train --model vit_b_16 --image_size 50 --pretrained none", "image_size=50"),
        ("evaluate --run 0123", "no run 0123 in sqlite:"),
        ("evaluate --run gone.pt", "no checkpoint at gone.pt"),
        ("evaluate --run vgg16", "Name a run by its id, 6 or more of its first digits, MODEL/seedN, or latest"),
        ("train --source " + 300 * "a", "no file or folder has so long a name: 'aaa"),
        ("evaluate --run " + ",".join(10 * [32 * "0"]), f"no run {32 * '0'} in sqlite:"),
        ("evaluate --run ,", "no run (empty) in sqlite:"),
        ("evaluate", "no finished training run here yet"),
        ("prepare --domains bccd,tekom", "unknown domain 'tekom'; did you mean 'tecom'"),
        ("prepare --domains folder:slides --archive a.zip", "name what it holds as domains=folder:PATH alone."),
        ("prepare bccd", "unexpected extra argument(s) (bccd). --help lists all options."),
        ("prepare --recipe none", "unknown recipe 'none'"),
        ("prepare --domains bccd,tecom --archive bccd.zip", "archive=bccd.zip: name the one domain"),
        ("prepare --image_size 0", "image_size=0: must be 16 or more"),
        ("reproduce --profile opn", "unknown profile 'opn'; did you mean 'open'"),
        ("reproduce --seeds 0,x", "seeds=0,x: must be whole numbers by commas"),
        ("reproduce --models resnet5", "unknown model 'resnet5'"),
        ("reproduce --models vgg16+mixup --methods coral", "names its method, so coral would not be used"),
        ("reproduce --jobs 0", "jobs=0: must be 1 or more"),
        ("reproduce --runner ry", "unknown runner 'ry'; did you mean 'ray'"),
        ("reproduce --dry_run maybe", "'maybe' is not on or off"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(run: Run, store: Path, command: str, message: str) -> None:
    code, out, line = run(*command.split())
    assert (code, out) == (2, "")
    assert line.startswith("error: ")
    assert message in line
    assert not mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert not (store / "data").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html><body>Quota exceeded</body></html>", "HTML"),
        (b"PK\x03\x04 and then nothing", "zip"),
        (b"", "empty"),
    ],
)
def test_archive_that_is_none_is_named(run: Run, store: Path, content: bytes, message: str) -> None:
    (store / "bccd.zip").write_bytes(content)
    code, _, line = run("prepare", "--domains", "bccd", "--archive", "bccd.zip")
    assert code == 2
    assert message.lower() in line.lower()
    assert not (store / "data" / "bccd" / "manifest.csv").exists()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("../../escaped.jpg", "escaped.jpg"),
        ("BCCD/BCCD_cropped/Basophil/BloodImage_00001_1.jpg", "BloodImage_00001_1.jpg"),
    ],
)
def test_archive_with_a_bad_member_is_refused_by_its_name(run: Run, store: Path, member: str, message: str) -> None:
    with zipfile.ZipFile(store / "bccd.zip", "w") as archive:
        archive.writestr(member, b"not an image")
    code, _, line = run("prepare", "--domains", "bccd", "--archive", "bccd.zip")
    assert code == 2
    assert message in line
    assert not (store / "data" / "bccd" / "images").exists()
    assert not list(store.rglob("escaped.jpg"))


@pytest.mark.parametrize("name", ["bccd --archive gone.zip", "folder:gone"])
def test_images_that_are_not_there_are_named(run: Run, store: Path, name: str) -> None:
    code, _, line = run("prepare", "--domains", *name.split())
    assert code == 2
    assert "gone" in line


def test_wrong_counts_stop_with_both_numbers(run: Run, store: Path) -> None:
    with zipfile.ZipFile(store / "bccd.zip", "w") as archive:
        for path in write_cells(store / "few", 2).rglob("*.png"):
            archive.write(path, f"BCCD-1/BCCD_cropped/{path.parent.name}/{path.name}")
    code, _, line = run("prepare", "--domains", "bccd", "--archive", "bccd.zip")
    assert code == 2
    assert "all Neutrophil: 2 found, 207 expected" in line
    assert not (store / "data" / "bccd" / "images").exists()


def test_corrupt_image_in_a_folder_is_named(run: Run, store: Path) -> None:
    write_cells(store / "slides", 2)
    (store / "slides" / "Monocyte" / "1.png").write_bytes(b"")
    code, _, line = run("prepare", "--domains", f"folder:{store / 'slides'}")
    assert code == 2
    assert "Monocyte/1.png" in line


def test_data_folder_that_cannot_be_written_is_named(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (store / "file").write_text("")
    monkeypatch.setenv("WBC_DATA_DIR", str(store / "file" / "data"))
    slides = f"folder:{write_cells(store / 'slides', 1)}"
    for command in (["prepare", "--domains", slides], ["train", "--source", slides], ["train"]):
        code, _, line = run(*command)
        assert code == 2
        assert str(store / "file" / "data") in line


def test_tracking_server_that_does_not_answer_is_named_at_once(
    run: Run, store: Path, monkeypatch: pytest.MonkeyPatch, small_config: Callable[..., RunConfig]
) -> None:
    config = small_config()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    options = ["--source", config.source, "--targets", config.targets[0], "--pretrained", "none"]
    code, _, line = run("train", *options)
    assert code == 2
    assert "no MLflow server at http://127.0.0.1:9" in line


def test_checkpoint_of_another_model_is_refused(run: Run, store: Path, small_config: Callable[..., RunConfig]) -> None:
    torch.save({"weights": torch.zeros(2)}, store / "other.pt")
    code, _, line = run("evaluate", "--run", "other.pt")
    assert code == 2
    assert "other.pt is not a whole checkpoint of this project" in line
    config = small_config(model="vgg16")
    state = build(small_config(), None).state_dict()
    write_checkpoint(Checkpoint(config=config, epoch=3, model=state, optimiser=None), store / "mixed.pt")
    code, _, line = run("evaluate", "--run", "mixed.pt")
    assert code == 2
    assert "the checkpoint's weights are not those of vgg16" in line
    code, _, line = run("evaluate", "--run", "mixed.pt", "--model", "resnet50")
    assert code == 2
    assert "mixed.pt holds vgg16, not resnet50" in line


def test_train_and_evaluate_print_the_run_and_a_line_for_each_split_whatever_names_the_run(
    run: Run, store: Path, small_config: Callable[..., RunConfig]
) -> None:
    config = small_config()
    options = ["--source", config.source, "--targets", config.targets[0], "--pretrained", "none", "--epochs", "1"]
    code, out, _ = run("train", "--model", "vgg16", *options)
    assert code == 0
    first, line = out.splitlines()
    assert re.fullmatch("vgg16/seed0  run [0-9a-f]{8}", first)
    assert re.fullmatch(rf"  {name_of('away')}  +\d+\.\d\d %   \(largest class: 20\.00 %\)", line)
    write_cells(store / "slides", 1)
    code, out, _ = run("evaluate", "--targets", f"folder:{store / 'slides'}")
    assert code == 0
    assert out.splitlines()[0] == first
    assert re.search(r" of 5 images \(95 % interval .*; largest class 20\.00 %\)", out.splitlines()[1])
    assert "Recall: Basophil " in out.splitlines()[1]
    assert out.splitlines()[1].count(" % of 1") == 5
    run_id = out.splitlines()[0].split()[-1]
    for name in ("vgg16/seed0", run_id[:6]):
        assert run_id in run("evaluate", "--run", name, "--targets", f"folder:{store / 'slides'}")[1]
    code, _, line = run("evaluate", "--run", "vgg16/seed7")
    assert (code, "no run vgg16/seed7 in sqlite:" in line, "there is vgg16/seed0" in line) == (2, True, True)


def test_prepare_prints_the_images_by_split_and_class(run: Run, store: Path) -> None:
    code, out, _ = run("prepare", "--domains", f"folder:{write_cells(store / 'slides', 2)}", "--image_size", "16")
    assert code == 0
    assert "10 images" in out
    assert "Basophil" in out


@pytest.mark.parametrize(
    "spelling", ["--dry_run", "--dry-run --seeds 0,1", "--dry_run True --seeds 0,1", "--dry_run 1"]
)
def test_dry_run_needs_no_word_for_true_and_writes_nothing(run: Run, store: Path, spelling: str) -> None:
    code, out, _ = run("reproduce", *spelling.split())
    assert code == 0
    assert "to run. runner=local" in out
    assert not (store / "data").exists()


def test_help_shows_every_option_with_its_default() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints.train", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"COLUMNS": "160", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0
    for name in TrainConfig.__dataclass_fields__:
        assert f"--{name}" in done.stdout
    assert "[default: auto]" in done.stdout
    assert {"Choices:", "erm,", "resnet50,", "released."} <= set(done.stdout.split())


def test_module_goes_on_in_the_projects_environment_where_python_lacks_the_packages() -> None:
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("make setup has not made .venv here")
    base = Path(sys.base_prefix) / "bin" / "python3"
    done = subprocess.run([base, "-I", "-c", "import mlflow"], capture_output=True)
    if done.returncode == 0:
        pytest.skip("the base interpreter has MLflow itself")
    done = subprocess.run([base, "-m", "entrypoints.train", "--epochs", "0"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (2, "error: epochs=0: must be 1 or more.\n")


def test_server_for_one_person_says_so_when_its_port_is_taken_and_ends_without_a_traceback(store: Path) -> None:
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("make setup has not made .venv here")
    port = free_port()
    make = ["make", "-o", "setup", "server", f"PORT={port}", f"STORE=sqlite:///{store}/mlflow.db"]
    with (store / "log").open("w") as log:
        server = subprocess.Popen(make, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(f"http://127.0.0.1:{port}/health")
            second = subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
        finally:
            os.killpg(server.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
            server.wait()
    said = (store / "log").read_text()
    assert f"Open http://127.0.0.1:{port}/" in said
    assert "Traceback" not in said
    assert second.returncode == 2
    assert second.stderr.startswith(f"error: port {port} is taken, or no port of yours: make server PORT=")


def test_stand_in_for_conda_answers_mlflow_and_leaves_all_else_to_a_conda_that_is_there(tmp_path: Path) -> None:
    if shutil.which("conda", path="/usr/bin:/bin"):
        pytest.skip("conda lies where the tools of the system are")
    for folder in ("venv", "real"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "entrypoints" / "conda.sh", tmp_path / "venv" / "conda")

    def conda(*words: str) -> tuple[int, str]:
        path = f"{tmp_path}/venv:{tmp_path}/real:/usr/bin:/bin"
        done = subprocess.run(["conda", *words], env={"PATH": path}, capture_output=True, text=True)
        return done.returncode, done.stdout

    create = ("env", "create", "-n", "mlflow-12ab", "--file", str(ROOT / "conda.yaml"))
    asked = [conda("--help"), conda("env", "list", "--json"), conda(*create)]
    assert asked == [(0, ""), (0, '{"envs": []}\n'), (0, "")]
    assert conda("install", "numpy") == conda(*create[:-1], "/another/conda.yaml") == (127, "")
    shutil.copy(tmp_path / "venv" / "conda", tmp_path / "real" / "conda")  # another project's stand-in
    assert conda("--help") == (0, "")
    (tmp_path / "real" / "conda").write_text("#!/bin/sh\necho real $1\n")
    assert conda("install", "numpy") == (0, "real install\n")
