"""Calibration, recall and counts of runs that say 0.8 for one class of each image, as figures and one table."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.report.conftest import AWAY, HOME
from tests.report.studies import at_home_and_away, study_of
from wbc.report.paper.answers import differential_counts
from wbc.report.paper.certainty import certainty, fitted_on
from wbc.report.paper.recall import recall_slopes, spread
from wbc.report.parts import Absent
from wbc.report.render import NOTHING, Table
from wbc.report.study import Study
from wbc.report.style import Plot


def calibration(study: Study) -> tuple[Table, Figure]:
    table, reliability, _ = certainty(study)
    assert isinstance(table, Table)
    assert isinstance(reliability, Plot)
    assert reliability.figure
    return table, reliability.figure


def texts(figure: Figure) -> list[list[str]]:
    return [[text.get_text() for text in axis.texts] for axis in figure.axes]


def test_table_of_calibration_is_right_by_hand() -> None:
    """Home: always right, so that only confidence 1 is calibrated. Away: 6 or 2 of 10 wrong, all as sure."""
    table, figure = calibration(at_home_and_away(resnet50=[6, 2]))
    home, away = table.groups[0]
    assert [cell.text for cell in home[2:6]] == [HOME, "20.00 (20.00–20.00)", "0.00 (0.00–0.00)", "0.00 (0.00–0.00)"]
    assert [cell.text for cell in away[2:7]] == [
        *(AWAY, "20.00 (0.00–40.00)", "40.00 (20.00–60.00)", "20.00 (10.00–30.00)", "60.00 (40.00–80.00)")
    ]
    assert table.data["temperature"].between(0.05, 0.1).all()
    assert table.data["augrc"].tolist() == pytest.approx([0, 0.3, 0, 0.1])
    titles = [axis.get_title().splitlines()[-1] for axis in figure.axes]
    assert titles == [
        f"{how}: error {each} %"
        for how, errors in (("as it is", (20, 20)), ("at temperature", (0, 40)))
        for each in errors
    ]


def test_temperature_is_of_the_images_held_out_where_there_are_some() -> None:
    held_out = "smears_source_train_validation"
    study = study_of({"resnet50": [{HOME: 0, held_out: 4, AWAY: 5}]})
    study = replace(study, domains=tuple(replace(each, home=each.name != AWAY) for each in study.domains))
    home = fitted_on(study)
    assert home
    assert home.name == held_out
    table, _ = calibration(study)
    assert table.data["temperature"].tolist() == pytest.approx(
        [np.log(16) / np.log(6)] * 3, abs=0.01
    )  # 0.8 becomes 0.6
    assert table.data["ece_at_temperature"].tolist()[::2] == pytest.approx([0.4, 0.1], abs=0.01)


def test_without_a_home_there_is_no_temperature_and_no_slope() -> None:
    study = study_of({"resnet50": [{AWAY: 5}]})
    table, figure = calibration(study)
    assert [row[index].text for row in table.groups[0] for index in (4, 7)] == [NOTHING, NOTHING]
    assert len(figure.axes) == 1
    assert isinstance(recall_slopes(study), Absent)


def test_slopes_name_the_recall_away_of_each_class_that_is_there() -> None:
    """Of two images a class the first three are wrong: basophils, and one eosinophil."""
    (plot,) = recall_slopes(at_home_and_away(resnet50=[3, 3], resnet50_gn=[10, 10]))  # type: ignore[misc]
    assert isinstance(plot, Plot)
    assert plot.figure
    assert texts(plot.figure) == [
        ["Bas 0", "Eos 50", "Lymp 100", "Mono 100", "Neut 100"],
        ["Bas 0", "Eos 0", "Lymp 0", "Mono 0", "Neut 0"],
    ]
    assert "of few images: Bas 2, Eos 2" in plot.caption


def test_names_of_lines_that_end_together_are_set_apart_in_their_order() -> None:
    assert spread([50, 10, 90], 11, 103) == [50, 10, 90]
    assert spread([100, 0, 99, 1], 11, 103) == [103, 0, 92, 11]
    assert np.diff(sorted(spread([103] * 5, 11, 103))).tolist() == [11] * 4


def test_differential_count_shows_the_share_that_is_called_each_class() -> None:
    """The first three of ten images get the next class's name: 0 % basophils, and lymphocytes 30 %."""
    figure = differential_counts(at_home_and_away(resnet50=[3, 3])).figure
    assert figure
    shares = {axis.get_title().split("\n")[0]: axis.lines[0].get_xdata().tolist() for axis in figure.axes}  # type: ignore[union-attr]
    assert shares == {HOME: [20.0] * 5, AWAY: pytest.approx([0, 30, 30, 20, 20])}
