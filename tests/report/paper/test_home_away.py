"""The figure from home to away, and what figures show of few seeds."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.report.conftest import AWAY, HOME, LogRun, arm
from wbc.config import ReportConfig
from wbc.report.paper.figures import seeds
from wbc.report.paper.home_away import home_away, rows_by_norm
from wbc.report.paper.ranks import ranks
from wbc.report.parts import Absent
from wbc.report.query import read_study
from wbc.report.style import figure_style

MODELS = ("resnet50", "vgg16", "resnet50_gn")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


@pytest.fixture
def many(log_run: LogRun, options: ReportConfig) -> ReportConfig:
    """Three models of five seeds, as far apart as can be."""
    for model, misses in zip(MODELS, (10, 4, 0), strict=True):
        for seed in range(5):
            log_run(model, seed, {HOME: [], AWAY: list(range(misses))})
    return replace(options, models=",".join(MODELS), seeds="0,1,2,3,4")


def test_rows_stand_by_norm_with_a_gap_between_two(many: ReportConfig) -> None:
    rows = rows_by_norm(read_study(replace(many, models="resnet50,resnet50_gn,vgg16,vgg16_bn")))
    heights = {arm("resnet50"): 0, arm("vgg16_bn"): 1, arm("resnet50_gn"): 2.5, arm("vgg16"): 4}
    assert rows == heights


def test_one_lab_takes_one_column_with_names_and_drops(many: ReportConfig) -> None:
    plot = home_away(read_study(many))
    assert plot.narrow
    assert plot.figure
    assert len(plot.figure.axes) == 1
    assert plot.figure.get_size_inches()[0] == pytest.approx(3.4)
    said = texts(plot.figure)
    assert {"ResNet50, batch norm", "ResNet50, group norm", "VGG16, no norm"} < set(said)
    assert [text for text in said if text[-1].isdigit()] == ["−100.0", "+0.0", "−40.0"]
    assert "95 % interval over 5 seeds and the images" in plot.caption


def test_nothing_that_is_drawn_leaves_0_to_100(many: ReportConfig) -> None:
    figure = home_away(read_study(many)).figure
    assert figure
    drawn = [np.asarray(line.get_xdata(), float) for line in figure.axes[0].lines]
    assert min(map(np.min, drawn)) >= 0
    assert max(map(np.max, drawn)) <= 100


def test_each_of_several_labs_has_a_panel(log_run: LogRun, options: ReportConfig) -> None:
    labs = ("bccd", "tecom", "cellavision")
    for model in ("lite0", "squeezenet"):
        log_run(model, 0, {"pbc2500_test": [], **{lab: [0] for lab in labs}}, profile="cells", source="pbc2500")
    plot = home_away(read_study(replace(options, profile="cells", models="lite0,squeezenet", seeds="0")))
    assert plot.figure
    assert not plot.narrow
    assert [axis.get_title(loc="left").split("\n")[0] for axis in plot.figure.axes] == list(labs)
    labels = [label.get_text() for label in plot.figure.axes[0].get_yticklabels()]
    assert labels == ["EfficientNet-Lite0, batch norm", "SqueezeNet 1.1, no norm"]


def test_fewer_than_five_seeds_are_dots_with_mean_and_range(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig
) -> None:
    study = read_study(options)
    plot = home_away(study)
    assert plot.figure
    lines = plot.figure.axes[0].lines
    dots = [sorted(np.round(line.get_xdata()).tolist()) for line in lines if line.get_marker() == "."]
    assert dots == [[90, 100], [20, 40], [90, 90], [80, 100]]
    assert "fewer than five give no interval" in plot.caption


def test_quartiles_are_of_five_seeds_or_more(many: ReportConfig) -> None:
    """A box is of six lines: box, two whiskers, two caps, the median; dots, range and mean are three."""
    with figure_style():
        lines = {}
        for wanted in ("0,1,2,3", "0,1,2,3,4"):
            plot = seeds(read_study(replace(many, seeds=wanted)))
            assert plot.figure
            lines[plot.caption.split(", ")[1].split(".")[0]] = len(plot.figure.axes[0].lines) // 3
    assert lines == {"with mean and range": 3, "with quartiles": 7}


def test_ranks_are_of_five_seeds_or_more(many: ReportConfig) -> None:
    few = ranks(read_study(replace(many, seeds="0,1,2")))
    assert few == Absent(name="ranks", why="with fewer than five seeds the critical difference spans most ranks")
    plot = ranks(read_study(many))
    assert not isinstance(plot, Absent)
    assert plot.figure
