"""Runs that are odd are left out with a reason, and end nobody's sweep or report."""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pytest

from wbc.config import RunConfig
from wbc.tracking.claims import Claim, standing_claims
from wbc.tracking.read import read_runs, read_trainings, stored_run
from wbc.tracking.store import connect
from wbc.tracking.sweeps import end_orphans
from wbc.tracking.training_log import log_settings
from wbc.tracking.whole import state

GOOD = {"trained_as": "a", "profile": "demo", "model": "vgg16", "seed": "0", "jobs": "1", "complete": "true"}


def log(tags: dict[str, str]) -> str:
    run_id: str = mlflow.MlflowClient().create_run(connect(), tags=tags).info.run_id
    return run_id


def test_link_opens_the_page_for_training_and_carries_no_password(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = mlflow.get_run(log(GOOD))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@there:5000/")
    path = f"experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    assert stored_run(run).link == f"http://there:5000/#/{path}?workflowType=machine_learning"


def test_name_of_a_run_cannot_move_the_cursor_or_end_a_line(store: Path) -> None:
    run_id = log(GOOD)
    mlflow.MlflowClient().set_tag(run_id, "mlflow.runName", "a\x1b[2J\nerror: b")
    assert stored_run(mlflow.get_run(run_id)).name == r"a\x1b[2J\nerror: b"


def test_setting_is_a_tag_where_mlflow_run_logged_a_word_instead(
    small_config: Callable[..., RunConfig], store: Path
) -> None:
    config, run_id = small_config(), log({})
    for name, typed in (("image_size", "auto"), ("source", "auto"), ("seed", "0")):
        mlflow.MlflowClient().log_param(run_id, name, typed)
    log_settings(run_id, config)
    run = stored_run(mlflow.get_run(run_id))
    assert {"model", "method", "seed", "scale", "precision", "fast"} & run.tags.keys() == set()
    assert (run.settings["image_size"], run.settings["source"]) == ("32", config.source)
    assert (run.settings["model"], run.settings["seed"], run.settings["scale"]) == ("resnet50", "0", "tiny")


def test_setting_of_a_run_of_before_is_its_tag(store: Path) -> None:
    run = stored_run(mlflow.get_run(log(GOOD | {"scale": "tiny"})))
    assert (run.settings["model"], run.settings["scale"], run.fault) == (GOOD["model"], "tiny", None)


@pytest.mark.parametrize(
    ("tags", "columns", "why"),
    [
        ({"model": ""}, {}, "it names no model"),
        ({"seed": ""}, {}, "its seed '' is not a whole number"),
        ({"seed": "1e3"}, {}, "its seed '1e3'"),
        ({"seed": "-1"}, {}, "its seed '-1'"),
        ({"seed": "٣"}, {}, "its seed '٣'"),
        ({"jobs": "two"}, {}, "its number of jobs 'two'"),
        ({}, {"start_time": -(10**18)}, "its times are odd"),
        ({}, {"end_time": 10**18}, "its times are odd"),
        ({}, {"end_time": 1}, "its times are odd"),
        ({}, {"artifact_uri": "nowhere://x"}, "MLflow knows no artifacts at 'nowhere://x'"),
    ],
)
def test_malformed_run_is_left_out_with_its_reason(
    store: Path, caplog: pytest.LogCaptureFixture, tags: dict[str, str], columns: dict[str, Any], why: str
) -> None:
    good, odd = log(GOOD), log(GOOD | tags)
    with closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        for column, value in columns.items():
            database.execute(f"UPDATE runs SET {column} = ? WHERE run_uuid = ?", (value, odd))
    assert [run.id for run in read_trainings()] == [good]
    assert f"run {odd} is left out: {why}" in caplog.text
    faults = {run.id: run.fault for run in read_runs("demo")}
    assert faults.pop(good) is None
    assert str(faults[odd]).startswith(why)
    end_orphans()


def test_data_set_whose_counts_are_damaged_leaves_its_run_out(store: Path) -> None:
    run_id = log(GOOD)
    data = mlflow.data.meta_dataset.MetaDataset(mlflow.data.http_dataset_source.HTTPDatasetSource("http://x"), "cells")
    with mlflow.start_run(run_id):
        mlflow.log_input(data, "testing")
    with closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        database.execute("UPDATE datasets SET dataset_profile = ?", ('{"num_rows": ',))
    (run,) = read_runs("demo")
    assert run.fault == "the counts of its data set cells are damaged"


@pytest.mark.parametrize(
    "odd",
    [
        {"renewed": "NaN"},
        {"renewed": float("nan")},
        {"renewed": float("inf")},
        {"renewed": None},
        {"renewed": "soon"},
        {"renewed": [1]},
        {"renewed": time.time() + 1e6},
        {"pid": "x"},
        {"pid": None},
        {"pid": -1},
        {"pid": 10**40},
        {"start": "noon"},
    ],
)
def test_claim_that_no_process_can_have_made_does_not_stand(store: Path, odd: dict[str, object]) -> None:
    ((key, text),) = Claim().tag.items()
    run = mlflow.get_run(log(GOOD | {key: json.dumps({**json.loads(text), **odd})}))
    assert not standing_claims(run)


@pytest.mark.parametrize("text", ["", "[]", "[" * 5000, "{}", "3", "null", '{"host":', "\x00"])
def test_claim_of_another_project_is_none(store: Path, text: str) -> None:
    assert not standing_claims(mlflow.get_run(log(GOOD | {"claim.0": text})))


def test_run_that_says_it_is_complete_but_has_no_files_is_not_done(store: Path) -> None:
    log(GOOD | {"checkpoint": "checkpoint/final.pt", "model_id": "m-1"})
    (run,) = read_trainings("a")
    assert state(run, {}) == "interrupted"
