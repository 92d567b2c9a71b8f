"""How the commands that read a store grow with its runs: processor time and memory of each, at several sizes.

    make bench ARGS="--cases stores"

Nobody trains: the first runs are logged by the project's own tracking with drawn answers. All others are copies of them
in the database. Each copy has the identity of another cell of the same study, and links to the files of the first.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import chdir, closing
from functools import cache
from pathlib import Path
from typing import Any, Final

import mlflow
import numpy as np

from benchmarks.work import Bench
from tests.conftest import write_cells
from wbc.config import ReproduceConfig, RunConfig
from wbc.data.fetch.checksums import file_sha256
from wbc.data.images import Listing, list_images
from wbc.data.splits import Split
from wbc.evaluation.metrics import score
from wbc.evaluation.records import Predictions
from wbc.identity import scored_as, trained_as
from wbc.inputs import list_inputs, load_inputs
from wbc.studies import plan
from wbc.surroundings import all_and, changed, data_dir
from wbc.tracking import schema
from wbc.tracking.runs import open_run
from wbc.training.loop import EpochResult

SIZES: Final = (500, 1000, 2000)
"""Runs in the store."""
SEEDS: Final = 10
"""Of the study: with nine models 90 runs, whatever else the store has."""
LOGGED: Final = 4
"""Runs that are logged; the others are copies of these in turn, so that no two models answer alike."""
HOME: Final = 60
AWAY: Final = 52
"""Images of each class: 300, a fifth of them held out, and 260."""
_STUDY: Final = f"""\
sources = ["folder:home"]
targets = ["folder:away"]
validation = 0.2
seeds = {SEEDS}
scale = "tiny"
pretrained = "none"
image_size = 32
epochs = 10
device = "cpu"
"""
_LAUNCHER: Final = """\
import json, os, sys
_, code, used = os.wait4(os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, *sys.argv[1:]]), 0)
print(json.dumps([os.waitstatus_to_exitcode(code), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
"""A small process, whose own memory does not count as the command's."""
_Rows = dict[str, list[dict[str, Any]]]


def measure_stores(bench: Bench, sizes: Sequence[int] = SIZES) -> list[dict[str, Any]]:
    """Returns for each command the seconds of processor time and the peaks of memory at each number of runs."""
    folder = bench.folder / "stores"
    folder.mkdir()
    points = dict[str, list[dict[str, float]]]()
    with chdir(folder), changed({"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}):
        cells = make_study(folder, max(sizes))
        models = len({cell.model for cell in cells})
        made = LOGGED
        for cell in cells[:made]:
            log_drawn(cell)
        for size in sizes:
            copy_runs(folder / "mlflow.db", cells[made:size], cells[:LOGGED])
            made = size
            for name, words in _commands(size, models):
                seconds, peak_mb = _used(words)
                points.setdefault(name, []).append(
                    {"at": size, "seconds": round(seconds, 1), "peak_mb": round(peak_mb)}
                )
    return [{"command": name, "n": 1, "points": each} for name, each in points.items()]


def make_study(folder: Path, runs: int) -> list[RunConfig]:
    """Returns so many cells of a study, whose file and images are written to the folder, all models of a seed first."""
    write_cells(folder / "home", HOME)
    write_cells(folder / "away", AWAY, size_px=26)  # other pixels than at home
    (folder / "grown.toml").write_text(_STUDY, encoding="utf-8")
    return plan(ReproduceConfig(profile="grown.toml", seeds=_seeds(runs)))[:runs]


def log_drawn(cell: RunConfig) -> None:
    """Logs a run as done, though nobody trained it: eight in ten of its answers are right, by chance."""
    inputs, rng = load_inputs(cell), np.random.default_rng(cell.seed)
    identity, scores = _identity(cell)
    with open_run(cell, identity, scores) as run:
        run.training.start(inputs.train)
        for epoch in range(1, cell.epochs + 1):
            run.training.log_epoch(epoch, EpochResult(loss=1 / epoch, accuracy=0.8, lr=cell.lr, images_per_s=1000.0))
        for images in inputs.tests:
            said = np.where(rng.random(len(images.labels)) < 0.8, images.labels, rng.integers(0, 5, len(images.labels)))
            table = (np.full((len(said), 5), 0.05) + 0.75 * np.eye(5)[said]).astype(np.float32)
            near = (np.eye(5)[said] @ rng.normal(size=(5, 64)) + rng.normal(size=(len(said), 64))).astype(np.float32)
            answers = Predictions(
                domain=images.name, ids=images.ids, labels=images.labels, scores=table, embeddings=near
            )
            run.scores.log(images, inputs.role(images), scores[images.name], answers, score(images.labels, table))
        _log_weights(run.id, rng.bytes(100_000))
        run.complete()


def _log_weights(run_id: str, content: bytes) -> None:
    """Logs a file in the place of the last checkpoint, another as the model's, and the tags that go with them."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, Path(schema.FINAL).name)
        path.write_bytes(content)
        client = mlflow.MlflowClient()
        client.log_artifact(run_id, str(path), schema.CHECKPOINTS)
        client.set_tag(run_id, schema.sha256(schema.FINAL), file_sha256(path))
        experiment_id = client.get_run(run_id).info.experiment_id
        model = client.create_logged_model(experiment_id, "drawn", source_run_id=run_id)
        client.log_model_artifact(model.model_id, str(path))
    for tag, value in ((schema.CHECKPOINT, schema.FINAL), (schema.MODEL_ID, model.model_id)):
        client.set_tag(run_id, tag, value)


def copy_runs(database: Path, cells: Sequence[RunConfig], logged: Sequence[RunConfig]) -> None:
    """Writes a done run for each cell into a SQLite store: a copy of one that was logged, under another name."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.row_factory = sqlite3.Row
        templates = [_read(connection, cell.name) for cell in logged]
        for number, cell in enumerate(cells):
            _write(connection, templates[number % len(templates)], cell)


def _read(connection: sqlite3.Connection, name: str) -> _Rows:
    """Returns all rows of a run, by table."""

    def rows(query: str, value: str) -> list[dict[str, Any]]:
        return [dict(row) for row in connection.execute(query, (value,))]

    (run,) = rows("SELECT * FROM runs WHERE name = ?", name)
    tables = ("tags", "params", "metrics", "latest_metrics")
    found = {table: rows(f"SELECT * FROM {table} WHERE run_uuid = ?", run["run_uuid"]) for table in tables}
    inputs = rows("SELECT * FROM inputs WHERE destination_id = ?", run["run_uuid"])
    tags = [row for each in inputs for row in rows("SELECT * FROM input_tags WHERE input_uuid = ?", each["input_uuid"])]
    return {"runs": [run], "inputs": inputs, "input_tags": tags} | found


def _write(connection: sqlite3.Connection, template: _Rows, cell: RunConfig) -> None:
    """Writes a run's rows anew as those of another cell, and links its files."""
    was, run_id = template["runs"][0]["run_uuid"], uuid.uuid4().hex
    identity, scores = _identity(cell)
    anew = {schema.TRAINED_AS: identity, schema.MODEL: cell.model, schema.SEED: str(cell.seed)}
    anew[schema.RUN_NAME] = cell.name
    anew |= {schema.scored_as(domain): value for domain, value in scores.items()}
    files = Path(template["runs"][0]["artifact_uri"].removeprefix("file://")).parent
    settings = json.loads((files / "artifacts" / schema.CONFIG).read_bytes())
    config = json.dumps(settings | {"model": cell.model, "seed": cell.seed}).encode()
    anew[schema.sha256(schema.CONFIG)] = hashlib.sha256(config).hexdigest()
    inputs = {row["input_uuid"]: uuid.uuid4().hex for row in template["inputs"]}
    for table, rows in template.items():
        for row in rows:
            changed = {key: run_id if value == was else inputs.get(value, value) for key, value in row.items()}
            if table == "runs":
                changed |= {"name": cell.name, "artifact_uri": row["artifact_uri"].replace(was, run_id)}
            if table in ("tags", "params"):
                changed["value"] = anew.get(row["key"], row["value"])
            marks = ", ".join("?" * len(changed))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", list(changed.values()))
    to = Path(str(files).replace(was, run_id))
    shutil.copytree(files, to, copy_function=os.link)
    (to / "artifacts" / schema.CONFIG).unlink()
    (to / "artifacts" / schema.CONFIG).write_bytes(config)


def _identity(cell: RunConfig) -> tuple[str, dict[str, str]]:
    """Returns what a run and each of its scores are known by."""
    inputs = list_inputs(cell, _listing)
    assert inputs, "the study's images were prepared for the runs that were logged"
    identity = trained_as(cell, inputs.train, None)
    return identity, {test.name: scored_as(identity, test) for test in inputs.tests}


@cache
def _listing(split: Split) -> Listing | None:
    return list_images(split, data_dir=data_dir())


def _commands(size: int, models: int) -> Iterator[tuple[str, list[str]]]:
    """Yields what is measured, and what it is typed as; `reproduce` comes after the report, which it leaves."""
    study = ["--profile", "grown.toml"]
    every = ["--seeds", _seeds(size // models * models, models)]
    yield f"dry run of {models * SEEDS}", ["entrypoints.reproduce", *study, "--dry_run", "true"]
    yield "dry run of all", ["entrypoints.reproduce", *study, *every, "--dry_run", "true"]
    yield f"report of {models * SEEDS}", ["entrypoints.report", *study]
    yield f"reproduce with nothing to do, of {models * SEEDS}", ["entrypoints.reproduce", *study]
    yield "doctor", ["entrypoints.doctor"]
    yield "doctor of the store", ["entrypoints.doctor", "--store"]


def _seeds(runs: int, models: int = 9) -> str:
    return ",".join(map(str, range(-(-runs // models))))


def _used(words: Sequence[str]) -> tuple[float, float]:
    """Returns the seconds of processor time and the peak of memory, in MB, of one command."""
    done = subprocess.run(
        [sys.executable, "-c", _LAUNCHER, "-m", *words],
        env=all_and(PYTHONPATH=str(Path(__file__).parents[1]), OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=True,
    )
    code, seconds, peak_mb = json.loads(done.stdout.splitlines()[-1])
    if code:
        raise RuntimeError(f"{' '.join(words)} ended with code {code}: {done.stderr[-500:]}")
    return seconds, peak_mb
