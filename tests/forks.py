"""Processes that are forked from one with PyTorch and MLflow imported, which takes seconds to do anew."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest


@cache
def forks() -> ForkServerContext:
    """Returns the context to start them by; its server starts at once, and with this code on its path."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.warm"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # what it cannot import it leaves out in silence
        forkserver.ensure_running()
    return context


def fork_workers(patch: pytest.MonkeyPatch) -> None:
    """Has the workers of a sweep in this process forked; those of sweeps in processes of their own start anew."""

    def pool(workers: int, *, mp_context: object, initializer: Callable[..., None], initargs: Any) -> object:
        arguments = (dict(os.environ), initializer, initargs)
        return ProcessPoolExecutor(workers, forks(), initializer=_begin, initargs=arguments)

    patch.setattr("wbc.sweep.runners.local.ProcessPoolExecutor", pool)


def start(output: Path, errors: Path, work: Callable[..., None], *arguments: object) -> ForkServerProcess:
    """Starts a process that does the work, with this one's environment and folder, and writes to two files."""
    process = forks().Process(target=_apart, args=(dict(os.environ), output, errors, work, arguments))
    process.start()
    return process


def run_command(*words: str) -> "subprocess.CompletedProcess[str]":
    """Returns what `python -m MODULE OPTION...` comes to in a process of its own."""
    return ended(run_module, *words)


def run_anew(root: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Returns what `python WORD...` comes to where the project lies at `root`: its code is imported anew, from there.

    Python is given -m and a module, or -c and a script.
    """
    return ended(_run_anew, root, *words)


def ended(work: Callable[..., None], *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Returns what a piece of work comes to in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        output, errors = Path(name, "out"), Path(name, "err")
        process = start(output, errors, work, *arguments)
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess(
            [str(each) for each in arguments], process.exitcode, output.read_text(), errors.read_text()
        )


def run_module(module: str, *options: str) -> None:
    """Runs a module as the command that its name and options are."""
    sys.argv = [module, *options]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _run_anew(root: Path, how: str, what: str, *options: str) -> None:
    os.chdir(root)
    sys.path.insert(0, str(root))
    for name in [name for name in sys.modules if name.split(".")[0] in ("wbc", "entrypoints", "tests")]:
        del sys.modules[name]
    if how == "-m":
        run_module(what, *options)
    else:
        exec(what, {"__name__": "__main__"})


def _begin(environment: Mapping[str, str], initializer: Callable[..., None], arguments: Any) -> None:
    _take(environment)
    initializer(*arguments)


def _apart(
    environment: Mapping[str, str], output: Path, errors: Path, work: Callable[..., None], arguments: Any
) -> None:
    _take(environment)
    for path, stream in ((output, 1), (errors, 2)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), stream)
    work(*arguments)


def _take(environment: Mapping[str, str]) -> None:
    tempfile.tempdir = None  # by TMPDIR, as in a process that starts
    os.environ.clear()
    os.environ.update(environment)
