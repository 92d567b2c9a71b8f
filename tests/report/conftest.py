"""A small store of hand-checked runs, logged by the project's own tracking."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

from tests.conftest import Once
from wbc.arms import Arm, parse_arm
from wbc.config import ReportConfig, RunConfig, TrainConfig
from wbc.data.cache import PixelCache
from wbc.data.images import Images
from wbc.evaluation.metrics import score
from wbc.evaluation.records import Predictions
from wbc.report.paper.contents import PAPER
from wbc.report.paper.tables import accuracies
from wbc.report.report import Contents
from wbc.studies import resolve
from wbc.tracking.runs import open_run
from wbc.tracking.schema import Role
from wbc.training.loop import EpochResult

LABELS = np.repeat(np.arange(5), 2)
HOME, AWAY = "smears_source_test", "smears_target"
AT_HOME = (HOME, "raabin_test_a", "pbc2500_test", "bccd_test", "tecom_test")
WRONG = {
    ("resnet50", 0): {HOME: [], AWAY: [0, 1, 2, 3, 6, 7]},
    ("resnet50", 1): {HOME: [0], AWAY: [0, 1, 2, 3, 4, 5, 6, 7]},
    ("resnet50_gn", 0): {HOME: [0], AWAY: [0, 2]},
    ("resnet50_gn", 1): {HOME: [9], AWAY: []},
}
"""Which of ten images, two of each class in the classes' order, each run gets wrong; it says the next class instead."""

QUICK: Contents = replace(PAPER, first=(accuracies,), parts=(), whole=frozenset())
"""A report of Table 4 alone: drawing all figures takes seconds."""
LogRun = Callable[..., str]


def arm(name: str, source: str = "smears_source") -> Arm:
    """Returns the arm of the name that trains on the demo's source, or on others by commas."""
    return parse_arm(name, tuple(source.split(",")))


def images(name: str, labels: Sequence[int], salt: str = "") -> Images:
    """Returns small grey images of the labels, 8 pixels a side."""
    shapes = np.full((len(labels), 2), 8)
    return Images(
        name=name,
        ids=tuple(f"{salt}{index}.png" for index in range(len(labels))),
        labels=np.array(labels, np.int64),
        labs=np.zeros(len(labels), np.int64),
        pixels=PixelCache(np.repeat(np.array(labels, np.uint8) * 50, 8 * 8 * 3), shapes),
        contents=tuple(f"{salt}{index}" for index in range(len(labels))),
        groups=tuple(f"{salt}{index}.png" for index in range(len(labels))),
        digest=f"{len(salt)}{name}".encode().hex().ljust(64, "0")[:64],
        origin="drawn for a test",
    )


def predictions(of: Images, wrong: Sequence[int]) -> Predictions:
    """Returns scores of 0.8 for the right class, or for the one after it where `wrong` says so."""
    said = [(label + (index in wrong)) % 5 for index, label in enumerate(of.labels)]
    scores = np.full((len(said), 5), 0.05, np.float32)
    scores[np.arange(len(said)), said] = 0.8
    embeddings = np.eye(5, dtype=np.float32)[said] + np.linspace(0, 0.1, len(said))[:, None]
    return Predictions(domain=of.name, ids=of.ids, labels=of.labels, scores=scores, embeddings=embeddings)


@pytest.fixture
def log_run(store: Path) -> LogRun:
    """Returns a function that logs a completed run of the demo's settings and returns its id."""

    def log(
        model: str,
        seed: int,
        wrong: dict[str, list[int]],
        *,
        fingerprint: str | None = None,
        salt: str = "",
        complete: bool = True,
        labels: dict[str, list[int]] | None = None,
        trained_on: str = "",
        **settings: object,
    ) -> str:
        config: RunConfig = resolve(TrainConfig(model="resnet50", seed=seed, device="cpu", **settings))  # type: ignore[arg-type]
        fingerprint = fingerprint or "-".join([model.replace(":", "-"), str(seed), *map(str, settings.values())])
        object.__setattr__(config, "model", model)  # any name, as a later version's catalogue may have it
        scored = []
        for name in wrong:  # "smears_target/em": answers under an adaptation
            domain = name.partition("/")[0]
            found = images(domain, (labels or {}).get(domain, LABELS.tolist()), salt)
            scored.append(replace(found, name=name))
        train = images("smears_source_train", [0, 1, 1, 2, 2, 2, 3, 4, 4, 4, 4])
        train = replace(train, digest=trained_on or train.digest)
        with open_run(config, fingerprint, {}) as run:
            run.training.start([train])
            for epoch in range(1, 4):
                run.training.log_epoch(epoch, EpochResult(loss=1 / epoch, accuracy=0.5, lr=1e-3, images_per_s=100.0))
            for each in scored:
                said = predictions(each, wrong[each.name])
                role: Role = "home" if each.name in AT_HOME else "away"
                run.scores.log(each, role, f"{fingerprint} {each.digest}", said, score(said.labels, said.scores))
        if complete:  # there is no checkpoint, which `run.complete()` would look for
            mlflow.MlflowClient().set_tag(run.id, "complete", "true")
        return run.id

    return log


@pytest.fixture
def golden_runs(log_run: LogRun, once: Once) -> dict[tuple[str, int], str]:
    """Logs the runs of `WRONG` and returns their ids."""
    runs: dict[tuple[str, int], str] = once(
        "golden", lambda: {cell: log_run(*cell, wrong) for cell, wrong in WRONG.items()}
    )
    return runs


@pytest.fixture
def options(store: Path) -> ReportConfig:
    """A report on the models and seeds of `WRONG`, written below the store's folder."""
    return ReportConfig(models="resnet50,resnet50_gn", seeds="0,1", output=str(store / "report"))


def latest_report() -> mlflow.entities.Run:
    """Returns the run that the last report was logged to."""
    (run, *_) = mlflow.search_runs(
        search_all_experiments=True, filter_string="tags.kind = 'report'", output_format="list"
    )
    return run
