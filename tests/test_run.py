"""The main path from end to end on small folders of cells: done already, resumed, scored elsewhere."""

import dataclasses
import errno
import json
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import ModuleType

import mlflow
import numpy as np
import pytest
import torch
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from PIL import Image

from tests.conftest import Once, name_of, write_cells
from tests.forks import start
from wbc import scoring
from wbc.config import EvaluateConfig, RunConfig
from wbc.errors import CheckpointError, ConfigError, DataError, TrackingError, TrainingError
from wbc.models.build import backbone_state, build
from wbc.outcome import Outcome
from wbc.run import train_and_score
from wbc.scoring import score_run
from wbc.tracking import writer
from wbc.tracking.notes import registration
from wbc.tracking.score_log import ScoreLog
from wbc.tracking.training_log import TrainingLog
from wbc.training import fit, loop
from wbc.training.features import LEAST_EPOCHS
from wbc.training.loop import train_epoch


def predictions_of(run_id: str, domain: str) -> bytes:
    return Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/predictions/{domain}.csv")).read_bytes()


def stop_after(epochs: int, error: BaseException) -> Callable[..., object]:
    """Returns a `train_epoch` that raises in the epoch after `epochs`."""

    def train(*arguments: object) -> object:
        if arguments[3] == epochs:
            raise error
        return train_epoch(*arguments)  # type: ignore[arg-type]

    return train


def interrupted(config: RunConfig, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fit, "train_epoch", stop_after(2, error))
        with pytest.raises(type(error)):
            train_and_score(config)


def test_run_logs_everything_that_a_reader_needs(small_config: Callable[..., RunConfig]) -> None:
    outcome = train_and_score(small_config())
    client = mlflow.MlflowClient()
    logged = client.get_run(outcome.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "resnet50/seed0"
    assert {"profile", "trained_as", "complete", "hardware", "jobs"} <= set(logged.data.tags)
    assert set(logged.data.tags) & set(logged.data.params) == {"profile"}
    assert logged.data.tags["arm"] == "resnet50"
    assert f"| {name_of('away')} | away | 10 |" in logged.data.tags["mlflow.note.content"]
    assert logged.data.metrics["accuracy/away"] == outcome.accuracies[name_of("away")]
    assert not [name for name in logged.data.metrics if name.startswith("system/")]  # a thin run's tell nothing
    assert logged.data.params["model"] == "resnet50"
    assert [point.step for point in client.get_metric_history(outcome.run_id, "train/loss")] == [1, 2, 3]
    assert logged.data.metrics[f"test/{name_of('away')}/accuracy"] == outcome.accuracies[name_of("away")]
    assert {item.dataset.name for item in logged.inputs.dataset_inputs} == {name_of("home"), name_of("away")}
    folder = Path(mlflow.artifacts.download_artifacts(run_id=outcome.run_id, artifact_path=""))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "config.json",
        "environment.json",
        "checkpoint/final.pt",
        f"predictions/{name_of('away')}.csv",
        f"embeddings/{name_of('away')}.npy",
        f"confusion/{name_of('away')}.png",
        f"samples/{name_of('away')}.png",
    }
    assert json.loads((folder / "config.json").read_text())["epochs"] == 3
    assert "torch" in json.loads((folder / "environment.json").read_text())["libraries"]


def test_logged_model_scores_whole_images_as_the_run_did_and_is_registered_with_its_card(trained: Outcome) -> None:
    model = mlflow.pyfunc.load_model(f"runs:/{trained.run_id}/{trained.config.arm.name}")
    table = np.genfromtxt(
        predictions_of(trained.run_id, name_of("away")).decode().splitlines(), delimiter=",", dtype=str
    )
    folder = Path(trained.config.targets[0].removeprefix("folder:"))
    images = np.stack([np.asarray(Image.open(folder / name)) for name in table[1:, 0]])
    np.testing.assert_allclose(model.predict(images), table[1:, 2:].astype(np.float32), atol=1e-5)
    exec("\n".join(registration(mlflow.get_run(trained.run_id).data.tags["model_id"])[1:-1]))
    registered = mlflow.MlflowClient().get_model_version("white-blood-cells", "1")
    assert registered.description.startswith("**resnet50, seed 0**: uint8 images of single white blood cells in")
    assert "**Must not be used for**" in registered.description


def test_same_run_again_is_done_already_and_its_model_is_not_built(
    trained: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wbc.run.build", None)
    assert train_and_score(trained.config) == dataclasses.replace(trained, done_already=True)


def test_other_settings_are_another_run(trained: Outcome, small_config: Callable[..., RunConfig]) -> None:
    assert train_and_score(small_config(epochs=1, seed=1)).run_id != trained.run_id


def test_same_identity_gives_the_same_predictions(
    trained: Outcome, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = predictions_of(trained.run_id, name_of("away"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/other.db")
    second = train_and_score(trained.config)
    assert second.run_id != trained.run_id
    assert predictions_of(second.run_id, name_of("away")) == before


@pytest.mark.parametrize(
    ("model", "epochs"),
    [("resnet50", 3), ("vgg16", 3), ("resnet50_gn+mixup", 3), ("resnet50_frozenbn_last16", LEAST_EPOCHS)],
)
def test_resumed_run_equals_an_uninterrupted_one(
    small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch, model: str, epochs: int
) -> None:
    config = small_config(model=model, epochs=epochs)
    interrupted(config, monkeypatch, KeyboardInterrupt())
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert stopped.info.status == "KILLED"
    resumed = train_and_score(config)
    assert resumed.run_id == stopped.info.run_id
    history = mlflow.MlflowClient().get_metric_history(resumed.run_id, "train/loss")
    assert [point.step for point in history] == list(range(1, epochs + 1))
    predictions = predictions_of(resumed.run_id, name_of("away"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/other.db")
    assert predictions_of(train_and_score(config).run_id, name_of("away")) == predictions


def stop_in_the_third_epoch(*arguments: object) -> object:
    """Trains, and lets SIGTERM come as the third epoch ends, its weights there, but with an error that hides it."""
    result = train_epoch(*arguments)  # type: ignore[arg-type]
    if arguments[3] == 2:
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit as error:
            raise RuntimeError("error return without exception set") from error
    return result


def test_stopped_run_goes_on_after_its_last_whole_epoch_though_that_was_not_one_to_be_saved(
    small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(epochs=4, checkpoint_every=9)
    with monkeypatch.context() as patch:
        patch.setattr(fit, "train_epoch", stop_in_the_third_epoch)
        with pytest.raises(SystemExit):
            train_and_score(config)
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert stopped.data.tags["checkpoint"] == "checkpoint/epoch_0002.pt"
    resumed = train_and_score(config)
    assert resumed.run_id == stopped.info.run_id
    predictions = predictions_of(resumed.run_id, name_of("away"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/other.db")
    assert predictions_of(train_and_score(config).run_id, name_of("away")) == predictions


def test_run_whose_store_is_away_stops_all_the_same(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    store_is_back = Event()
    monkeypatch.setattr(writer, "_PARTING_S", 0.1)
    monkeypatch.setattr(TrainingLog, "_upload_file", lambda *_: store_is_back.wait())
    interrupted(small_config(checkpoint_every=9), monkeypatch, KeyboardInterrupt())
    store_is_back.set()
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert stopped.info.status == "KILLED"
    assert "checkpoint" not in stopped.data.tags


@pytest.mark.parametrize(("log", "method"), [(TrainingLog, "_log_model"), (ScoreLog, "log"), (ScoreLog, "complete")])
def test_run_stopped_after_training_logs_the_rest_once(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, log: type, method: str
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(log, method, stop)
        with pytest.raises(KeyboardInterrupt):
            train_and_score(small_config(epochs=1))
    outcome, client = train_and_score(small_config(epochs=1)), mlflow.MlflowClient()
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert (run.info.run_id, run.info.status) == (outcome.run_id, "FINISHED")
    for name in ("train/loss", f"test/{name_of('away')}/accuracy"):
        assert len(client.get_metric_history(outcome.run_id, name)) == 1
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert model.model_id == run.data.tags["model_id"]
    assert f"test/{name_of('away')}/accuracy" in {metric.key for metric in model.metrics}


def test_epochs_logged_after_the_last_checkpoint_are_not_logged_twice(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(checkpoint_every=5)
    interrupted(config, monkeypatch, RuntimeError("stopped"))
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert stopped.info.status == "FAILED"
    resumed = train_and_score(config)
    assert resumed.run_id == stopped.info.run_id
    history = mlflow.MlflowClient().get_metric_history(resumed.run_id, "train/loss")
    assert [point.step for point in history] == [1, 2, 3]


def test_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(
    small_config: Callable[..., RunConfig], once: Once, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config()
    once("interrupted", lambda: interrupted(config, monkeypatch, KeyboardInterrupt()))
    with monkeypatch.context() as patch:
        patch.setattr(loop, "learning_rate", lambda config, epoch: 1e30)
        with pytest.raises(
            TrainingError, match=r"scores are not finite after epoch 3|loss is (nan|inf) in epoch 3, step \d of 4"
        ):
            train_and_score(config)
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert stopped.data.tags["checkpoint"] == "checkpoint/epoch_0002.pt"
    artifacts = mlflow.artifacts.list_artifacts(run_id=stopped.info.run_id, artifact_path="checkpoint")
    assert [artifact.path for artifact in artifacts] == ["checkpoint/epoch_0001.pt", "checkpoint/epoch_0002.pt"]
    assert stopped.info.status == "FAILED"
    assert train_and_score(config).run_id == stopped.info.run_id


def test_huge_learning_rate_is_told_by_epoch_and_step(small_config: Callable[..., RunConfig]) -> None:
    with pytest.raises(TrainingError, match=r"loss is (nan|inf) in epoch 1, step 2 of 4"):
        train_and_score(small_config(model="vgg16", lr=1e30))


def test_last_update_that_breaks_the_weights_is_not_saved(small_config: Callable[..., RunConfig]) -> None:
    with pytest.raises(TrainingError, match="scores are not finite after epoch 1"):
        train_and_score(small_config(model="vgg16", lr=1e30, epochs=1, batch_size=64))
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert "checkpoint" not in stopped.data.tags


def test_weights_from_a_file_or_its_folder_are_one_run(small_config: Callable[..., RunConfig], store: Path) -> None:
    path = store / "weights" / "resnet50.pth"
    path.parent.mkdir()
    torch.save(backbone_state(build(small_config(seed=5), None)), path)
    first = train_and_score(small_config(pretrained=str(path), epochs=1))
    assert train_and_score(small_config(pretrained=str(path.parent), epochs=1)).run_id == first.run_id
    torch.save(backbone_state(build(small_config(seed=6), None)), path)
    assert train_and_score(small_config(pretrained=str(path), epochs=1)).run_id != first.run_id


def test_same_images_under_another_spelling_are_the_same_run(
    trained: Outcome, small_config: Callable[..., RunConfig]
) -> None:
    again = train_and_score(small_config(epochs=1, source="folder:home", targets="folder:./away"))
    assert (again.run_id, again.done_already) == (trained.run_id, True)


def test_full_disk_while_logging_is_one_error_and_a_failed_run(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **keywords: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LocalArtifactRepository, "log_artifact", full)
        with pytest.raises(TrackingError, match="No space left on device"):
            train_and_score(small_config())
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert stopped.info.status == "FAILED"


def test_disk_of_the_images_that_fails_is_not_blamed_on_the_store(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> object:
        raise OSError(errno.EIO, "Input/output error", "cache-squash32.bin")

    monkeypatch.setattr(fit, "train_epoch", fail)
    with pytest.raises(TrainingError, match=r"^a file or device fails: .* Input/output error: 'cache-squash32.bin'"):
        train_and_score(small_config())
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert stopped.info.status == "FAILED"


def test_run_that_sigterm_ends_by_a_librarys_error_is_marked_as_killed(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*_: object) -> object:
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit as error:
            raise RuntimeError("error return without exception set") from error

    monkeypatch.setattr(fit, "train_epoch", train)
    with pytest.raises(SystemExit):
        train_and_score(small_config())
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.status == "KILLED"


def test_run_killed_outright_is_resumed_under_its_id_and_its_temporary_files_go(
    small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(store / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # what it was before is kept there
    config = small_config(epochs=4)
    process = start(store / "out", store / "err", _train_two_epochs_and_wait, config)
    while not (store / "waits").exists():
        assert process.is_alive()
        time.sleep(0.05)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert stopped.info.status == "RUNNING"
    assert list((store / "tmp").glob(f"wbc-{stopped.info.run_id}-*"))
    assert train_and_score(config).run_id == stopped.info.run_id
    assert not list((store / "tmp").glob("wbc-*"))
    history = mlflow.MlflowClient().get_metric_history(stopped.info.run_id, "train/loss")
    assert [point.step for point in history] == [1, 2, 3, 4]


def _train_two_epochs_and_wait(config: RunConfig) -> None:
    def train(*arguments: object) -> object:
        if arguments[3] == 2:
            Path("waits").touch()
            time.sleep(600)
        return train_epoch(*arguments)  # type: ignore[arg-type]

    fit.train_epoch = train  # type: ignore[assignment]
    train_and_score(config)


def test_evaluate_scores_an_earlier_run_on_a_further_folder(trained: Outcome, store: Path) -> None:
    write_cells(store / "slides", 1)
    scored = score_run(EvaluateConfig(run=trained.run_id, targets=f"folder:{store / 'slides'}", device="cpu"))
    assert scored.run_id == trained.run_id
    assert set(scored.accuracies) == {name_of("slides")}
    logged = mlflow.get_run(trained.run_id)
    assert logged.info.status == "FINISHED"
    assert f"test/{name_of('slides')}/macro_f1" in logged.data.metrics
    assert score_run(EvaluateConfig(targets=f"folder:{store / 'slides'}", device="cpu")).accuracies == scored.accuracies


def test_evaluate_of_a_checkpoint_file_is_a_run_of_its_own(trained: Outcome, store: Path) -> None:
    path = mlflow.artifacts.download_artifacts(f"runs:/{trained.run_id}/checkpoint/final.pt", dst_path=str(store))
    scored = score_run(EvaluateConfig(run=path, device="cpu"))
    assert scored.run_id != trained.run_id
    assert scored.accuracies == trained.accuracies


def test_evaluate_of_another_model_than_expected_is_refused(trained: Outcome) -> None:
    with pytest.raises(CheckpointError, match="holds resnet50, not vgg16"):
        score_run(EvaluateConfig(run=trained.run_id, model="vgg16", device="cpu"))


def test_evaluate_of_an_interrupted_run_is_refused_and_leaves_it_so(
    small_config: Callable[..., RunConfig], once: Once, monkeypatch: pytest.MonkeyPatch
) -> None:
    once("interrupted", lambda: interrupted(small_config(), monkeypatch, KeyboardInterrupt()))
    (stopped,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    with pytest.raises(TrackingError, match="no completed training run"):
        score_run(EvaluateConfig(run=stopped.info.run_id, device="cpu"))
    assert mlflow.get_run(stopped.info.run_id).info.status == "KILLED"


def test_evaluate_that_fails_leaves_the_run_finished_and_its_own_failed(
    trained: Outcome, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("stopped")

    path = mlflow.artifacts.download_artifacts(f"runs:/{trained.run_id}/checkpoint/final.pt", dst_path=str(store))
    monkeypatch.setattr(scoring, "predict_adapted", fail)
    write_cells(store / "other", 2)
    for run in (trained.run_id, path):
        with pytest.raises(RuntimeError):
            score_run(EvaluateConfig(run=run, targets=f"folder:{store / 'other'}", device="cpu"))
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert {run.info.run_name: run.info.status for run in runs} == {
        "resnet50/seed0": "FINISHED",
        "resnet50/seed0/evaluate": "FAILED",
    }


def test_evaluate_of_an_unknown_run_names_it(store: Path) -> None:
    with pytest.raises(TrackingError, match="no run 0123abc"):
        score_run(EvaluateConfig(run="0123abc", device="cpu"))
    with pytest.raises(TrackingError, match="no finished training run"):
        score_run(EvaluateConfig(device="cpu"))


def test_target_that_the_model_trains_on_is_refused(small_config: Callable[..., RunConfig]) -> None:
    config = small_config()
    with pytest.raises(ConfigError, match="is what the model trains on"):
        train_and_score(small_config(targets=config.source))


def test_folder_of_no_known_class_leaves_no_run_behind(small_config: Callable[..., RunConfig], store: Path) -> None:
    (store / "odd" / "Platelet").mkdir(parents=True)
    (store / "odd" / "Platelet" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match="Platelet"):
        train_and_score(small_config(targets=f"folder:{store / 'odd'}"))
    assert not mlflow.search_runs(search_all_experiments=True, output_format="list")


_FULL_GPU = torch.OutOfMemoryError("CUDA out of memory")
_FULL_MACHINE = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")


@pytest.mark.parametrize(
    ("module", "where", "error", "jobs", "told"),
    [
        (fit, "Feed", _FULL_GPU, "1", "on the GPU for batches of 8: use a larger one"),
        (fit, "Feed", _FULL_MACHINE, "2", "on the machine, which 2 runs share"),
        (fit, "train_epoch", _FULL_GPU, "3", "on the GPU, which 3 runs share: choose fewer jobs"),
        (scoring, "predict_adapted", _FULL_GPU, "1", "on the GPU for batches of 8: use a larger one"),
    ],
)
def test_want_of_memory_is_told_wherever_it_comes_and_what_to_do(
    small_config: Callable[..., RunConfig],
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    where: str,
    error: Exception,
    jobs: str,
    told: str,
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    for name in ("WBC_JOBS", "WBC_GPU_JOBS"):
        monkeypatch.setenv(name, jobs)
    with monkeypatch.context() as patch:
        patch.setattr(module, where, fail)
        with pytest.raises(TrainingError, match=f"^no memory left {told}"):
            train_and_score(small_config(epochs=1))
    assert not train_and_score(small_config(epochs=1)).done_already  # the same again goes on
