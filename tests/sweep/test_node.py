"""What a node of a cluster has other than the sweep, told in a line."""

import socket

import pytest

from wbc.environment import locked_packages
from wbc.sweep import node
from wbc.sweep.node import difference, versions_here


def test_node_with_the_same_lock_does_not_differ_and_need_not_have_the_tools_of_developers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = versions_here(locked_packages())
    assert {"python", "code of wbc", "torch", "sqlalchemy", "ruff"} <= set(versions)
    monkeypatch.setattr(node, "_version", lambda name: None if name == "ruff" else versions.get(name))
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
