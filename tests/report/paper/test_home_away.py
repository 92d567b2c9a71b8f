"""The figure from home to away, and what figures show of few seeds."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.report.conftest import arm
from tests.report.studies import at_home_and_away, study_of
from wbc.report.paper.figures import seeds
from wbc.report.paper.home_away import home_away, rows_by_norm
from wbc.report.paper.ranks import ranks
from wbc.report.paper.recall import recall_slopes
from wbc.report.parts import Absent
from wbc.report.style import figure_style


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_rows_stand_by_norm_with_a_gap_between_two() -> None:
    study = at_home_and_away(resnet50=[1], resnet50_gn=[1], vgg16=[1], vgg16_bn=[1])
    heights = {arm("resnet50"): 0, arm("vgg16_bn"): 1, arm("resnet50_gn"): 2.5, arm("vgg16"): 4}
    assert rows_by_norm(study) == heights


def test_one_lab_takes_one_column_with_names_and_drops() -> None:
    plot = home_away(at_home_and_away(resnet50=[10] * 5, vgg16=[4] * 5, resnet50_gn=[0] * 5))
    assert plot.narrow
    assert plot.figure
    assert len(plot.figure.axes) == 1
    assert plot.figure.get_size_inches()[0] == pytest.approx(3.4)
    said = texts(plot.figure)
    assert {"ResNet50, batch norm", "ResNet50, group norm", "VGG16, no norm"} < set(said)
    assert [text for text in said if text[-1].isdigit()] == ["−100.0", "+0.0", "−40.0"]
    assert "95 % interval over 5 seeds and the images" in plot.caption


@pytest.mark.parametrize("count", [1, 3, 5])
def test_nothing_that_is_drawn_leaves_0_to_100(count: int) -> None:
    wrong = [0, 10, 0, 10, 10][:count]
    figure = home_away(at_home_and_away(resnet50=wrong, vgg16=[10] * count, resnet50_gn=[0] * count)).figure
    assert figure
    drawn = [np.asarray(line.get_xdata(), float) for line in figure.axes[0].lines]
    assert min(map(np.min, drawn)) == 0
    assert max(map(np.max, drawn)) == 100


def test_model_without_a_score_is_missing() -> None:
    plot = home_away(at_home_and_away(resnet50=[1], resnet50_gn=[]))
    assert plot.figure
    assert texts(plot.figure).count("missing") == 1


def test_each_of_several_labs_has_a_panel() -> None:
    labs = ("bccd", "tecom", "cellavision")
    run = {"pbc2500_test": 0, **dict.fromkeys(labs, 1)}
    models = ("lite0", "lite0_frozenbn_last16", "squeezenet")
    plot = home_away(study_of({model: [run] for model in models}, source="pbc2500", home="pbc2500_test"))
    assert plot.figure
    assert not plot.narrow
    assert [axis.get_title(loc="left").split("\n")[0] for axis in plot.figure.axes] == list(labs)
    assert [label.get_text() for label in plot.figure.axes[0].get_yticklabels()] == [
        "EfficientNet-Lite0, batch norm",
        "EfficientNet-Lite0,\nfrozen batch norm, last 16 layers",
        "SqueezeNet 1.1, no norm",
    ]
    assert texts(plot.figure).count("−10.0") == 9


def test_fewer_than_five_seeds_are_dots_with_mean_and_range() -> None:
    plot = home_away(at_home_and_away(resnet50=[6, 8], resnet50_gn=[2, 0]))
    assert plot.figure
    lines = plot.figure.axes[0].lines
    dots = [sorted(np.round(line.get_xdata()).tolist()) for line in lines if line.get_marker() == "."]
    assert dots == [[100, 100], [20, 40], [100, 100], [80, 100]]
    assert "fewer than five give no interval" in plot.caption


def test_caption_and_legend_say_what_is_drawn_where_the_grid_has_more_seeds() -> None:
    study = at_home_and_away(resnet50=[1, 2, 3, 4, 5], resnet50_gn=[1, 2, 3])
    plot = home_away(study)
    assert plot.figure
    legend = {text.get_text() for text in plot.figure.legends[0].get_texts()}
    assert {"a seed", "95 %, seeds and images"} <= legend
    assert "over 5 seeds" in plot.caption
    assert "fewer than five give no interval" in plot.caption
    few = replace(study, runs=tuple(run for run in study.runs if run.seed < 3))
    assert "95 %" not in home_away(few).caption
    slopes = recall_slopes(few)
    assert not isinstance(slopes, Absent)
    assert "Bars: lowest to highest seed." in slopes[0].caption


@pytest.mark.parametrize(("count", "lines", "said"), [(4, 3, "with mean and range"), (5, 7, "with quartiles")])
def test_quartiles_are_of_five_seeds_or_more(count: int, lines: int, said: str) -> None:
    """A box is two whiskers, two caps, itself and the median; else there are a range and a mean. Dots are one more."""
    with figure_style():
        plot = seeds(at_home_and_away(resnet50=[1, 2, 3, 4, 5][:count]))
    assert plot.figure
    assert len(plot.figure.axes[0].lines) == lines
    assert said in plot.caption


def test_ranks_are_of_five_seeds_or_more() -> None:
    wrong = {"resnet50": [9, 8, 7, 8, 9], "vgg16": [3, 4, 5, 4, 3], "resnet50_gn": [0, 1, 0, 1, 0]}
    few = ranks(at_home_and_away(**{model: counts[:4] for model, counts in wrong.items()}))
    assert few == Absent(name="ranks", why="with fewer than five seeds the critical difference spans most ranks")
    plot = ranks(at_home_and_away(**wrong))
    assert not isinstance(plot, Absent)
    assert plot.figure
