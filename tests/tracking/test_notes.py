"""What MLflow's page says of a run and of its model, from literal scores."""

from dataclasses import replace

import pytest

from wbc.config import TrainConfig
from wbc.studies import resolve
from wbc.tracking.notes import fitted, main_figures, model_card, run_note
from wbc.tracking.read import StoredDataset, StoredRun

ACCURACIES = {"pbc2500_validation": 0.1, "pbc2500_test": 0.9, "bccd": 0.3, "tecom": 0.5, "bccd/adabn": 1.0}
CONFIG = resolve(TrainConfig(profile="cells", model="lite0", seed=3))


def dataset(name: str, role: str) -> StoredDataset:
    context = "training" if role == "training" else "testing"
    return StoredDataset(name=name, digest="", context=context, role=role, origin="", profile='{"num_rows": 351}')


@pytest.fixture
def run() -> StoredRun:
    """A run with two scores at home, two away, and one under an adaptation."""
    roles = {name: "home" if name.startswith("pbc") else "away" for name in ACCURACIES} | {"pbc2500_train": "training"}
    metrics = {f"test/{name}/accuracy": value for name, value in ACCURACIES.items()}
    return StoredRun(
        id="a",
        name="lite0/seed3",
        status="FINISHED",
        tags={},
        metrics=metrics | {f"test/{name}/balanced_accuracy": 0.25 for name in ACCURACIES},
        started=None,
        ended=None,
        datasets=tuple(dataset(name, role) for name, role in roles.items()),
        artifact_uri="",
        link=None,
    )


def test_main_figures_count_each_lab_once_and_neither_adapted_nor_held_out_scores(run: StoredRun) -> None:
    assert main_figures(run, ACCURACIES) == pytest.approx(
        {"accuracy/home": 0.9, "accuracy/away": 0.4, "accuracy/drop": 0.5}
    )
    assert main_figures(run, ["bccd"]) == {"accuracy/away": 0.3}


def test_note_says_what_the_run_is_and_how_it_scored(run: StoredRun) -> None:
    note = run_note(replace(run, metrics=run.metrics | main_figures(run, ACCURACIES)), CONFIG).splitlines()
    assert note[0] == "**lite0, seed 3**, of the study cells: trained on pbc2500 for 3 epochs."
    assert note[2] == "Accuracy: 90.0 % at home, 40.0 % away, a drop of 50.0 points."
    assert note[6] == "| pbc2500_test | home | 351 | 90.0 % | 25.0 % |"
    assert note[8] == "| bccd | away | 351 | 30.0 % | 25.0 % |"


def test_note_that_somebody_wrote_stays(run: StoredRun) -> None:
    assert run_note(replace(run, tags={"mlflow.note.content": "Spoilt slide."}), CONFIG) == "Spoilt slide."


def test_model_card_says_what_a_model_must_not_be_used_for(run: StoredRun) -> None:
    card = model_card(run, CONFIG)
    assert "**Trained on** pbc2500_train (351 images): 3 epochs at 96 pixels" in card
    assert "| tecom | away | 351 | 50.0 % | 25.0 % |" in card
    assert "- Diagnosis, or any decision about a patient" in card
    drawn = model_card(run, resolve(TrainConfig(profile="demo", model="resnet50")))
    assert "- smears_source: Drawings: scores say that the code works, nothing about blood" in drawn


def test_note_that_is_too_long_ends_after_a_whole_line() -> None:
    assert fitted(["short", "x" * 7_490, "y" * 10]) == f"short\n{'x' * 7_490}\n…"
