"""A model that is taken along says class, probability and refer or not, without the store."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from PIL import Image

from wbc.assess.export import export
from wbc.assess.options import ExportConfig
from wbc.cells import CLASSES
from wbc.errors import ReportError, TrackingError


def test_exported_model_says_class_probability_and_whether_to_refer(trained: Any, store: Path) -> None:
    said = export(ExportConfig(run=trained.run_id, threshold=0.4, output=str(store / "taken")))
    assert str(store / "taken") in said
    cells = np.random.default_rng(0).integers(0, 255, (6, 30, 20, 3), np.uint8)
    model = mlflow.pyfunc.load_model(str(store / "taken/model"))
    found = model.predict(cells)
    assert list(found.columns) == ["class", "probability", "refer", *CLASSES]
    assert set(found["class"]) <= set(CLASSES)
    assert found["probability"].tolist() == pytest.approx(found[list(CLASSES)].max(axis=1).tolist())
    assert found["refer"].tolist() == (found["probability"] < 0.4).tolist()
    assert found[list(CLASSES)].sum(axis=1).tolist() == pytest.approx([1] * 6)
    logged = mlflow.pyfunc.load_model(f"models:/{mlflow.get_run(trained.run_id).data.tags['model_id']}")
    assert found[list(CLASSES)].to_numpy() == pytest.approx(logged.predict(cells), abs=1e-5)  # temperature 1: no home


def test_served_answer_is_json(trained: Any, store: Path) -> None:
    from fastapi.testclient import TestClient
    from mlflow.pyfunc.scoring_server import init  # what mlflow models serve starts

    export(ExportConfig(run=trained.run_id, output=str(store / "taken")))
    client = TestClient(init(mlflow.pyfunc.load_model(str(store / "taken/model"))))
    answer = client.post("/invocations", json={"inputs": np.full((1, 24, 24, 3), 120).tolist()})
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()["predictions"]
    assert row["class"] in CLASSES
    assert row["refer"] is True  # the run was scored at no home: nothing is known of its confidence


def test_example_of_the_folder_runs(trained: Any, store: Path) -> None:
    export(ExportConfig(run=trained.run_id, threshold=0.0, output=str(store / "taken")))
    Image.new("RGB", (24, 24)).save(store / "taken/cell.png")
    done = subprocess.run(
        [sys.executable, "example.py", "cell.png"], cwd=store / "taken", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cell.png {'class': ")


def test_card_says_what_the_model_is_for_and_which_cells_it_refers(trained: Any, store: Path) -> None:
    export(ExportConfig(run=trained.run_id, threshold=0.7, output=str(store / "taken")))
    card = (store / "taken/card.md").read_text(encoding="utf-8")
    for words in ("**Trained on**", "**Must not be used for**", "Diagnosis", "0.7000"):
        assert words in card
    rules = json.loads(next((store / "taken/model").rglob("rules.json")).read_text())
    assert rules == {"temperature": 1.0, "threshold": 0.7, "fitted_on": "given", "error": 0.05}


def test_folder_that_holds_something_else_stays(trained: Any, store: Path) -> None:
    (store / "mine").mkdir()
    (store / "mine/thesis.txt").touch()
    with pytest.raises(ReportError, match=r"holds 'thesis.txt'"):
        export(ExportConfig(run=trained.run_id, output=str(store / "mine")))
    with pytest.raises(TrackingError, match="no run"):
        export(ExportConfig(run="0123456789abcdef0123456789abcdef"))
