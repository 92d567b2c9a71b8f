"""Distances of batch norm's statistics on numbers that can be worked out by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from wbc.analysis.batch_norm import measure, write
from wbc.config import RunConfig
from wbc.data.cache import PixelCache
from wbc.data.images import Images
from wbc.errors import ConfigError
from wbc.models.build import Classifier, build_model


def noise(name: str, brightness: int) -> Images:
    pixels = np.random.default_rng(0).integers(0, 100, (8, 32, 32, 3)) + brightness
    names = tuple(map(str, range(8)))
    return Images(
        name=name,
        ids=names,
        labels=np.arange(8) % 5,
        contents=names,
        groups=names,
        digest="",
        labs=np.zeros(8, np.int64),
        pixels=PixelCache(pixels.astype(np.uint8).ravel(), np.full((8, 2), 32)),
        origin="drawn for a test",
    )


def fitted(images: Images, name: str) -> Classifier:
    """Returns a thin row whose batch norms hold the statistics of these images, as one batch."""
    model = build_model(name, scale="tiny", image_size=32, pretrained="none", seed=0)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    batch = torch.from_numpy(images.pixels.square).permute(0, 3, 1, 2)
    for norm in norms:  # one by one, since each sees what those before it have made
        norm.momentum = None
        norm.reset_running_stats()
        with torch.no_grad():
            model.eval()
            norm.train()
            model(batch)
            norm.eval()
    return model


@pytest.fixture
def config(small_config: Callable[..., RunConfig]) -> RunConfig:
    return small_config(model="resnet50", image_size=32)


def test_distances_are_zero_where_a_norm_meets_what_it_was_fitted_to_and_not_elsewhere(config: RunConfig) -> None:
    home, away = noise("home", 0), noise("away", 100)
    table = measure(fitted(home, "resnet50"), [home, away], config).set_index("split")
    assert table.loc["home", "mean_distance"].max() < 1e-3
    assert (
        table.loc["home", "spread_distance"].max() < 0.07
    )  # the stored variance divides by n - 1: ½ ln 8/7 at one pixel
    assert table.loc["away", "mean_distance"].max() > 0.3
    assert list(table.loc["home", "depth"]) == list(range(1, len(table) // 2 + 1))
    assert table.loc["home", "layer"].iloc[0] == "bn1"


def test_distances_are_those_of_the_formula(config: RunConfig) -> None:
    images = noise("home", 0)
    model = fitted(images, "resnet50")
    first = model.backbone.bn1
    first.running_mean += 2 * (first.running_var + first.eps).sqrt()
    first.running_var.copy_((first.running_var + first.eps) * 4 - first.eps)
    row = measure(model, [images], config).iloc[0]
    assert row["mean_distance"] == pytest.approx(1, abs=1e-3)  # two of the old deviations, each half of the new
    assert row["spread_distance"] == pytest.approx(np.log(2), abs=1e-2)


@pytest.mark.parametrize(("name", "frozen"), [("lite0", 0), ("lite0_frozenbn", 49), ("lite0_last16", 33)])
def test_norms_that_never_moved_are_marked(name: str, frozen: int, config: RunConfig) -> None:
    model = build_model(name, scale="tiny", image_size=32, pretrained="none", seed=0)
    assert measure(model, [noise("home", 0)], config)["frozen"].sum() == frozen


def test_model_without_batch_norm_is_refused_in_a_line(small_config: Callable[..., RunConfig]) -> None:
    model = build_model("squeezenet", scale="tiny", image_size=32, pretrained="none", seed=0)
    with pytest.raises(ConfigError, match="model squeezenet has no batch norm: there are no stored statistics"):
        measure(model, [noise("home", 0)], small_config(model="squeezenet"))


def test_table_and_figure_are_written(config: RunConfig, tmp_path: Path) -> None:
    home = noise("home", 0)
    table = measure(fitted(home, "resnet50"), [home, noise("away", 100)], config)
    folder = tmp_path / "analysis"
    folder.mkdir()
    write(table, "a run", folder)
    assert {path.name for path in folder.iterdir()} == {"batch_norm.csv", "batch_norm.png", "batch_norm.pdf"}
    assert list(pd.read_csv(folder / "batch_norm.csv").columns) == list(table.columns)
