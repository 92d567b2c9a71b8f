"""What several tests share: a store and data folder of their own, and a small domain that is quick to train on."""

import os

# Before PyTorch is imported: thin layers are slower on several threads, and tests run beside each other.
os.environ["OMP_NUM_THREADS"] = "1"

import logging
import pickle
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from wbc.cells import CLASSES
from wbc.config import RunConfig, TrainConfig
from wbc.data.splits import parse_source
from wbc.processes import TERMINAL_SIGNALS
from wbc.studies import resolve

# What `make test ARGS=...` was given is not for the make that a test calls.
for _name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "ARGS"):
    os.environ.pop(_name, None)

# Signals are heard as in a terminal: `nohup`, or a shell's `&`, lets those that it starts ignore some.
for _signum in (signal.SIGINT, *TERMINAL_SIGNALS):
    if signal.getsignal(_signum) is signal.SIG_IGN:
        signal.signal(_signum, signal.default_int_handler if _signum == signal.SIGINT else signal.SIG_DFL)

Once = Callable[[str, Callable[[], Any]], Any]


@pytest.fixture(autouse=True)
def _quiet_logger() -> Iterator[None]:
    """Commands that run inside a test make the project's logger talk; it is silent again for the next one."""
    yield
    logging.getLogger("wbc").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Returns a function that returns a folder of a name, made once for all processes of the session."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    root.mkdir(exist_ok=True)

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder, made = root / name, root / f"{name}.made"
        with FileLock(root / f"{name}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of one who failed in the middle
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def fresh_database(shared: Callable[..., Path]) -> Path:
    """An empty SQLite store; MLflow takes seconds to make one, so each test gets a copy."""
    import mlflow  # here, because the tests of a GPU run on machines without it

    def make(folder: Path) -> None:
        with chdir(folder):  # beside which MLflow's own experiment keeps its files
            mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()

    return shared("mlflow", make) / "mlflow.db"


@pytest.fixture(scope="session")
def cells(shared: Callable[..., Path]) -> Path:
    """A folder with the images of small runs: `home`, six of each class, and `away`, two of each."""

    def make(folder: Path) -> None:
        write_cells(folder / "home", 6)
        write_cells(folder / "away", 2)

    return shared("cells", make)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a data folder; returns its path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WBC_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def store(workplace: Path, monkeypatch: pytest.MonkeyPatch, fresh_database: Path) -> Path:
    """A working directory with a data folder and two empty SQLite stores, the first in use; returns its path."""
    for name in ("mlflow.db", "other.db"):
        shutil.copy(fresh_database, workplace / name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workplace}/mlflow.db")
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "WBC_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    return workplace


@pytest.fixture
def once(store: Path, shared: Callable[..., Path]) -> Once:
    """Returns a function that leaves an empty store as some work does, and returns what the work returns.

    The work itself is done once for the session; later tests get a copy of the store and of the data folder.
    """
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache  # here, for the same reason

    from wbc.tracking.repoint import repoint

    def outcome_of(name: str, work: Callable[[], Any]) -> Any:
        def make(folder: Path) -> None:
            left = work(), store
            for part in ("mlflow.db", "mlartifacts", "data"):
                if (store / part).exists():
                    copy = shutil.copytree if (store / part).is_dir() else shutil.copy
                    copy(store / part, folder / part)
            (folder / "outcome").write_bytes(pickle.dumps(left))

        folder = shared(name, make)
        outcome, maker = pickle.loads((folder / "outcome").read_bytes())
        if maker != store:
            (store / "mlflow.db").unlink()
            shutil.copytree(folder, store, dirs_exist_ok=True)
            repoint(maker / "mlartifacts", store / "mlartifacts")
            _artifact_repos_cache.clear()  # where MLflow has found artifacts of the same run
        return outcome

    return outcome_of


def write_cells(folder: Path, per_class: int, size_px: int = 24) -> Path:
    """Writes `<folder>/<Class>/<n>.png`: each class a grey of its own under noise, told apart after seconds."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            pixels = rng.normal(40 + 40 * label, 8, (size_px, size_px, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def name_of(folder: str) -> str:
    """What images in a folder below the working directory are called in metrics and files."""
    return parse_source(f"folder:{folder}").name


@pytest.fixture
def small_config(untracked_config: Callable[..., RunConfig], store: Path) -> Callable[..., RunConfig]:
    """Returns a function that makes a quick run of two folders of cells; keywords change its settings."""
    return untracked_config


@pytest.fixture
def untracked_config(workplace: Path, cells: Path) -> Callable[..., RunConfig]:
    """Returns such a function where there is no store; the folders are links, to one place for all tests."""
    home, away = workplace / "home", workplace / "away"
    for link in (home, away):
        link.symlink_to(cells / link.name)

    def make(**settings: object) -> RunConfig:
        defaults: dict[str, object] = {
            "model": "resnet50",
            "source": f"folder:{home}",
            "targets": f"folder:{away}",
            "scale": "tiny",
            "pretrained": "none",
            "image_size": 32,
            "epochs": 3,
            "batch_size": 8,
            "checkpoint_every": 1,
            "device": "cpu",
        }
        return resolve(TrainConfig(**(defaults | settings)))  # type: ignore[arg-type]

    return make


@pytest.fixture
def trained(small_config: Callable[..., RunConfig], once: Once) -> Any:
    """The outcome of a small run of one epoch that is finished, alone in the store."""
    from wbc.run import train_and_score

    return once("trained", lambda: train_and_score(small_config(epochs=1)))


@pytest.fixture
def no_latex(monkeypatch: pytest.MonkeyPatch) -> None:
    """No LaTeX is found: a report without its PDF takes half the time."""
    monkeypatch.setattr("wbc.report.latex.latex_engine", lambda: None)


@pytest.fixture
def browser() -> Iterator[Any]:
    """A headless Chromium; skips where Debian's chromium and chromium-driver are not installed."""
    from benchmarks.screenshot import browser as started  # here, for the same reason

    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium with chromedriver")
    with started() as chromium:
        yield chromium
