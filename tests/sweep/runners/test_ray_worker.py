"""What a node of a cluster has other than the sweep, told in a line."""

import logging
import socket
from collections.abc import Callable

import pytest

from wbc.code import locked_packages
from wbc.config import RunConfig
from wbc.inputs import load_inputs
from wbc.outcome import Outcome
from wbc.sweep.plan import survey
from wbc.sweep.runners import ray_worker
from wbc.sweep.runners.ray_worker import Misfit, difference, run_here, versions_here


def test_node_with_the_same_lock_does_not_differ_and_need_not_have_the_tools_of_developers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = versions_here(locked_packages())
    assert {"python", "code of wbc", "torch", "sqlalchemy", "ruff"} <= set(versions)
    monkeypatch.setattr(ray_worker, "_version", lambda name: None if name == "ruff" else versions.get(name))
    assert difference(versions) is None


def test_any_package_of_the_lock_that_differs_is_named() -> None:
    versions = versions_here(locked_packages())
    told = difference({**versions, "sqlalchemy": "0.1"})
    assert told
    assert told.startswith(f"node {socket.gethostname()} has sqlalchemy {versions['sqlalchemy']}, not 0.1: its runs")


def test_of_many_differences_a_few_are_named() -> None:
    told = difference(dict.fromkeys(versions_here(locked_packages()), "0"))
    assert told
    assert f"has python {versions_here([])['python']}, not 0; code of wbc " in told
    assert told.count(", not 0") == 5
    assert " more: its runs would not be the sweep's" in told


def test_run_starts_only_where_its_images_and_weights_are_those_of_the_sweep(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_worker, "_node", lambda: "node7")
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)  # pytest's own stays
    config = small_config(epochs=1)
    result = run_here(config, versions_here([]), {}, 1, "0123456789abcdef")
    assert isinstance(result, Misfit)
    assert result.node == "node7"
    assert result.told.startswith(f"node {socket.gethostname()} has other images or weights than the sweep")
    load_inputs(config)
    (cell,) = survey([config], [])
    assert isinstance(run_here(config, versions_here([]), {}, 1, cell.trained_as), Outcome)
