"""Packages that serve one feature stand in extras: all of them locked, and one that is missing is said in a line."""

import re
import socket
import sys
import tomllib
from pathlib import Path

import pytest

from wbc.code import locked_packages
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
