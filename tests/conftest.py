"""What several tests share: a store and data folder of their own, and a small domain that is quick to train on."""

import os

# Before PyTorch is imported: thin layers are slower on several threads, and tests run beside each other.
os.environ["OMP_NUM_THREADS"] = "1"

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wbc.cells import CLASSES
from wbc.config import RunConfig, TrainConfig
from wbc.data.splits import parse_source
from wbc.studies import resolve


@pytest.fixture(autouse=True)
def _quiet_logger() -> Iterator[None]:
    """Commands that run inside a test make the project's logger talk; it is silent again for the next one."""
    yield
    logging.getLogger("wbc").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store; MLflow takes seconds to make one, so each test gets a copy."""
    import mlflow  # here, because the tests of a GPU run on machines without it

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with chdir(path.parent):  # beside which MLflow's own experiment keeps its files
        mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


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
def small_config(store: Path) -> Callable[..., RunConfig]:
    """Returns a function that makes a quick run of two folders of cells; keywords change its settings."""
    return config_maker(store)


@pytest.fixture
def untracked_config(workplace: Path) -> Callable[..., RunConfig]:
    """Returns such a function where there is no store."""
    return config_maker(workplace)


def config_maker(folder: Path) -> Callable[..., RunConfig]:
    """Returns a function that makes a quick run of two folders of cells below a folder."""
    home, away = write_cells(folder / "home", 6), write_cells(folder / "away", 2)

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
