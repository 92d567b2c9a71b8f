"""Packages that serve one feature stand in extras: all of them locked, and one that is missing is said in a line."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from wbc.code import locked_packages
from wbc.data.fetch.checksums import file_sha256
from wbc.doctor import _docker
from wbc.errors import TrackingError
from wbc.tracking.store import connect

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}


def test_extras_are_apart_from_what_every_run_needs_and_locked_with_it() -> None:
    assert set(EXTRAS) == {"docker", "ray", "team", "dev"}
    heavy = names(EXTRAS["docker"] + EXTRAS["ray"]) | {"psycopg"}
    assert not heavy & names(PROJECT["dependencies"])
    assert set.union(names(PROJECT["dependencies"]), *map(names, EXTRAS.values())) <= set(locked_packages())


def test_store_whose_driver_is_not_installed_says_how_to_get_it(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with socket.create_server(("127.0.0.1", 0)) as server:  # a database that answers is asked for the driver
        port = server.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg://ada:s3c/r3t@127.0.0.1:{port}/db")
        with pytest.raises(
            TrackingError, match=rf"//\*\*\*@127.0.0.1:{port}/db needs the package psycopg.*'\.\[team\]'"
        ):
            connect()


def test_doctor_takes_dockers_client_for_what_not_all_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    finding = _docker()
    assert finding.status == "note"
    assert "only runner=docker needs it" in finding.remedy


def test_environment_is_made_again_where_the_content_of_the_lock_is_another_and_not_where_it_is_newer(
    tmp_path: Path,
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    lock, made = tmp_path / "requirements.lock", tmp_path / ".venv" / ".installed"
    lock.write_text("uv==1.0\n")
    made.parent.mkdir()
    made.write_text(file_sha256(lock) + "\n")

    def installs() -> bool:
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        told = subprocess.run(
            ["make", "--dry-run", "setup"], cwd=tmp_path, env=variables, capture_output=True, text=True, check=True
        )
        return "pip install" in told.stdout

    assert not installs()
    os.utime(lock, (2**32, 2**32))
    assert not installs()
    lock.write_text("uv==2.0\n")
    assert installs()
