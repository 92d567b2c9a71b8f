"""The report of several labs: the matrix, the worst lab, a lab left out beside one source; small studies by hand."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.report.conftest import LABELS, LogRun
from tests.report.studies import study_of
from wbc.arms import parse_arm
from wbc.config import ReportConfig
from wbc.evaluation.metrics import score
from wbc.report.paper.contents import LABS, PAPER, contents_of
from wbc.report.paper.labs import best_method, ends, fields, gain, labs, sentences, trained_on, worst, worth
from wbc.report.paper.labs_matrix import matrix
from wbc.report.paper.labs_tables import left_out_table, matrix_table
from wbc.report.query import read_study
from wbc.report.render import Table, to_markdown
from wbc.report.report import write_report
from wbc.report.statistics import seed_interval
from wbc.report.study import ScoredDomain, ScoredRun, Study
from wbc.report.style import figure_style

TARGETS = ("bccd", "tecom", "cellavision")
SOURCES = tuple(f"{lab}:train" for lab in TARGETS)


def run_of(source: str, method: str, seed: int, wrong: int) -> ScoredRun:
    """Returns a run that is right at home, and gets so many of each other lab's ten images wrong, two of each class."""
    labs = [each.partition(":")[0] for each in source.split(",")]
    counts = {f"{lab}_test": 0 for lab in labs} | {lab: wrong for lab in TARGETS if lab not in labs}
    study = study_of({"resnet50": [counts] * (seed + 1)})
    return replace(study.runs[seed], arm=parse_arm("resnet50", tuple(source.split(",")), method), seed=seed)


def labs_study(wrong: dict[tuple[str, str], int], seeds: int = 2) -> Study:
    """Returns a study of three labs: by source and method, how many of ten images away are wrong."""
    runs = tuple(run_of(*way, seed, count) for way, count in wrong.items() for seed in range(seeds))
    names = [*(f"{lab}_test" for lab in TARGETS), *TARGETS]
    domains = tuple(
        ScoredDomain(name=name, home=name.endswith("_test"), same_lab=True, labels=LABELS) for name in names
    )
    arms = tuple(dict.fromkeys(run.arm for run in runs))
    return replace(study_of({"resnet50": [{}] * seeds}), runs=runs, domains=domains, arms=arms)


def three_labs() -> Study:
    """One lab: 6, 8, 10 wrong of ten; two labs: 2; two labs with GroupDRO: 0; one lab with mixup: 6, 8, 8."""
    one = dict(zip(SOURCES, (6, 8, 10), strict=True))
    pairs = [f"{SOURCES[0]},{SOURCES[1]}", f"{SOURCES[0]},{SOURCES[2]}", f"{SOURCES[1]},{SOURCES[2]}"]
    wrong = {(source, "erm"): count for source, count in one.items()} | {(pair, "erm"): 2 for pair in pairs}
    wrong |= {(source, "mixup"): min(count, 8) for source, count in one.items()}
    return labs_study(wrong | {(pair, "group_dro"): 0 for pair in pairs})


def test_each_arm_is_at_home_on_the_part_held_out_and_away_on_the_whole_lab() -> None:
    study = three_labs()
    assert labs(study) == list(TARGETS)
    on = fields(study, study.arms[0])
    assert {lab: (field.domain.name, field.home) for lab, field in on.items()} == {
        "bccd": ("bccd_test", True),
        "tecom": ("tecom", False),
        "cellavision": ("cellavision", False),
    }
    assert [trained_on(study, arm) for arm in study.arms[:4]] == ["bccd", "tecom", "cellavision", "all but cellavision"]
    assert study.home is None


def test_gain_of_labs_is_all_others_minus_the_mean_of_one_other() -> None:
    gains = gain(three_labs(), ("all other labs", "erm"), ("one other lab", "erm"))
    assert gains == pytest.approx({"bccd": 0.8 - 0.1, "tecom": 0.8 - 0.2, "cellavision": 0.8 - 0.3})


def test_best_method_is_that_of_the_highest_gain_over_plain_training_on_as_many_labs() -> None:
    best = best_method(three_labs())
    assert best
    assert best[0] == ("all other labs", "group_dro")
    assert best[1] == pytest.approx(dict.fromkeys(TARGETS, 0.2))


def test_paragraph_compares_labs_with_the_best_method_and_gives_intervals_over_labs() -> None:
    half = 4.302652729911275 * 10 / 3**0.5  # Student's t of two degrees of freedom; gains of 50, 60 and 70 points
    told = f"95 % interval over 3 labs: +{60 - half:.1f} to +{60 + half:.1f}"
    assert worth(three_labs()) == (
        f"More labs: training on all other labs instead of one other lab adds +60.0 points ({told}) of balanced "
        "accuracy on a lab that was left out. A better method: GroupDRO on all other labs, the best of 2 by these "
        "labs' own scores, adds +20.0 points (95 % interval over 3 labs: +20.0 to +20.0) to plain training on as many "
        f"labs. More labs minus the method: +40.0 points (95 % interval over 3 labs: +{40 - half:.1f} to "
        f"+{40 + half:.1f}). More labs are worth more."
    )


def test_without_methods_or_without_several_labs_less_is_said() -> None:
    plain = three_labs()
    plain = replace(plain, arms=tuple(arm for arm in plain.arms if arm.method == "erm"))
    assert worth(plain).startswith("More labs:")
    assert "method" not in worth(plain)
    singles = replace(plain, arms=tuple(arm for arm in plain.arms if len(arm.sources) == 1))
    assert worth(singles) == ""
    assert left_out_table(singles) is None


def test_sentence_of_a_lab_has_what_others_and_its_own_images_reach() -> None:
    assert sentences(three_labs())[0] == (
        "bccd (10 images): balanced accuracy 80.0 % from all other labs, 10.0 % from one other lab, 100.0 % from the "
        "lab itself, on 10 images held out."
    )


def test_table_names_the_worst_lab_and_a_lab_that_lacks_a_class() -> None:
    study = three_labs()
    few = LABELS[LABELS > 0]
    domains = tuple(replace(each, labels=few) if each.name == "tecom" else each for each in study.domains)
    runs = []
    for run in study.runs:
        if "tecom" in run.metrics:
            cut = run.scores["tecom"][LABELS > 0]
            metrics = run.metrics | {"tecom": score(few, cut)}
            run = replace(run, scores=run.scores | {"tecom": cut}, metrics=metrics)
        runs.append(run)
    study = replace(study, domains=domains, runs=tuple(runs))
    table = matrix_table(study)
    assert "tecom has no Basophil: it is scored on the other 4 classes." in table.note
    row = table.groups[0][0]
    assert [cell.text for cell in row[:3]] == ["bccd", "ResNet50, batch norm", "plain training"]
    assert [cell.second for cell in row[3:6]] == ["home, n = 10", "n = 8, no Basophil", "n = 10"]
    low = worst(fields(study, study.arms[0]).values())
    assert low
    assert (row[6].text, row[6].second) == (low.lab, "40.00" if low.lab == "cellavision" else "50.00")
    data = table.data
    assert set(data["role"]) == {"home", "away"}
    assert data[data["split"] == "tecom"]["n_classes"].unique().tolist() == [4]
    assert data[data["split"] == "tecom"]["classes_lacking"].unique().tolist() == ["Basophil"]


def test_left_out_table_has_gains_over_one_lab() -> None:
    table = left_out_table(three_labs())
    assert isinstance(table, Table)
    line = next(line for line in to_markdown(table).splitlines() if "all other labs | GroupDRO" in line)
    assert "100.00<br>+90.0" in line
    assert re.search(r"<br>\+\d+\.\d to \+\d+\.\d \|$", line)
    assert len(table.data) == 4 * 3
    assert table.header[3:] == (*(f"{lab} (n = 10)" for lab in TARGETS), "worst lab", "gain, mean over labs")
    first = table.groups[0][0]
    low = min(first[3:6], key=lambda cell: cell.sort or 0)
    assert f"{first[6].text} (n = 10)" == table.header[first.index(low)]
    assert low.text.startswith(first[6].second)


def test_figure_frames_home_and_underlines_the_worst_of_several_labs_away() -> None:
    with figure_style():
        figure = matrix(three_labs()).figure
    assert figure
    (axis,) = figure.axes
    frames = [patch for patch in axis.patches if patch.get_linewidth() > 0]
    assert len(frames) == 3 + 3 * 2
    assert len(axis.lines) == 3
    assert [text.get_text() for text in axis.get_xticklabels()] == list(TARGETS)
    assert np.isclose(float(axis.texts[0].get_text()), 100)


def test_report_is_written_of_logged_runs_and_no_run_is_asked_for_scores_on_its_own_images(
    log_run: LogRun, options: ReportConfig, no_latex: None, tmp_path: Path
) -> None:
    file = tmp_path / "two.toml"
    demo = 'scale = "tiny"\npretrained = "patterns"\nimage_size = 48\nepochs = 12\nbatch_size = 32\nlr = 1e-3'
    file.write_text(
        'sources = ["bccd:train", "tecom:train", "bccd:train,tecom:train"]\n'
        f'targets = ["bccd", "tecom", "cellavision"]\nmodels = ["resnet50"]\nseeds = 1\nvisits = 64\n{demo}\n'
    )
    wrong: dict[str, dict[str, list[int]]] = {
        "bccd:train": {"bccd_test": [], "tecom": [0, 1], "cellavision": [0, 1, 2, 3]},
        "tecom:train": {"tecom_test": [], "bccd": [0], "cellavision": [0, 1]},
        "bccd:train,tecom:train": {"bccd_test": [], "tecom_test": [1], "cellavision": []},
    }
    for number, (source, images) in enumerate(wrong.items()):
        targets = ",".join(name for name in images if not name.endswith("_test"))
        named = {"profile": str(file), "source": source, "targets": targets}
        log_run("resnet50", 0, images, trained_on=str(number) * 64, **named)
    asked = replace(options, profile=str(file), models=None, seeds=None)
    assert read_study(asked).notes == ()
    folder = write_report(asked, contents_of(str(file)))
    left = pd.read_csv(folder / "tables/left_out.csv")
    assert left["balanced_accuracy"].tolist() == pytest.approx([0.9, 0.8, 0.7, 1.0])
    assert left["lab"].tolist() == ["bccd", "tecom", "cellavision", "cellavision"]
    assert len(pd.read_csv(folder / "tables/labs.csv")) == 9
    assert (folder / "figures/labs.pdf").is_file()
    page = (folder / "report.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "all but cellavision" in page
    assert "Data sheets" in page
    assert "12 epochs of 64 images each" in page
    assert "cellavision (10 images): balanced accuracy 100.0 % from all other labs, 70.0 % from one other lab." in page


def test_studies_of_several_sources_have_the_report_of_labs() -> None:
    assert contents_of("labs") is LABS
    assert contents_of("cells") is PAPER


def test_interval_over_labs_goes_no_further_than_a_difference_can() -> None:
    assert ends(seed_interval([0.3, 0.9])) == "−100.0 to +100.0"
    assert ends(seed_interval([0.3, 0.3])) == "+30.0 to +30.0"
