"""What the check of a store finds, and that the command it prints for it repairs it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from tests.conftest import name_of, write_cells
from wbc.config import EvaluateConfig
from wbc.outcome import Outcome
from wbc.scoring import score_run
from wbc.store_check import find_faults

_ROOT = Path(__file__).parents[1]


def _typed(line: str, store: Path) -> None:
    """Runs the command that ends a line, as a user would in the project's folder with its .venv."""
    make = f"make -f {shlex.quote(str(_ROOT / 'Makefile'))} -o setup RUN={shlex.quote(sys.executable)}"
    command = line.partition(" -> ")[2].replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    command = re.sub(r"\bmake (?=train|evaluate)", f"{make} ", command)
    subprocess.run(command, cwd=store, env=os.environ | {"PYTHONPATH": str(_ROOT)}, shell=True, check=True)


@pytest.mark.parametrize(
    ("artifact", "lost", "word"),
    [
        ("predictions/{away}.csv", False, "is not what was logged"),
        ("embeddings/{away}.npy", True, "is missing"),
        ("checkpoint/final.pt", False, "is not what was logged"),
        ("environment.json", False, "is not what was logged"),
    ],
)
def test_fault_of_a_complete_run_is_named_and_its_repair_works_when_typed(
    trained: Outcome, store: Path, artifact: str, lost: bool, word: str
) -> None:
    assert list(find_faults()) == []
    artifact = artifact.format(away=name_of("away"))
    path = Path(mlflow.get_run(trained.run_id).info.artifact_uri.removeprefix("file://")) / artifact
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink() if lost else path.write_bytes(content)
    (line,) = find_faults()
    assert line.startswith(f"resnet50/seed0 ({trained.run_id}): {artifact} {word} -> ")
    _typed(line, store)
    assert list(find_faults()) == []


def test_score_of_a_further_folder_that_is_damaged_is_made_again_by_the_command_named(
    trained: Outcome, store: Path
) -> None:
    write_cells(store / "my slides", 1)
    score_run(EvaluateConfig(run=trained.run_id, targets="folder:my slides", device="cpu"))
    root = Path(mlflow.get_run(trained.run_id).info.artifact_uri.removeprefix("file://"))
    path = root / f"predictions/{name_of('my slides')}.csv"
    before = path.read_bytes()
    path.write_bytes(b"")
    (line,) = find_faults()
    assert f" -> make evaluate RUN_ID={trained.run_id} " in line
    _typed(line, store)
    assert path.read_bytes() == before
    assert list(find_faults()) == []
