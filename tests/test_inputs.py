"""What a run takes: several labs as a source, held-out images, targets that hold training images."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

from tests.conftest import name_of, write_cells
from wbc.config import RunConfig
from wbc.data.images import join
from wbc.errors import ConfigError
from wbc.identity import trained_as
from wbc.inputs import list_inputs, load_inputs, splits_of
from wbc.run import train_and_score


@pytest.fixture
def third(store: Path) -> str:
    write_cells(store / "third", 3, size_px=26)
    return f"folder:{store}/third"


def test_several_labs_are_one_training_set_with_each_image_s_lab(
    small_config: Callable[..., RunConfig], third: str
) -> None:
    config = small_config(source=f"{small_config().source},{third}")
    inputs = load_inputs(config)
    train = join(inputs.train)
    assert [part.name for part in inputs.train] == [name_of("home"), name_of("third")]
    assert np.bincount(train.labs).tolist() == [30, 15]
    assert len(train.pixels) == 45
    np.testing.assert_array_equal(train.pixels[30], inputs.train[1].pixels[0])


def test_run_on_several_labs_logs_each_as_a_training_set_and_is_found_again(
    small_config: Callable[..., RunConfig], third: str
) -> None:
    config = small_config(source=f"{small_config().source},{third}", epochs=1)
    outcome = train_and_score(config)
    logged = mlflow.get_run(outcome.run_id).inputs.dataset_inputs
    roles = {each.dataset.name: {tag.key: tag.value for tag in each.tags}["role"] for each in logged}
    assert roles == {name_of("home"): "training", name_of("third"): "training", name_of("away"): "away"}
    assert train_and_score(config).done_already


def test_order_of_labs_and_their_images_decide_the_identity(small_config: Callable[..., RunConfig], third: str) -> None:
    home = small_config().source
    identities = set()
    for source in (home, f"{home},{third}", f"{third},{home}"):
        config = small_config(source=source)
        identities.add(trained_as(config, load_inputs(config).train, None))
    assert len(identities) == 3


def test_held_out_images_are_scored_at_home_and_not_trained_on(small_config: Callable[..., RunConfig]) -> None:
    config = small_config(validation=0.2, targets=f"folder:{Path.cwd()}/away")
    inputs = load_inputs(config)
    held = next(test for test in inputs.tests if test.name.endswith("_validation"))
    assert inputs.role(held) == "home"
    assert np.bincount(held.labels).tolist() == [1] * 5
    assert not set(held.ids) & set(inputs.train[0].ids)
    assert inputs.held == {held.name, f"{held.name}_corrupted"}
    assert {inputs.role(test) for test in inputs.tests if test.name in inputs.held} == {"home"}
    listed = list_inputs(config)
    assert listed
    assert [part.digest for part in (*listed.train, *listed.tests)] == [
        part.digest for part in (*inputs.train, *inputs.tests)
    ]


def test_target_that_holds_training_images_is_told_in_one_line(
    small_config: Callable[..., RunConfig], store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = small_config()
    shutil.copytree(store / "home", store / "copy")
    load_inputs(small_config(targets=f"folder:{store}/copy"))
    (line,) = (each for each in caplog.messages if "among the training images" in each)
    assert line.startswith(f"{name_of('copy')}: 30 of its 30 images")
    assert config.source != f"folder:{store}/copy"


def test_source_that_lacks_a_class_is_told_and_a_whole_one_is_not(
    small_config: Callable[..., RunConfig], store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = small_config()
    load_inputs(config)
    assert "no training image" not in caplog.text
    shutil.copytree(store / "home", store / "two", ignore=shutil.ignore_patterns("Baso*", "Eosin*", "Mono*"))
    load_inputs(replace(config, source=f"folder:{store}/two"))
    assert "no training image of Basophil, Eosinophil, Monocyte, which the model cannot learn" in caplog.text


def test_target_that_is_trained_on_is_refused(small_config: Callable[..., RunConfig], third: str) -> None:
    config = small_config(source=f"{small_config().source},{third}", targets=third)
    with pytest.raises(ConfigError, match="is what the model trains on"):
        splits_of(config)


def test_run_without_targets_is_scored_at_home_alone(small_config: Callable[..., RunConfig]) -> None:
    config = small_config(targets="smears_target", source="smears_source")
    sources, homes, targets = splits_of(config)
    assert [str(split) for split in (*sources, *homes, *targets)] == [
        "smears_source:train",
        "smears_source:test",
        "smears_target",
    ]
