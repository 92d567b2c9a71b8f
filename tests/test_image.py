"""What the image is built from: the whole package with its data, and nothing that the checkout does not track."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
exclude_paths = pytest.importorskip("docker.utils.build").exclude_paths


@pytest.fixture(scope="module")
def context() -> set[str]:
    """The files that go to the engine, of those that the checkout has."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    return {path for path in exclude_paths(str(ROOT), patterns) if (ROOT / path).is_file()}


def tracked(*folders: str) -> set[str]:
    done = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", *folders], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return {path for path in done.stdout.split("\0") if path and (ROOT / path).is_file()}


def test_image_holds_all_of_the_package_with_templates_and_published_numbers(context: set[str]) -> None:
    stand_in = {"entrypoints/conda.sh"}  # for `mlflow run`, which the image does not call
    assert tracked("wbc", "entrypoints") - stand_in <= context
    assert {"wbc/report/templates/report.html.jinja", "wbc/report/paper/published/accuracies.csv"} <= context


def test_image_holds_no_data_no_runs_and_no_secrets(context: set[str]) -> None:
    assert {path.split("/")[0] for path in context if "/" in path} == {"entrypoints", "wbc"}
    assert {Path(path).suffix for path in context} <= {".py", ".csv", ".md", ".jinja", ".toml", ".yaml", ".lock", ""}


def test_image_copies_whatever_goes_to_the_engine(context: set[str]) -> None:
    copied = " ".join(re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)).split()
    assert {path.split("/")[0] for path in context} <= {*copied, "Dockerfile", ".dockerignore"}
