"""The views of a study: made once, never over somebody's own, and drawn by MLflow's page in a real browser."""

import json
from pathlib import Path

import mlflow
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from benchmarks.screenshot import open_view, served
from tests.servers import free_port
from wbc.surroundings import all_and
from wbc.tracking.store import connect
from wbc.tracking.views import prepare_views, view_addresses

BY_MODEL = "mlflow.sharedViewState.demo-by-model"
NOTE = "mlflow.note.content"


def tags_of(experiment_id: str) -> dict[str, str]:
    return dict(mlflow.get_experiment(experiment_id).tags)


@pytest.fixture
def experiment_id(store: Path) -> str:
    """An experiment that has the views of the demo."""
    found = connect()
    prepare_views(found, "demo")
    return found


def test_views_are_written_once(experiment_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tags_of(experiment_id)
    names = [json.loads(value)["name"] for key, value in written.items() if key.startswith("mlflow.sharedViewState.")]
    assert sorted(names) == ["demo: by model", "demo: home and away", "demo: methods"]
    assert "[demo: by model](#/experiments/" in written[NOTE]
    monkeypatch.setattr(mlflow.MlflowClient, "set_experiment_tag", None)
    prepare_views(experiment_id, "demo")


def test_view_or_description_of_somebody_stays(experiment_id: str) -> None:
    client = mlflow.MlflowClient()
    view = json.loads(tags_of(experiment_id)[BY_MODEL])
    own = json.dumps(view | {"updatedAt": view["updatedAt"] + 1, "state": "{}"})  # as the page's "Override" writes it
    client.set_experiment_tag(experiment_id, BY_MODEL, own)
    client.set_experiment_tag(experiment_id, NOTE, "Ours.")
    client.set_experiment_tag(experiment_id, "mlflow.sharedViewState.link", "deflate;eJyr")  # a link shared long ago
    prepare_views(experiment_id, "cells")
    after = tags_of(experiment_id)
    assert (after[BY_MODEL], after[NOTE]) == (own, "Ours.")
    assert set(view_addresses()) == {"demo", "cells"}


def test_address_that_the_server_prints_opens_complete_runs_by_model_with_their_charts(
    browser: webdriver.Chrome, experiment_id: str, store: Path
) -> None:
    client, runs = mlflow.MlflowClient(), {"vgg16/seed0": 0.5, "vgg16/seed1": 0.7, "resnet50/seed0": 0.2}
    for name, away in runs.items() | {("vgg16/seed2", 0.99)}:
        complete = {"complete": "true"} if name in runs else {}
        tags = {"profile": "demo", "arm": name.partition("/")[0], "seed": name[-1], **complete}
        run = client.create_run(experiment_id, tags=tags, run_name=name)
        for metric, value in {"home": 0.9, "away": away, "drop": 0.9 - away}.items():
            client.log_metric(run.info.run_id, f"accuracy/{metric}", value)
    with served(free_port(), store, all_and()) as (by_model, _):
        open_view(browser, by_model, charts=3)
        bars = {each.text for each in browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .bartext")}
        page = browser.find_element(By.TAG_NAME, "body").text
    assert "3 matching runs" in page
    assert "Group by: arm" in page
    assert bars == {"0.60", "0.20", "0.90", "0.30", "0.70"}  # means away and at home, and the drop
