"""What `doctor` finds on this machine, and on one that lacks what a profile needs."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import docker
import pytest

from tests.forks import run_command
from wbc.config import DoctorConfig, RunConfig
from wbc.data.cache import Geometry
from wbc.data.catalog import find_domain
from wbc.data.prepare import prepare
from wbc.doctor import Finding, examine
from wbc.errors import ConfigError
from wbc.run import train_and_score

ROOT = Path(__file__).parents[1]
NAMES = ["Python", "PyTorch", "CUDA", "driver", "Docker", "store", "weights", "images", "disk", "memory"]


def findings(profile: str = "demo") -> dict[str, Finding]:
    return dict(examine(DoctorConfig(profile=profile)))


def test_bare_folder_is_fine_for_the_demo_and_nothing_is_made(store: Path) -> None:
    (store / "mlflow.db").unlink()
    found = findings()
    assert list(found) == NAMES
    assert not {name for name, finding in found.items() if finding.status == "wrong"}
    assert "which the first run makes" in found["store"].found
    assert found["images"].remedy == "make data PROFILE=demo"
    assert not (store / "mlflow.db").exists()
    assert not (store / "data").exists()


def test_prepared_images_are_found_and_a_spoilt_or_cut_cache_is_named(store: Path) -> None:
    for key in ("smears_source", "smears_target"):
        prepare(find_domain(key), Geometry("squash", 40), data_dir=store / "data")
    assert findings()["images"].status == "ok"
    cache = store / "data" / "smears_target" / "cache-squash40.bin"
    content = bytearray(cache.read_bytes())
    content[-1] ^= 1
    cache.write_bytes(content)
    found = findings()["images"]
    told = f"smears_target: {cache} has not its checksum any more; delete it"
    assert (found.status, found.found, found.remedy) == ("note", told, "make data PROFILE=demo")
    cache.unlink()
    prepare(find_domain("smears_target"), Geometry("squash", 40), data_dir=store / "data")
    assert findings()["images"].status == "ok"
    cache.write_bytes(cache.read_bytes()[:1000])
    assert "smears_target: it has 1,000 bytes" in findings()["images"].found


def test_study_of_the_users_is_examined(store: Path) -> None:
    (store / "mine.toml").write_text('sources = ["bccd:all"]\ntargets = ["tecom"]\nseeds = 1\npretrained = "none"\n')
    found = findings("mine.toml")
    assert list(found) == NAMES
    assert found["images"].found == "bccd: not prepared; tecom: not prepared"


@pytest.fixture
def other_disk(store: Path) -> Iterator[Path]:
    """A folder on another file system than the store's."""
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == store.stat().st_dev:
        pytest.skip("no second file system here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_runs_and_temporary_files_on_disks_of_their_own_have_a_line_each(
    store: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(other_disk))
    assert list(findings()) == [*NAMES[:-1], "TMPDIR", "memory"]
    monkeypatch.setenv("WBC_DATA_DIR", str(other_disk / "data"))
    found = findings()
    assert list(found) == [*NAMES[:-1], "runs", "memory"]
    assert found["disk"].found.endswith(f" GB free at {other_disk}")
    assert found["runs"].found.endswith(f" GB free at {store}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert "runs" not in findings()


def test_disks_without_room_are_wrong_and_without_room_for_features_a_note(
    store: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack(folder: Path, free_gb: int) -> dict[str, Finding]:
        """Returns what is found where that folder has so much room and the others have 100 GB."""

        def usage(path: Path) -> SimpleNamespace:
            return SimpleNamespace(free=10**9 * (free_gb if Path(path).is_relative_to(folder) else 100))

        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", usage)
            return findings("paper")

    found = lack(store, 54)
    assert found["disk"].status == "wrong"
    assert "takes about 55 GB here: free some, or set WBC_DATA_DIR" in found["disk"].remedy
    monkeypatch.setattr(tempfile, "tempdir", str(other_disk))
    found = lack(other_disk, 31)
    assert (found["disk"].status, found["TMPDIR"].status) == ("ok", "note")
    assert "takes about 32 GB here: free some, or set TMPDIR" in found["TMPDIR"].remedy
    monkeypatch.setenv("WBC_DATA_DIR", str(other_disk / "data"))
    found = lack(store, 49)
    assert (found["disk"].status, found["runs"].status) == ("ok", "wrong")
    assert "takes about 50 GB here: free some, or set MLFLOW_TRACKING_URI" in found["runs"].remedy


def test_store_with_runs_answers(small_config: Callable[..., RunConfig]) -> None:
    train_and_score(small_config(epochs=1))
    assert findings()["store"].found.endswith("mlflow.db answers")


def test_store_that_another_program_has_locked_is_busy_and_not_wrong(store: Path) -> None:
    with closing(sqlite3.connect(store / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        found = findings()["store"]
    assert (found.status, found.found) == ("note", "another program is writing to it")


def test_server_that_is_away_and_weights_out_of_reach_are_wrong(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:s3cret@127.0.0.1:9")
    for name in ("HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(store / "nothing"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    found = findings("open")
    assert found["store"].status == found["weights"].status == "wrong"
    assert "no MLflow server at http://***@127.0.0.1:9" in found["store"].found
    assert "pretrained=FOLDER" in found["weights"].remedy


def test_docker_socket_that_is_not_for_us_is_a_matter_of_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise docker.errors.DockerException(
            "Error while fetching server API version: ('Connection aborted.', PermissionError(13, 'Permission denied'))"
        )

    monkeypatch.setattr(docker, "from_env", refuse)
    found = findings()["Docker"]
    assert found.status == "note"
    assert "(Permission denied)" in found.found
    assert "sudo usermod -aG docker $USER" in found.remedy


def test_weights_are_looked_for_without_a_change_to_this_process(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    findings("open")
    assert "HF_HUB_OFFLINE" not in os.environ


def test_unknown_profile_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown profile 'papr'; did you mean 'paper'"):
        findings("papr")


def test_command_prints_a_line_each_and_says_by_its_exit_code_what_is_wrong(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    ended = run_command("entrypoints.doctor")
    lines = ended.stdout.splitlines()
    assert [line.split()[1] for line in lines] == NAMES
    assert ended.returncode == 2
    assert ended.stderr == "error: profile demo cannot run here as it is: see store above.\n"


def test_python_without_the_packages_is_told_to_set_up(tmp_path: Path) -> None:
    (tmp_path / "wbc").symlink_to(ROOT / "wbc")
    (tmp_path / "entrypoints").mkdir()
    for name in ("__init__.py", "doctor.py", "command.py"):
        (tmp_path / "entrypoints" / name).write_text((ROOT / "entrypoints" / name).read_text())
    shutil.copy(ROOT / "Makefile", tmp_path)
    command = [
        "make",
        "--no-print-directory",
        "doctor",
        f"PYTHON={sys.executable} -S",
    ]  # else `make test` makes it talk
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    (line,) = ended.stdout.splitlines()
    assert re.fullmatch(r"wrong  Python    .*: No module named 'typer' -> make setup", line)
    assert not list(tmp_path.glob(".venv*"))
