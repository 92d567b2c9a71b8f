"""What is stored is believed only as far as it can be checked; what is lost is made again by the same command."""

import dataclasses
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import mlflow
import pytest

from tests.conftest import Once, name_of, write_cells
from tests.test_run import interrupted, predictions_of
from wbc.config import EvaluateConfig, RunConfig
from wbc.errors import DamageError, TrackingError
from wbc.outcome import Outcome
from wbc.run import train_and_score
from wbc.scoring import score_run
from wbc.tracking import schema
from wbc.tracking.artifacts import fetch
from wbc.tracking.read import read_run


def file_of(run_id: str, artifact: str) -> Path:
    return Path(url2pathname(urlparse(mlflow.get_run(run_id).info.artifact_uri).path), artifact)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def points(run_id: str, metric: str) -> list[int]:
    return [point.step for point in mlflow.MlflowClient().get_metric_history(run_id, metric)]


@pytest.mark.parametrize("of_away", ["predictions/{}.csv", "embeddings/{}.npy", "checkpoint/final.pt"])
def test_file_with_one_flipped_bit_is_refused_when_it_is_read(trained: Outcome, store: Path, of_away: str) -> None:
    artifact = of_away.format(name_of("away"))
    flip_a_bit(file_of(trained.run_id, artifact))
    with pytest.raises(DamageError, match=f"^{artifact} of run {trained.run_id} is not the file that was logged"):
        fetch(read_run(trained.run_id), artifact, store / "fetched")


def test_scores_that_are_damaged_or_lost_are_made_again_and_logged_once(trained: Outcome) -> None:
    predictions = file_of(trained.run_id, f"predictions/{name_of('away')}.csv")
    before = predictions.read_bytes()
    flip_a_bit(predictions)
    assert not train_and_score(trained.config).done_already
    assert predictions.read_bytes() == before
    file_of(trained.run_id, f"embeddings/{name_of('away')}.npy").unlink()
    assert not train_and_score(trained.config).done_already
    assert train_and_score(trained.config).done_already
    assert points(trained.run_id, f"test/{name_of('away')}/accuracy") == [0]
    assert points(trained.run_id, "train/loss") == [1]


@pytest.mark.parametrize("artifact", ["checkpoint/final.pt", "config.json"])
def test_done_run_that_lost_a_file_is_not_done_and_the_same_command_mends_it(trained: Outcome, artifact: str) -> None:
    file_of(trained.run_id, artifact).unlink()
    again = train_and_score(trained.config)
    assert (again.run_id, again.done_already) == (trained.run_id, False)
    assert file_of(trained.run_id, artifact).exists()
    assert points(trained.run_id, "train/loss") == [1]
    assert mlflow.get_run(trained.run_id).info.status == "FINISHED"


@pytest.mark.parametrize("lost", ["", "models"])
def test_done_run_whose_artifacts_were_cleaned_away_is_made_again_and_logged_once(
    trained: Outcome, store: Path, lost: str
) -> None:
    shutil.rmtree(store / "mlartifacts" / lost)
    again = train_and_score(trained.config)
    assert (again.run_id, again.accuracies, again.done_already) == (trained.run_id, trained.accuracies, False)
    assert train_and_score(trained.config).done_already
    assert points(trained.run_id, f"test/{name_of('away')}/accuracy") == [0]
    model = mlflow.get_logged_model(read_run(trained.run_id).tags["model_id"])
    assert {metric.key for metric in model.metrics} >= {f"test/{name_of('away')}/accuracy"}
    mlflow.pyfunc.load_model(model.model_uri)


@pytest.mark.parametrize("figure", ["accuracy/away", "test/{}/recall/Monocyte"])
def test_figure_that_a_stop_kept_from_the_model_is_given_to_it_and_logged_once(
    trained: Outcome, store: Path, figure: str
) -> None:
    figure, client = figure.format(name_of("away")), mlflow.MlflowClient()
    with closing(sqlite3.connect(store / "mlflow.db")) as connection, connection:
        assert connection.execute("DELETE FROM logged_model_metrics WHERE metric_name = ?", [figure]).rowcount == 1
    client.delete_tag(trained.run_id, schema.COMPLETE)
    client.delete_tag(trained.run_id, schema.scored_as(name_of("away")))
    assert not train_and_score(trained.config).done_already
    model = mlflow.get_logged_model(read_run(trained.run_id).tags["model_id"])
    (told,) = (metric.value for metric in model.metrics if metric.key == figure)
    assert told == mlflow.get_run(trained.run_id).data.metrics[figure]
    assert len(points(trained.run_id, figure)) == 1


@pytest.mark.parametrize("spoilt", [1, 2])
def test_spoilt_checkpoint_is_left_aside_for_the_one_before_or_a_new_start(
    small_config: Callable[..., RunConfig],
    store: Path,
    once: Once,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    spoilt: int,
) -> None:
    config = small_config()
    once("interrupted", lambda: interrupted(config, monkeypatch, KeyboardInterrupt()))
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    for epoch in (2, 1)[:spoilt]:
        flip_a_bit(file_of(stopped.info.run_id, f"checkpoint/epoch_000{epoch}.pt"))
    resumed = train_and_score(config)
    assert resumed.run_id == stopped.info.run_id
    assert "checkpoint/epoch_0002.pt of run" in caplog.text
    assert ("starts over" in caplog.text) == (spoilt == 2)
    assert "/tmp" not in caplog.text
    assert points(resumed.run_id, "train/loss") == [1, 2, 3]
    predictions = predictions_of(resumed.run_id, name_of("away"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/other.db")
    assert predictions_of(train_and_score(config).run_id, name_of("away")) == predictions


def test_evaluate_of_a_damaged_checkpoint_names_the_remedy(trained: Outcome) -> None:
    flip_a_bit(file_of(trained.run_id, "checkpoint/final.pt"))
    with pytest.raises(DamageError, match=f"`.venv/bin/mlflow runs delete --run-id {trained.run_id}`"):
        score_run(EvaluateConfig(run=trained.run_id, device="cpu"))


def test_run_of_before_left_in_the_environment_stays_as_it_is(
    trained: Outcome, small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mlflow.get_run(trained.run_id)
    monkeypatch.setenv("MLFLOW_RUN_ID", trained.run_id)
    other = train_and_score(small_config(epochs=1, seed=1))
    assert other.run_id != trained.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", trained.run_id)
    score_run(EvaluateConfig(run=other.run_id, device="cpu"))
    after = mlflow.get_run(trained.run_id)
    assert (after.info.run_name, after.data.tags) == (before.info.run_name, before.data.tags)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE params SET value = 'vgg16' WHERE key = 'model'",
        "INSERT INTO tags (key, value, run_uuid) SELECT 'source', 'nowhere', run_uuid FROM runs",
        "UPDATE latest_metrics SET is_nan = 1 WHERE key LIKE '%/accuracy'",
        "UPDATE latest_metrics SET value = 7 WHERE key LIKE '%/balanced_accuracy'",
        "DELETE FROM latest_metrics WHERE key LIKE '%/balanced_accuracy'",
        "UPDATE tags SET value = 'many' WHERE key = 'jobs'",
        "DELETE FROM inputs",
    ],
)
def test_done_run_whose_record_is_damaged_is_not_done_and_the_same_command_mends_it_or_makes_another(
    trained: Outcome, store: Path, change: str
) -> None:
    with closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        database.execute(change)
    again = train_and_score(trained.config)
    assert not again.done_already
    assert again.accuracies == trained.accuracies
    run = read_run(again.run_id)
    assert (run.settings["model"], run.settings["source"]) == ("resnet50", trained.config.source)
    assert run.metrics[f"test/{name_of('away')}/balanced_accuracy"] == again.accuracies[name_of("away")]
    assert train_and_score(trained.config) == dataclasses.replace(again, done_already=True)


@pytest.mark.parametrize("artifact", ["config.json", "environment.json"])
def test_description_of_a_run_that_is_damaged_is_made_again(trained: Outcome, artifact: str) -> None:
    flip_a_bit(file_of(trained.run_id, artifact))
    assert not train_and_score(trained.config).done_already
    assert train_and_score(trained.config).done_already
    assert points(trained.run_id, "train/loss") == [1]


def test_another_target_is_only_scored(trained: Outcome, small_config: Callable[..., RunConfig], store: Path) -> None:
    before = mlflow.get_run(trained.run_id)
    write_cells(store / "slides", 1)
    targets = f"{','.join(trained.config.targets)},folder:{store / 'slides'}"
    more = train_and_score(small_config(epochs=1, targets=targets))
    assert (more.run_id, set(more.accuracies)) == (trained.run_id, {name_of("away"), name_of("slides")})
    after = mlflow.get_run(trained.run_id)
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.info.end_time)
    anew = {schema.SCORED_PER_S, schema.AWAY}
    assert after.data.metrics.items() >= {
        (name, value) for name, value in before.data.metrics.items() if name not in anew
    }
    assert after.data.metrics[schema.AWAY] == pytest.approx(sum(more.accuracies.values()) / 2)
    assert points(trained.run_id, "train/loss") == [1]
    assert {each.name: each.role for each in read_run(trained.run_id).datasets} == {
        name_of("home"): "training",
        name_of("away"): "away",
        name_of("slides"): "away",
    }


def test_same_name_with_other_images_is_refused_and_the_score_stays(trained: Outcome, store: Path) -> None:
    write_cells(store / "slides", 1)
    options = EvaluateConfig(run=trained.run_id, targets=f"folder:{store / 'slides'}", device="cpu")
    for _ in range(2):
        score_run(options)
    assert points(trained.run_id, f"test/{name_of('slides')}/accuracy") == [0]
    before = predictions_of(trained.run_id, name_of("slides"))
    shutil.rmtree(store / "slides")
    write_cells(store / "slides", 2)
    with pytest.raises(TrackingError, match=rf"holds scores on '{name_of('slides')}' of .*go by the same name"):
        score_run(options)
    assert predictions_of(trained.run_id, name_of("slides")) == before
