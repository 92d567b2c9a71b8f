"""The estimators tried on known labs: expected beside true accuracy, and the range of their largest errors."""

from dataclasses import replace

import pytest

from tests.report.conftest import AWAY, HOME
from tests.report.studies import at_home_and_away, study_of
from wbc.report.paper.expected import expected_accuracy
from wbc.report.parts import Absent
from wbc.report.render import Table
from wbc.report.trials import trials, within
from wbc.tracking.read import StoredDataset


def test_trials_are_right_by_hand() -> None:
    """Home: always right and 0.8 sure, so that all is expected away, where 6 or 2 of 10 are wrong and as sure."""
    study = at_home_and_away(resnet50=[6, 2])
    tried = trials(study.runs, study.domains)
    found = {name: rows["expected"].tolist() for name, rows in tried.groupby("estimator")}
    assert found == {"ATC": [1, 1], "DoC": [1, 1], "seeds agree": [pytest.approx(0.6)] * 2}
    assert tried["true"].unique().tolist() == pytest.approx([0.4, 0.8])
    assert set(tried["lab"]) == {AWAY}


def dataset(name: str, role: str) -> StoredDataset:
    return StoredDataset(name=name, digest="", context="testing", role=role, origin="", profile="")


def test_home_is_each_runs_own_in_a_study_of_several_labs() -> None:
    """Each of two runs is at home where the other is away; of one both labs are home."""
    study = at_home_and_away(resnet50=[6, 2, 4])
    roles = ({HOME: "home", AWAY: "away"}, {HOME: "away", AWAY: "home"}, {HOME: "home", AWAY: "home"})
    runs = [
        replace(run, stored=replace(run.stored, datasets=tuple(map(dataset, own, own.values()))))
        for run, own in zip(study.runs, roles, strict=True)
    ]
    tried = trials(runs, study.domains)
    assert {(row.seed, row.lab) for row in tried.itertuples()} == {(0, AWAY), (1, HOME)}
    true = tried.set_index("seed")["true"]
    assert (true[0].iloc[0], true[1].iloc[0]) == (pytest.approx(0.4), 1)


def test_range_holds_the_largest_errors() -> None:
    study = at_home_and_away(resnet50=[6, 2])
    tried = trials(study.runs, study.domains)
    found = within("ATC", 0.9, tried)
    assert (found.low, found.high, found.tried) == (pytest.approx(0.3), pytest.approx(0.9), 2)
    found = within("seeds agree", 0.5, tried)  # 0.2 too high once, 0.2 too low once
    assert (found.low, found.high) == (pytest.approx(0.3), pytest.approx(0.7))
    assert within("ATC", 0.9, tried[:0]).tried == 0
    assert (within("ATC", 0.9, tried[:0]).low, within("ATC", 0.9, tried[:0]).high) == (0, 1)


def test_table_has_a_row_for_each_estimator_and_lab() -> None:
    table = expected_accuracy(at_home_and_away(resnet50=[6, 2]))
    assert isinstance(table, Table)
    assert [[cell.text for cell in row] for row in table.groups[0]] == [
        [AWAY, "ATC", "2", "100.00", "60.00", "40.00", "40.00", "60.00"],
        [AWAY, "DoC", "2", "100.00", "60.00", "40.00", "40.00", "60.00"],
        [AWAY, "seeds agree", "2", "60.00", "60.00", "0.00", "20.00", "20.00"],
    ]


def test_study_without_home_has_no_table() -> None:
    found = expected_accuracy(study_of({"resnet50": [{AWAY: 2}]}))
    assert isinstance(found, Absent)
