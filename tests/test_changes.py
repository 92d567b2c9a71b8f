"""What changes to the code do to finished runs: tried in a copy of the project, each by the command a user types.

A new row, metric, target, adaptation or wording finds a finished run done; a change to what an epoch computes does not
pass unseen.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.conftest import write_cells
from tests.forks import run_anew

ROOT = Path(__file__).parents[1]
Edit = Callable[[str], str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, fresh_database: Path) -> Path:
    """A copy of the project beside two folders of cells, in which one thin run is finished."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("wbc", "entrypoints", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    write_cells(root / "home", 6)
    write_cells(root / "away", 2)
    shutil.copy(fresh_database, root)
    (root / "run").write_text(run_of(train(root), done=False))
    return root


def run_of(told: str, *, done: bool) -> str:
    """Returns the id of the run that `train` tells of, having made sure that it was done already, or was not."""
    assert ("(done already)" in told) == done, told
    return told.split(" run ")[1].split()[0]


def train(root: Path, *options: str, model: str = "resnet50") -> str:
    """Returns what `train` prints in a copy of the project; fails where it does."""
    settings = "--scale tiny --pretrained none --image_size 32 --epochs 1 --batch_size 8 --device cpu"
    folders = ["--source", "folder:home", "--targets", "folder:away", *options]
    done = run(root, "-m", "entrypoints.train", "--model", model, *settings.split(), *folders)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(root: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Runs Python in a copy of the project, with a store and data folder there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("MLFLOW_", "WBC_"))]:
            patch.delenv(name)
        patch.setenv("WBC_DATA_DIR", str(root / "data"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
        return run_anew(root, *words)


def replaced(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def added(code: str) -> Edit:
    return lambda text: f"{text}\n{code}\n"


HARMLESS: dict[str, tuple[str, Edit]] = {
    "a model row": (
        "wbc/models/catalog.py",
        added('MODELS["resnet50_too"] = Model(title="Once more", backbone="resnet50", norm="batch")'),
    ),
    "a method row": ("wbc/methods/catalog.py", added('METHODS["other"] = Method(title="other", access="source")')),
    "an adaptation row": (
        "wbc/methods/catalog.py",
        added('ADAPTATIONS["other"] = Adaptation(title="other", access="target")'),
    ),
    "a metric": (
        "wbc/evaluation/metrics.py",
        added("def error(labels, scores):\n    return 1 - score(labels, scores).accuracy"),
    ),
    "a reworded error": (
        "wbc/training/loop.py",
        replaced("training needs at least 2", "at least 2 are needed to train"),
    ),
    "a study": ("wbc/studies.py", added('STUDIES["mine"] = STUDIES["demo"]')),
}


def run_after(project: Path, changes: Iterable[str]) -> str:
    """Returns what `train` tells of after changes, which are taken back."""
    before = {path: (project / path).read_text() for path, _ in HARMLESS.values()}
    try:
        for path, edit in (HARMLESS[change] for change in changes):
            (project / path).write_text(edit((project / path).read_text()))
        return train(project)
    finally:
        for path, text in before.items():
            (project / path).write_text(text)


def test_finished_run_is_found_done_after_changes_that_do_no_harm(project: Path) -> None:
    """All at once, since each start of the command takes seconds; one by one where that is another run."""
    finished = (project / "run").read_text()
    if f" run {finished}" not in (told := run_after(project, HARMLESS)) or "(done already)" not in told:
        guilty = [change for change in HARMLESS if f" run {finished}" not in run_after(project, [change])]
        pytest.fail(f"trained again after {guilty or 'all changes together'}")


def test_further_target_is_scored_and_trains_nothing_again(project: Path) -> None:
    write_cells(project / "third", 2)
    told = train(project, "--targets", "folder:third,folder:away")
    assert run_of(told, done=False) == (project / "run").read_text()
    assert "(done already)" in train(project, "--targets", "folder:away,folder:third")


def test_change_of_the_epoch_loop_makes_the_golden_losses_fail(project: Path) -> None:
    path = project / "wbc" / "training" / "loop.py"
    before = path.read_text()
    path.write_text(replaced("optimiser.zero_grad()", "pass")(before))
    try:
        golden = run(project, "-m", "pytest", "-q", "-x", "tests/training/test_golden.py", "-k", "resnet50")
    finally:
        path.write_text(before)
    assert golden.returncode == 1
    assert "TRAINING_VERSION" in golden.stdout


def test_raised_training_version_trains_again(project: Path) -> None:
    path = project / "wbc" / "identity.py"
    before = path.read_text()
    path.write_text(before.replace("TRAINING_VERSION: Final = ", "TRAINING_VERSION: Final = 9"))
    try:
        assert "(done already)" not in train(project)
    finally:
        path.write_text(before)


def test_method_is_one_row_and_one_function(project: Path) -> None:
    paths = [project / "wbc" / "methods" / name for name in ("catalog.py", "mix.py")]
    before = [path.read_text() for path in paths]
    paths[0].write_text(
        added('METHODS["dim"] = Method(title="dimmed", access="source", mixing="wbc.methods.mix:dim")')(before[0])
    )
    paths[1].write_text(added("def dim(images, labels, rng):\n    return images.float() / 2, labels")(before[1]))
    try:
        dimmed = train(project, model="resnet50+dim")
    finally:
        for path, text in zip(paths, before, strict=True):
            path.write_text(text)
    assert dimmed.startswith("resnet50+dim/seed0")
    assert run_of(dimmed, done=False) != (project / "run").read_text()
