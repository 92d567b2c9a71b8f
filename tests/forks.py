"""Processes that are forked from one with PyTorch and MLflow imported, which takes seconds to do anew."""

import multiprocessing
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest


@cache
def forks() -> ForkServerContext:
    """Returns the context to start them by; its server starts at once, and with this code on its path."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["wbc.run"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # what it cannot import it leaves out in silence
        forkserver.ensure_running()
    return context
