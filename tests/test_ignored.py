"""What git does not look at: all that a user makes or brings along, and nothing of the project."""

import subprocess
from pathlib import Path

import pytest

from wbc.data.layouts import SUFFIXES

_ROOT = Path(__file__).parent.parent


def _ignored(path: str) -> bool:
    done = subprocess.run(["git", "check-ignore", "--no-index", "--quiet", path], cwd=_ROOT, check=False)
    assert done.returncode in (0, 1)
    return done.returncode == 0


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_images_of_a_user_are_ignored_whatever_their_folder_and_case_when_they_lie_in_the_project(suffix: str) -> None:
    for name in (f"cell{suffix}", f"slides/Neutrophil/1{suffix}", f"new lab/a/b/1{suffix.upper()}"):
        assert _ignored(name)


@pytest.mark.parametrize(
    "name", ["slide.svs", "1.HEIC", "1.dcm", "1.j2k", "cells.tar.gz", "cells.7z", "labelled.csv", "a.TSV"]
)
def test_slides_archives_and_tables_of_cells_are_ignored(name: str) -> None:
    assert _ignored(name)
    assert _ignored(f"our slides/{name}")


@pytest.mark.parametrize(
    "path",
    [
        *("cells.csv", "our cells.csv", "page/label_first.html", "page/report.html", "slides/a.dcm", "slides.tar.gz"),
        "reports/demo/report.html",
        "data/bccd/1.npy",
        "mlflow.db",
        "mlartifacts/1/a.json",
        "tests/__pycache__/a.pyc",
    ],
)
def test_what_commands_make_and_what_names_or_shows_cells_is_ignored(path: str) -> None:
    assert _ignored(path)


def test_no_file_of_the_project_is_ignored_when_all_are_added() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, check=True).stdout
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=_ROOT,
        input=listed,
        capture_output=True,
        check=False,
    )
    assert listed
    assert done.stdout == b""
