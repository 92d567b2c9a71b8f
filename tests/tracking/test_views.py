"""The views of a study: made once, never over somebody's own, and drawn by MLflow's page in a real browser."""

import json
import time
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from benchmarks.screenshot import PICTURE, RESULTS, SOURCE, fill_store, open_view, served
from tests.servers import free_port
from wbc.data.fetch.checksums import file_sha256
from wbc.surroundings import all_and
from wbc.tracking.store import connect
from wbc.tracking.views import prepare_views, view_addresses

BY_MODEL = "mlflow.sharedViewState.demo-by-model"
NOTE = "mlflow.note.content"


def tags_of(experiment_id: str) -> dict[str, str]:
    return dict(mlflow.get_experiment(experiment_id).tags)


def add(experiment_id: str, name: str, away: float, study: str = "demo", **params: str) -> None:
    """Adds a complete run to an experiment, right at home in 90 % of the cells."""
    client = mlflow.MlflowClient()
    tags = {"profile": study, "arm": name.partition("/")[0], "complete": "true"}
    run_id = client.create_run(experiment_id, tags=tags, run_name=name).info.run_id
    for key, value in params.items():
        client.log_param(run_id, key, value)
    for metric, value in {"home": 0.9, "away": away, "drop": 0.9 - away}.items():
        client.log_metric(run_id, f"accuracy/{metric}", value)


def groups(experiment_id: str) -> list[tuple[str, str]]:
    state = json.loads(json.loads(tags_of(experiment_id)[BY_MODEL])["state"])
    return [(key["mode"], key["groupByData"]) for key in state["groupBy"]["groupByKeys"]]


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


def test_runs_in_other_settings_stand_in_groups_apart(experiment_id: str) -> None:
    add(experiment_id, "vgg16/seed0", 0.5, epochs="12", lr="0.1")
    add(experiment_id, "vgg16/seed1", 0.7, epochs="auto", lr="0.1", device="cpu")
    add(experiment_id, "resnet50/seed0", 0.7, epochs="12", lr="0.2")
    prepare_views(experiment_id, "demo")
    assert groups(experiment_id) == [("tag", "arm")]
    add(experiment_id, "vgg16/seed0", 0.1, epochs="5", lr="0.1")
    prepare_views(experiment_id, "demo", renew=False)
    assert groups(experiment_id) == [("tag", "arm")]
    view_addresses()
    assert groups(experiment_id) == [("tag", "arm"), ("param", "epochs")]


def test_study_of_the_newest_run_comes_first(experiment_id: str) -> None:
    other = mlflow.create_experiment("other")
    for experiment, study in ((experiment_id, "cells"), (other, "demo")):
        prepare_views(experiment, study)
    for experiment, study in ((experiment_id, "demo"), (experiment_id, "cells"), (other, "demo")):
        add(experiment, "vgg16/seed0", 0.5, study)
        time.sleep(0.01)
    first, second = view_addresses().items()
    assert (first[0], second[0]) == ("demo", "cells")
    assert f"experiments/{other}/" in first[1]


def test_picture_of_the_docs_is_of_the_committed_results(store: Path) -> None:
    with Image.open(PICTURE) as picture:
        assert picture.info[SOURCE] == file_sha256(RESULTS), "python -m benchmarks.screenshot renews it"
    fill_store()
    (study, _), *_ = view_addresses().items()
    runs = mlflow.search_runs(search_all_experiments=True, filter_string="tags.complete = 'true'")
    by_arm = runs.groupby("tags.arm")["metrics.accuracy/away"].mean()
    means = pd.read_csv(RESULTS).query("domain != 'pbc2500_test'").groupby("model")["accuracy"].mean()
    assert (study, len(runs)) == ("cells", 30)
    assert by_arm.to_dict() == pytest.approx(means.to_dict())


def test_address_that_the_server_prints_opens_complete_runs_by_model_with_their_charts(
    browser: webdriver.Chrome, experiment_id: str, store: Path
) -> None:
    for name, away, epochs in (("vgg16/seed0", 0.5, "12"), ("vgg16/seed1", 0.7, "12"), ("vgg16/seed0", 0.1, "5")):
        add(experiment_id, name, away, epochs=epochs)
    add(experiment_id, "resnet50/seed0", 0.2, epochs="12")
    mlflow.MlflowClient().create_run(experiment_id, tags={"profile": "demo", "arm": "vgg16"}, run_name="vgg16/seed2")
    with served(free_port(), store, all_and()) as (by_model, _):
        open_view(browser, by_model, charts=3)
        bars = {each.text for each in browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .bartext")}
        page = browser.find_element(By.TAG_NAME, "body").text
    assert "4 matching runs" in page
    assert "Group by:" in page
    assert "arm: vgg16, epochs: 12" in page
    assert bars == {"0.60", "0.20", "0.10", "0.90", "0.30", "0.70", "0.80"}  # means away and at home, and the drop
