"""A model that has seen a lab's images before is marked wherever its score on that lab stands."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.report.paper.test_labs import three_labs
from tests.report.studies import study_of
from tests.tracking.test_notes import CONFIG, dataset
from wbc.assess.labs import Lab
from wbc.assess.tables import labs_table
from wbc.models.catalog import MODELS, find_model, seen_by
from wbc.models.seen import MARK, images_seen
from wbc.outcome import Outcome
from wbc.report.paper.answers import answers
from wbc.report.paper.averages import averages
from wbc.report.paper.certainty import certainty
from wbc.report.paper.comparison import differences
from wbc.report.paper.labs_matrix import matrix
from wbc.report.paper.labs_tables import left_out_table, matrix_table
from wbc.report.paper.tables import accuracies, classes, merits
from wbc.report.render import Table, to_tex
from wbc.report.seen import mark_seen
from wbc.report.study import Study
from wbc.report.style import figure_style
from wbc.tracking.notes import run_note
from wbc.tracking.read import StoredRun


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
    assert "(Founded, batch norm: bccd)" in table.note
    assert r"$\ddagger$" in to_tex(table)


@pytest.mark.parametrize("make", [merits, answers, averages, differences, lambda study: certainty(study)[0]])
def test_every_table_of_models_and_labs_has_the_mark(study: Study, make: object) -> None:
    table = mark_seen(study, make(study))  # type: ignore[operator]
    rows = marked(table)
    assert rows
    assert all("bccd" in str(row) or "bccd" in table.title or "bccd" in str(table.header) for row in rows)
    assert "Founded, batch norm: bccd" in table.note


def test_table_of_one_model_by_class_has_the_mark_in_its_title(study: Study) -> None:
    table = classes(study)
    assert table
    found = mark_seen(study, table)
    assert (MARK in found.title) == ("Founded" in table.title)
    other = replace(table, title=table.title.replace("Founded", "ResNet50"))
    assert MARK not in mark_seen(study, other).title


def test_averages_have_the_mark_in_each_column_of_the_lab(study: Study) -> None:
    twice = study_of({"founded": [{"bccd": 4}, {"bccd": 5}]})
    table = averages(twice)
    assert table
    (row,) = marked(mark_seen(twice, table))
    assert [MARK in text for text in row] == [heading.startswith("bccd: ") for heading in table.header]


@pytest.mark.parametrize("make", [matrix_table, left_out_table])
def test_tables_of_several_labs_have_the_mark_in_the_column_of_the_lab(
    make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "resnet50", replace(MODELS["resnet50"], seen=("bccd",)))
    study = three_labs()
    table = mark_seen(study, make(study))  # type: ignore[operator]
    bccd, tecom = (next(n for n, each in enumerate(table.header) if each.startswith(lab)) for lab in ("bccd", "tecom"))
    rows = [row for group in table.groups for row in group]
    assert all(row[bccd].text.endswith(MARK) for row in rows if row[bccd].text[0].isdigit())
    assert not any(MARK in row[tecom].text for row in rows)
    assert "(ResNet50, batch norm: bccd)" in table.note


def test_matrix_of_labs_has_the_mark_in_the_column_of_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "resnet50", replace(MODELS["resnet50"], seen=("bccd",)))
    with figure_style():
        plot = matrix(three_labs())
    assert plot.figure
    texts = [text for axis in plot.figure.axes for text in axis.texts if MARK in text.get_text()]
    assert texts
    assert {text.get_position()[0] for text in texts} == {0}
    assert f"{MARK} The weights of resnet50 have seen" in plot.caption


def test_terminal_note_and_page_of_slides_have_the_mark() -> None:
    config = replace(CONFIG, pretrained="weights/dinobloom-s.pth")
    share = {"pbc2500_test": 0.9, "bccd": 0.3}
    lines = Outcome(run_id="a", config=config, accuracies=share, guessing=share, done_already=False).lines()
    assert lines[1].startswith("  pbc2500_test ")
    assert lines[2].startswith(f"  bccd{MARK}  ")
    assert lines[3] == f"  {MARK} The weights of lite0 have seen images of this lab before."
    metrics = {
        f"test/{name}/{merit}": value for name, value in share.items() for merit in ("accuracy", "balanced_accuracy")
    }
    stored = StoredRun(
        id="a", name="", status="FINISHED", tags={}, metrics=metrics, started=None, ended=None, artifact_uri="",
        link=None, datasets=(dataset("pbc2500_test", "home"), dataset("bccd", "away")),
    )  # fmt: skip
    note = run_note(stored, config).splitlines()
    assert f"| bccd{MARK} | away | 351 | 30.0 % | 30.0 % |" in note
    assert note[-1] == lines[3].strip()
    labs = [
        Lab(name=name, images=10, distance=None, embedded=None, fills=None, accuracy=0.5, balanced=0.5)
        for name in ("pbc2500_test", "bccd", "your slides")
    ]
    table = labs_table(labs, "lite0", seen_by("lite0", config.pretrained))
    assert [row[0].text for row in table.groups[0]] == ["pbc2500_test", f"bccd{MARK}", "your slides"]
    assert table.note.endswith(lines[3].strip())


def test_nothing_is_marked_where_no_model_has_seen_a_lab() -> None:
    plain = study_of({"resnet50": [{"smears_source_test": 0, "bccd": 4}]})
    table = accuracies(plain)
    assert mark_seen(plain, table) is table


def test_models_and_files_of_weights_are_known_by_their_name() -> None:
    assert images_seen("timm:vit_small_patch14_DinoBloom") == ("raabin", "lisc", "bccd", "tecom", "cellavision")
    assert images_seen("timm:resnet18") == ()
    assert find_model("timm:resnet18").seen == ()
    assert "lisc" in seen_by("timm:vit_small_patch14_DinoBloom", "imagenet")
    weights = study_of({"resnet50": [{"smears_source_test": 0, "bccd": 4}]})
    weights = replace(weights, settings=weights.settings | {"pretrained": "weights/dinobloom-s.pth"})
    assert marked(mark_seen(weights, accuracies(weights)))
