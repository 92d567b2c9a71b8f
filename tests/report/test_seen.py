"""A model that has seen a lab's images before is marked in every table where it meets that lab."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.report.studies import study_of
from wbc.models.catalog import MODELS, find_model, images_seen
from wbc.report.paper.answers import answers
from wbc.report.paper.averages import averages
from wbc.report.paper.certainty import certainty
from wbc.report.paper.comparison import differences
from wbc.report.paper.tables import accuracies, classes, merits
from wbc.report.render import Table, to_tex
from wbc.report.seen import MARK, mark_seen
from wbc.report.study import Study


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    """Two models on two labs, of which a row added for the test has seen one."""
    monkeypatch.setitem(MODELS, "founded", replace(MODELS["resnet50"], seen=("bccd",), index="", title="Founded"))
    away = [
        {"smears_source_test": 0, "bccd": 4, "smears_target": 3},
        {"smears_source_test": 0, "bccd": 5, "smears_target": 2},
    ]
    return study_of({"founded": away, "resnet50_gn": away})


def marked(table: Table) -> list[Sequence[str]]:
    return [[cell.text for cell in row] for group in table.groups for row in group if MARK in str(row)]


def test_mark_stands_in_the_column_of_the_lab_and_the_note_names_model_and_lab(study: Study) -> None:
    table = mark_seen(study, accuracies(study))
    (row,) = marked(table)
    assert [MARK in text for text in row] == [heading.startswith("bccd") for heading in table.header]
    assert "(founded: bccd)" in table.note
    assert r"$\ddagger$" in to_tex(table)


@pytest.mark.parametrize("make", [merits, answers, averages, differences, lambda study: certainty(study)[0]])
def test_every_table_of_models_and_labs_has_the_mark(study: Study, make: object) -> None:
    table = mark_seen(study, make(study))  # type: ignore[operator]
    rows = marked(table)
    assert rows
    assert all("bccd" in str(row) or "bccd" in table.title or "bccd" in str(table.header) for row in rows)
    assert "founded: bccd" in table.note


def test_class_table_of_one_model_without_its_name_in_the_rows_stays(study: Study) -> None:
    table = classes(study)
    assert table
    assert mark_seen(study, table).groups == table.groups


def test_nothing_is_marked_where_no_model_has_seen_a_lab() -> None:
    plain = study_of({"resnet50": [{"smears_source_test": 0, "bccd": 4}]})
    table = accuracies(plain)
    assert mark_seen(plain, table) is table


def test_models_and_files_of_weights_are_known_by_their_name() -> None:
    assert images_seen("timm:vit_small_patch14_DinoBloom") == ("raabin", "lisc", "bccd", "tecom", "cellavision")
    assert images_seen("timm:resnet18") == ()
    assert find_model("timm:resnet18").seen == ()
    weights = study_of({"resnet50": [{"smears_source_test": 0, "bccd": 4}]})
    weights = replace(weights, settings=weights.settings | {"pretrained": "weights/dinobloom-s.pth"})
    assert marked(mark_seen(weights, accuracies(weights)))
