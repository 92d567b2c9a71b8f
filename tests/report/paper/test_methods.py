"""Tables, figure and paragraph of methods and adaptations; the source's choice; averages over seeds."""

from dataclasses import replace

import numpy as np
import pytest

from tests.report.conftest import AWAY, HOME, LABELS
from tests.report.studies import study_of
from wbc.evaluation.metrics import score
from wbc.report.paper.averages import averages
from wbc.report.paper.choice import advice, choice, chosen
from wbc.report.paper.contents import headline
from wbc.report.paper.gains import gains
from wbc.report.paper.joint import joint, joint_tables
from wbc.report.paper.methods import methods_tables, what_helps
from wbc.report.parts import Absent
from wbc.report.render import Table, to_markdown
from wbc.report.study import Study
from wbc.report.style import figure_style

OPENING = "Methods and adaptations, against plain training of the same model, in points of balanced accuracy."


def mixed_study(seeds: int = 2) -> Study:
    """Away plain training is wrong, and so under rgb, em and mixup are right; balanced is wrong at home."""
    plain = {HOME: 0, AWAY: 10, f"{AWAY}/rgb": 10, f"{AWAY}/em": 0}
    return study_of(
        {
            "resnet50": [plain] * seeds,
            "resnet50+mixup": [{HOME: 0, AWAY: 0}] * seeds,
            "resnet50+balanced": [{HOME: 10, AWAY: 9 - seed} for seed in range(seeds)],
        }
    )


def test_paragraph_says_what_helps_what_hurts_and_what_is_not_known() -> None:
    network = "ResNet50 with batch norm"
    assert what_helps(mixed_study()) == [
        OPENING,
        f"From the source's labelled images, and one image at a time: mixup of {network} on smears_target "
        "(+100.0) helps; nothing hurts; not known are 2 of 3 differences, of which the largest is balanced classes of "
        f"{network} on smears_target (+15.0); at home 1 hurts, most of all balanced classes of {network} (−100.0).",
        f"From all images of the lab that is scored, too, without labels: EM of {network} on smears_target (+100.0) "
        "helps; nothing hurts.",
    ]


def test_one_seed_tells_nothing_and_plain_training_alone_has_no_paragraph() -> None:
    assert what_helps(mixed_study(seeds=1)) == ["Methods and adaptations: one seed tells nothing of them."]
    plain = study_of({"resnet50": [{HOME: 0, AWAY: 10}] * 2, "vgg16": [{HOME: 0, AWAY: 0}] * 2})
    assert (what_helps(plain), methods_tables(plain), gains(plain)) == ([], [], None)
    assert headline(plain).paragraphs == ()


def test_each_access_has_its_table_and_bold_is_what_the_rule_tells() -> None:
    source, target = methods_tables(mixed_study())
    assert (source.name, target.name) == ("methods_source", "methods_target")
    rows = [line for line in to_markdown(target).splitlines() if line.startswith("| ResNet50")]
    assert rows == [
        "| ResNet50, batch norm | EM<br>of class shares | missing | – | 100.00 (100.00–100.00)<br>accuracy 100.00 | "
        "**+100.0**<br>[+100.0, +100.0] p \\< 0.001 |"
    ]
    assert set(source.data["adaptation"]) == {"none", "rgb"}
    told = {row[1].text: row[5].bold for row in source.groups[0]}
    assert told == {"plain training": False, "mixup": True, "balanced classes": False, "RGB matching": False}


def test_collapse_is_named_beside_its_score() -> None:
    study = mixed_study()
    one = np.tile(np.eye(5, dtype=np.float32)[4], (10, 1))
    runs = tuple(
        replace(run, metrics=run.metrics | {AWAY: score(LABELS, one)}, scores=run.scores | {AWAY: one})
        if run.arm.method == "mixup" and run.seed == 1
        else run
        for run in study.runs
    )
    source, _ = methods_tables(replace(study, runs=runs))
    (cell,) = (row[4] for row in source.groups[0] if row[1].text == "mixup")
    assert cell.second == "accuracy 60.00; collapsed in 1 of 2"
    assert "1 of the means hold a model that collapsed" in what_helps(replace(study, runs=runs))[1]


def test_figure_frames_what_the_rule_tells_and_leaves_pale_what_is_not_known() -> None:
    with figure_style():
        plot = gains(mixed_study())
    assert plot is not None
    assert plot.figure is not None
    (axis,) = plot.figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        *("sees one image at a time", "mixup", "balanced classes", "RGB matching"),
        *("sees the lab's images", "EM"),
    ]
    said = {text.get_text(): text.get_fontweight() for text in axis.texts}
    assert said == {"+0.0": "normal", "+100.0": "bold", "−100.0": "bold", "+15.0": "normal"}
    assert sum(patch.get_linewidth() > 0 for patch in axis.patches) == 3
    single = gains(mixed_study(seeds=1))
    assert single is not None
    assert "one seed, so no interval" in single.caption


def joint_study() -> Study:
    """Away all answers are wrong; with mixup and em together they are right."""
    wrong = {HOME: 0, AWAY: 10, f"{AWAY}/rgb": 10, f"{AWAY}/em": 10}
    return study_of({"resnet50": [wrong] * 2, "resnet50+mixup": [wrong | {f"{AWAY}/em": 0}] * 2})


def test_method_and_adaptation_together_are_families_by_themselves() -> None:
    study = joint_study()
    (single,) = [each for each in methods_tables(study) if each.name == "methods_target"]
    assert set(single.data["method"]) == {"erm"}
    source, target = joint_tables(study)
    assert [source.name, target.name] == ["joint_source", "joint_target"]
    ((row,),) = target.groups
    assert [cell.text for cell in row] == ["ResNet50, batch norm", "mixup", "+100.0"]
    assert (row[-1].second, row[-1].bold) == ("+100.0 to +100.0; told on 1", True)
    assert not source.groups[0][0][-1].bold
    assert "mixup, EM of ResNet50 with batch norm on smears_target (+100.0) helps; nothing hurts" in target.note
    assert not any("mixup, EM" in paragraph for paragraph in what_helps(study))


def test_figure_of_both_has_plain_training_as_first_row_and_no_adaptation_as_first_column() -> None:
    with figure_style():
        plot = joint(joint_study())
    assert plot is not None
    assert plot.figure is not None
    (axis,) = plot.figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["plain training", "mixup"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["no adaptation", "RGB matching", "EM"]
    said = {text.get_position(): text.get_text().rstrip("†") for text in axis.texts}
    assert said == {(1, 0): "+0.0", (2, 0): "+0.0", (0, 1): "+0.0", (1, 1): "+0.0", (2, 1): "+100.0"}
    assert (joint(mixed_study()), joint_tables(mixed_study())) == (None, [])


HELD, CORRUPTED = f"{HOME}_validation", f"{HOME}_validation_corrupted"


def chosen_study(**wrong: tuple[int, int]) -> Study:
    """Returns a study of methods that get so many of ten wrong on corrupted held-out images, and away."""
    runs = {
        "resnet50" if method == "erm" else f"resnet50+{method}": [{HOME: 0, HELD: 0, CORRUPTED: here, AWAY: away}] * 2
        for method, (here, away) in wrong.items()
    }
    return study_of(runs)


def test_source_takes_the_best_three_that_beat_plain_training_and_combine() -> None:
    study = chosen_study(
        erm=(5, 5), ema=(1, 9), swa=(2, 0), hed_jitter=(3, 1), mixup=(4, 6), l2_sp=(4, 2), mixstyle=(6, 3)
    )
    table = choice(study)
    assert isinstance(table, Table)
    by = {row[0].text: row[1].text for row in table.groups[0]}
    assert by["EMA"] == "source"
    assert by["SWA"] == "oracle"  # which averages too: the source has taken ema
    assert by["HED jitter"] == "source, oracle"
    assert by["plain training"] == by["MixStyle"] == ""
    assert [row[0].text for row in table.groups[0]][:3] == ["EMA", "SWA", "HED jitter"]
    assert list(table.data.method)[:3] == ["ema", "swa", "hed_jitter"]
    assert advice(study).startswith(
        "The source chooses HED jitter + mixup + EMA; the labs would have chosen HED jitter + L2-SP + SWA. "
        "make reproduce PROFILE=demo METHODS=hed_jitter+mixup+ema trains the choice; make report PROFILE=demo"
    )


def test_choice_that_was_trained_stands_below_and_is_not_proposed_again() -> None:
    methods = {"erm": (5, 5), "ema": (1, 1), "hed_jitter": (2, 9), "mixstyle": (6, 6), "hed_jitter+ema": (0, 1)}
    study = chosen_study(**methods)
    assert advice(study) == "The source chooses HED jitter + EMA; the labs would have chosen EMA."
    table = choice(study)
    assert isinstance(table, Table)
    assert [[cell.text for cell in row] for row in table.groups[1]] == [
        ["HED jitter + EMA", "", "100.00", "+50.0", "100.00", "90.00", "+40.0"]
    ]


def test_no_method_is_chosen_that_plain_training_beats() -> None:
    assert chosen(["erm", "ema", "mixup"], {"erm": 0.5, "ema": 0.4, "mixup": 0.5}.get) == []
    assert "By the source's score no method beats plain training." in advice(
        chosen_study(erm=(0, 5), ema=(1, 5), mixup=(0, 0))
    )


def test_without_held_out_images_there_is_no_choice() -> None:
    study = study_of({f"resnet50{name}": [{HOME: 0, AWAY: 0}] for name in ("", "+ema", "+mixup")})
    absent = choice(study)
    assert isinstance(absent, Absent)
    assert "validation = 0.2" in absent.why
    assert advice(study) == ""
    assert choice(study_of({f"resnet50{name}": [{HOME: 0}] for name in ("", "+ema")})) is None


def test_ensemble_is_right_where_its_mean_probability_is() -> None:
    """Of ten images one run gets the first five wrong and two get the first one wrong: the mean gets that one wrong."""
    study = study_of({"resnet50": [{AWAY: 5}, {AWAY: 1}, {AWAY: 1}]})
    table = averages(study)
    assert table is not None
    assert table.header[1:] == (f"{AWAY}: one seed, mean", f"{AWAY}: ensemble")
    _, single, joint = table.groups[0][0]
    assert (single.text, joint.text) == ("76.67", "90.00")
    assert joint.second.startswith("[")
    assert "no interval over seeds" in table.note
    assert 'make evaluate RUN_ID="resnet50-0 resnet50-1 resnet50-2" scores the averaged weights' in table.note
    assert averages(study_of({"resnet50": [{AWAY: 5}]})) is None


def test_averaged_weights_stand_beside_the_ensemble() -> None:
    study = study_of({"resnet50": [{AWAY: 5}, {AWAY: 1}], "vgg16": [{AWAY: 5}, {AWAY: 1}]})
    perfect = study_of({"resnet50": [{AWAY: 0}]}).runs
    table = averages(replace(study, soups=perfect))
    assert table is not None
    assert [[row[3].text for row in group] for group in table.groups] == [["100.00", "–"]]
    of = table.data[table.data["of"] == "averaged weights"]
    assert of["balanced_accuracy"].tolist() == [pytest.approx(1.0)]
