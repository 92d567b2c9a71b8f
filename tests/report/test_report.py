"""The report of hand-checked runs: golden tables, what is left out and why, what stands in place of what is missing."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag
from PIL import Image

from tests.forks import run_module, start
from tests.report.conftest import AWAY, HOME, QUICK, WRONG, LogRun, arm, latest_report
from wbc.config import ReportConfig
from wbc.errors import ConfigError, ReportError
from wbc.report.description import describe
from wbc.report.effects import effects
from wbc.report.files import read_embeddings, read_samples
from wbc.report.latex import numbers
from wbc.report.paper.comparison import comparison, differences
from wbc.report.paper.contents import PAPER
from wbc.report.paper.ranks import ranks
from wbc.report.paper.tables import accuracies, classes, data_sets
from wbc.report.parts import Absent, Parts
from wbc.report.query import read_study
from wbc.report.render import Table, to_markdown
from wbc.report.report import write_report
from wbc.tracking.active import log_report

pytestmark = pytest.mark.usefixtures("no_latex")
ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"


def normalised(text: str, runs: dict[tuple[str, int], str]) -> str:
    """Returns a table with each run's id replaced by its model and seed."""
    for (model, seed), run_id in runs.items():
        text = text.replace(run_id, f"<{model}/seed{seed}>")
    return text


def test_tables_are_the_golden_ones(golden_runs: dict[tuple[str, int], str], options: ReportConfig) -> None:
    """Means and ranges by hand: home 10 and 9 of 10, 9 and 9; away 4 and 2, 8 and 10."""
    tables = write_report(options, PAPER) / "tables"
    for path in sorted(GOLDEN.iterdir()):
        assert normalised((tables / path.name).read_text(), golden_runs) == path.read_text(), path.name


def test_missing_cells_are_shown_with_the_command_that_fills_them(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_report(replace(options, models="resnet50,resnet50_gn,vgg16", seeds="0,1,2"), PAPER)
    table = (folder / "tables" / "table4.md").read_text()
    assert "| (b) | VGG16, no norm | missing | missing |" in table
    assert "95.00 (90.00–100.00; 2 of 3 seeds)" in table
    command = 'make reproduce PROFILE=demo MODELS="resnet50 resnet50_gn vgg16" SEEDS="0 1 2"'
    assert command in caplog.text
    assert command.replace('"', "&#34;") in (folder / "report.html").read_text()


def test_runs_left_out_are_named_with_the_reason(
    golden_runs: dict[tuple[str, int], str], log_run: LogRun, options: ReportConfig
) -> None:
    all_wrong = {HOME: list(range(10)), AWAY: list(range(10))}
    client = mlflow.MlflowClient()
    left = {
        "other settings: epochs=11": log_run("resnet50", 0, all_wrong, epochs=11),
        "ended without being complete": log_run("resnet50", 0, all_wrong, fingerprint="a", complete=False),
        "not among the models and seeds of this report": log_run("resnet50", 7, all_wrong),
        "failed": log_run("resnet50", 0, all_wrong, fingerprint="b", complete=False),
        "running, or killed outright": log_run("resnet50", 1, all_wrong, fingerprint="c", complete=False),
    }
    client.set_terminated(left["failed"], "FAILED")
    client.update_run(left["running, or killed outright"], "RUNNING")
    study = read_study(options)
    assert {each.stored.id: each.why for each in study.excluded} == {run: why for why, run in left.items()}
    assert study.accuracies(arm("resnet50"), AWAY) == [0.4, 0.2]


def test_a_cell_takes_its_latest_run_and_names_the_older(
    golden_runs: dict[tuple[str, int], str], log_run: LogRun, options: ReportConfig
) -> None:
    again = log_run("resnet50", 0, {HOME: [], AWAY: []}, fingerprint="later code")
    study = read_study(options)
    assert study.accuracies(arm("resnet50"), AWAY) == [1.0, 0.2]
    ((left, why),) = [(each.stored.id, each.why) for each in study.excluded]
    assert left == golden_runs["resnet50", 0]
    assert why == f"older than {again}, with other code, images, weights or libraries"


def test_cell_without_a_run_takes_one_that_another_study_trained_with_the_same_settings(
    golden_runs: dict[tuple[str, int], str], log_run: LogRun, options: ReportConfig, caplog: pytest.LogCaptureFixture
) -> None:
    client, right = mlflow.MlflowClient(), {HOME: [], AWAY: []}
    tuned, slower, own = log_run("vgg16", 0, right), log_run("vgg16", 1, right, lr=1.0), log_run("vgg16", 1, right)
    spare = log_run("resnet50", 0, {HOME: [0], AWAY: [0]})
    for run in (tuned, slower, spare):
        client.set_tag(run, "profile", "demo-tune")
    study = read_study(replace(options, models="resnet50,vgg16"))
    assert {run.stored.id for run in study.runs if run.arm == arm("vgg16")} == {tuned, own}
    assert (golden_runs["resnet50", 0] in {run.stored.id for run in study.runs}, study.missing) == (True, ())
    assert {each.stored.id for each in study.excluded} == {
        run for (model, _), run in golden_runs.items() if model == "resnet50_gn"
    }
    assert "Some runs were made for another study, with the same settings: demo-tune." in study.notes


def test_scores_on_other_images_are_not_mixed_in(
    golden_runs: dict[tuple[str, int], str], log_run: LogRun, options: ReportConfig
) -> None:
    other = log_run("resnet50", 0, {HOME: [], AWAY: [0]}, fingerprint="newest", salt="other/")
    study = read_study(options)
    assert study.accuracies(arm("resnet50"), AWAY) == [0.2]
    assert study.accuracies(arm("resnet50_gn"), AWAY) == [0.8, 1.0]
    assert f"resnet50/seed0 ({other}) was scored on other images of {HOME}, {AWAY}." in study.notes


def test_run_trained_on_other_images_is_left_out(
    golden_runs: dict[tuple[str, int], str], log_run: LogRun, options: ReportConfig
) -> None:
    other = log_run("resnet50", 0, WRONG["resnet50", 0], fingerprint="newest", trained_on="f" * 64)
    study = read_study(options)
    assert (other, "trained on other images than most runs") in [(each.stored.id, each.why) for each in study.excluded]
    assert study.accuracies(arm("resnet50"), AWAY) == [0.2]


_OTHER = f"predictions/{AWAY}.csv of run {{run}} is not the file that was logged: its SHA-256 differs."


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("config.json", b"{", "its config.json is missing or damaged"),
        ("config.json", None, "its config.json is missing or damaged"),
        ("environment.json", b"{", "its environment.json is damaged"),
        ("environment.json", b"[]", "its environment.json is damaged"),
        ("environment.json", b'{"gpus": [1]}', "its environment.json is damaged"),
        ("environment.json", b'{"gpus": 5}', "its environment.json is damaged"),
        ("environment.json", b'{"code": [1]}', "its environment.json is damaged"),
        ("environment.json", b'{"libraries": 3}', "its environment.json is damaged"),
        (f"predictions/{AWAY}.csv", b"", _OTHER),
        (f"predictions/{AWAY}.csv", b"id,label,Basophil\na,0,0.1\n", _OTHER),
        ("predictions", None, "its predictions are missing"),
    ],
)
def test_run_whose_files_are_damaged_is_left_out_and_its_cell_missing(
    name: str, content: bytes | None, why: str, golden_runs: dict[tuple[str, int], str], options: ReportConfig
) -> None:
    run_id = golden_runs["resnet50", 0]
    path = Path(mlflow.get_run(run_id).info.artifact_uri.removeprefix("file://")) / name
    if content is not None:
        path.write_bytes(content)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    study = read_study(options)
    assert [(each.stored.id, each.why) for each in study.excluded] == [(run_id, why.format(run=run_id))]
    assert study.missing == ((arm("resnet50"), 0),)


def test_adapted_scores_are_read_with_their_run(log_run: LogRun, options: ReportConfig) -> None:
    for seed in (0, 1):
        log_run("resnet50", seed, {HOME: [], AWAY: [0, 1], f"{AWAY}/em": [seed], f"{AWAY}/later": []})
    study = read_study(replace(options, models="resnet50"))
    assert [sorted(run.adapted) for run in study.runs] == [[(AWAY, "em"), (AWAY, "later")]] * 2
    assert sorted(run.adapted[AWAY, "em"].metrics.accuracy for run in study.runs) == [0.9, 0.9]
    assert [domain.name for domain in study.domains] == [HOME, AWAY]
    assert study.notes == ()
    (effect,) = effects(study, "target")
    assert (effect.domain.name, effect.difference) == (AWAY, pytest.approx(0.1))


def test_run_without_scores_on_a_domain_is_named_with_the_command_that_adds_them(
    log_run: LogRun, options: ReportConfig
) -> None:
    log_run("resnet50", 0, {HOME: [], AWAY: []})
    first, second = log_run("resnet50", 1, {HOME: []}), log_run("resnet50_gn", 0, {AWAY: []})
    notes = " ".join(read_study(options).notes)
    assert (
        f"no scores on {AWAY}, such as resnet50/seed1: make evaluate RUN_ID={first} TARGETS=smears_target adds" in notes
    )
    assert f"make evaluate RUN_ID={second} TARGETS=smears_source:test adds them." in notes


def test_damaged_score_that_the_study_does_not_ask_for_is_left_out_alone(
    log_run: LogRun, options: ReportConfig
) -> None:
    run_id = log_run("resnet50", 0, {HOME: [], AWAY: [], f"{AWAY}/em": []})
    name = f"predictions/{AWAY}/em.csv"
    path = Path(mlflow.get_run(run_id).info.artifact_uri.removeprefix("file://")) / name
    path.write_text(path.read_text().replace("0.png", "another.png"))
    for why in (r"predictions/smears_target/em\.csv of run", r"its predictions/smears_target/em\.csv is damaged"):
        study = read_study(replace(options, models="resnet50", seeds="0"))
        assert [(list(run.metrics), run.adapted) for run in study.runs] == [([HOME, AWAY], {})]
        assert re.search(f"{why}.*; that score is left out", " ".join(study.notes))
        mlflow.MlflowClient().set_tag(run_id, f"sha256.{name}", "")  # as in runs of before, which logged none


def test_embeddings_that_declare_more_than_they_hold_and_samples_of_another_format_are_left_out(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig
) -> None:
    run_id, client = golden_runs["resnet50", 0], mlflow.MlflowClient()
    root = Path(mlflow.get_run(run_id).info.artifact_uri.removeprefix("file://"))
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000000), }"
    (root / f"embeddings/{AWAY}.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(117).encode() + b"\n")
    client.delete_tag(run_id, f"sha256.embeddings/{AWAY}.npy")
    Image.new("RGB", (4, 4)).save(root / f"samples/{AWAY}.png", "GIF")
    (run,) = (each for each in read_study(options).runs if each.stored.id == run_id)
    assert read_embeddings(run, AWAY) is None
    assert read_samples(run, AWAY) is None
    assert read_embeddings(run, HOME) is not None
    assert read_samples(run, HOME) is not None


def test_damaged_embeddings_and_samples_cost_their_figures_only(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig
) -> None:
    for run_id in golden_runs.values():
        root = Path(mlflow.get_run(run_id).info.artifact_uri.removeprefix("file://"))
        for path in (root / "embeddings").iterdir():
            path.write_bytes(path.read_bytes()[:50])
        shutil.rmtree(root / "samples")
    folder = write_report(options, PAPER)
    assert not {"fig1_samples.png", "fig3_tsne.png"} & {path.name for path in (folder / "figures").iterdir()}
    page = (folder / "report.html").read_text()
    assert "No fig1_samples: the runs do not hold what it shows." in page
    assert "No fig3_tsne: the runs do not hold what it shows." in page


def test_model_outside_the_profile_is_reported_after_it(
    golden_runs: dict[tuple[str, int], str], log_run: LogRun, options: ReportConfig
) -> None:
    log_run("timm:resnet18", 0, WRONG["resnet50", 0])
    assert read_study(replace(options, models=None)).arms[-1] == arm("timm:resnet18")


def test_model_that_is_not_there_any_more_is_reported_and_no_run_of_it_asked_for(
    golden_runs: dict[tuple[str, int], str], log_run: LogRun, options: ReportConfig
) -> None:
    for name in ("gone", "vgg16+gone", "timm:a b", "timm:resnet18"):
        log_run(name, 0, WRONG["resnet50", 0], fingerprint=name)
    study = read_study(replace(options, models=None, seeds="0,1,2"))
    assert {"gone", "vgg16+gone", "timm:a b"} < {each.name for each in study.arms}
    missing = {each.name for each, _ in study.missing}
    assert "timm:resnet18" in missing
    assert not missing & {"gone", "vgg16+gone", "timm:a b"}


def test_run_logged_before_there_were_methods_stands_under_its_arm(log_run: LogRun, options: ReportConfig) -> None:
    for seed in (0, 1):
        run_id = log_run("resnet50_gn_mixup", seed, {HOME: [], AWAY: [seed]})
        if "method" in mlflow.get_run(run_id).data.tags:
            mlflow.MlflowClient().delete_tag(run_id, "method")
    study = read_study(replace(options, models="resnet50_gn+mixup"))
    assert study.accuracies(arm("resnet50_gn+mixup"), AWAY) == [0.9, 0.9]
    assert study.missing == ()


def test_run_whose_tags_name_no_seed_is_left_out(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig
) -> None:
    mlflow.MlflowClient().set_tag(golden_runs["resnet50", 0], "seed", "first")
    study = read_study(options)
    assert [each.why for each in study.excluded] == ["its seed 'first' is not a whole number"]


def test_domain_outside_the_study_is_a_note_and_no_column(log_run: LogRun, options: ReportConfig) -> None:
    log_run("resnet50", 0, {HOME: [], AWAY: [], "folder_slides": [0]})
    study = read_study(replace(options, models="resnet50", seeds="0"))
    assert [domain.name for domain in study.domains] == [HOME, AWAY]
    assert study.notes == ("Some runs were also scored on images outside this study: folder_slides.",)


def test_home_is_what_the_runs_logged_as_home(log_run: LogRun, options: ReportConfig) -> None:
    run_id = log_run("resnet50", 0, {HOME: [], AWAY: []})
    for name, role in ((HOME, "away"), (AWAY, "home")):
        data = Dataset(name=name, digest=f"again {role}", source_type="local", source="{}")
        mlflow.MlflowClient().log_inputs(run_id, [DatasetInput(data, [InputTag("role", role)])])
    study = read_study(replace(options, models="resnet50", seeds="0"))
    assert (AWAY, True) in [(domain.name, domain.home) for domain in study.domains]


def test_arms_of_two_sources_are_told_apart_by_them(log_run: LogRun, options: ReportConfig, tmp_path: Path) -> None:
    file = tmp_path / "both.toml"
    demo = 'scale = "tiny"\npretrained = "patterns"\nimage_size = 48\nepochs = 12\nbatch_size = 32\nlr = 1e-3'
    file.write_text(
        f'sources = ["smears_source", "smears_target:all"]\ntargets = ["smears_source:test", "smears_target"]\n'
        f'models = ["resnet50"]\nseeds = 1\n{demo}\n'
    )
    log_run("resnet50", 0, {HOME: []}, profile=str(file), source="smears_source")
    log_run("resnet50", 0, {HOME: [0]}, profile=str(file), source="smears_target:all", trained_on="f" * 64)
    study = read_study(replace(options, profile=str(file), models=None, seeds=None))
    assert [study.label(each) for each in study.arms] == ["resnet50@smears_source", "resnet50@smears_target:all"]
    accuracies_of = {study.label(run.arm): study.accuracies(run.arm, HOME) for run in study.runs}
    assert accuracies_of == {"resnet50@smears_source": [1.0], "resnet50@smears_target:all": [0.9]}
    assert study.missing == study.excluded == ()


def test_published_numbers_stand_beside_each_arm_that_they_are_of(log_run: LogRun, options: ReportConfig) -> None:
    models = ("resnet50_gn", "resnet50_gn+mixup", "resnetv2_50d_gn", "resnetv2_50d_gn+mixup")
    lisc = {"lisc": np.repeat(np.arange(5), (55, 39, 59, 48, 56)).tolist()}
    for model in models:
        log_run(model, 0, {"lisc": []}, profile="paper", labels=lisc)
    table = comparison(read_study(replace(options, profile="paper", models=",".join(models), seeds="0")))
    assert isinstance(table, Table)
    assert table.data.round(4).set_index("model")["published"].to_dict() == {
        "resnet50_gn": 0.7307,
        "resnet50_gn+mixup": 0.635,
        "resnetv2_50d_gn": 0.7307,
        "resnetv2_50d_gn+mixup": 0.635,
    }
    places = table.data.set_index("model")["published_place"]
    assert places["resnet50_gn"] == "Table 4 (supplement)"
    assert places["resnetv2_50d_gn"] == "README of the released code"
    assert "the released code trains ResNetV2-50d" in table.note
    assert "With mixup there are the README's alone." in table.note


def test_papers_table_3_stands_beside_runs_of_its_settings_and_images_alone(
    log_run: LogRun, options: ReportConfig
) -> None:
    lisc = {"lisc": np.repeat(np.arange(5), (55, 39, 59, 48, 56)).tolist()}
    log_run("resnet50_gn", 0, {"lisc": []}, profile="paper", labels=lisc)
    study = read_study(replace(options, profile="paper", models="resnet50_gn", seeds="0"))
    fewer = replace(study, domains=tuple(replace(each, labels=each.labels[1:]) for each in study.domains))
    for other, told in ((study, True), (replace(study, usual=False), False), (fewer, False)):
        table = classes(other)
        assert table
        assert ("the paper’s Table 3" in table.note) is told
        assert ("30.91" in to_markdown(table)) is told


def test_bootstrap_is_called_too_narrow_by_the_seeds_that_there_are(log_run: LogRun, options: ReportConfig) -> None:
    for seed in (0, 1):
        log_run("resnet50", seed, WRONG["resnet50", seed])
    study = read_study(replace(options, models="resnet50", seeds="0,1,2,3,4,5,6,7,8,9"))
    assert "too narrow with so few seeds" in accuracies(study).note


def test_one_seed_gives_no_interval_and_says_so(log_run: LogRun, options: ReportConfig) -> None:
    log_run("resnet50", 0, WRONG["resnet50", 0])
    study = read_study(replace(options, models="resnet50", seeds="0"))
    row = "| (a) | ResNet50, batch norm | 100.00 (one seed) | 40.00 (one seed) |"
    assert row in to_markdown(accuracies(study))
    assert differences(study) is None
    assert isinstance(ranks(study), Absent)
    assert "resnet50/smears_target/accuracy" in numbers(study)
    assert "resnet50/smears_target/interval" not in numbers(study)


def test_best_value_is_bold_only_where_the_difference_is_significant(log_run: LogRun, options: ReportConfig) -> None:
    """Away, one model is always right and the other never; at home they differ by one image in one seed."""
    for seed in (0, 1):
        log_run("resnet50", seed, {HOME: [0] if seed else [], AWAY: list(range(10))})
        log_run("resnet50_gn", seed, {HOME: [], AWAY: []})
    study = read_study(options)
    rows = to_markdown(accuracies(study)).splitlines()
    (row,) = (line for line in rows if line.startswith("| (i)"))
    name, shown, interval = "ResNet50, group norm", "100.00 (100.00–100.00)", "[100.00, 100.00]"
    assert row == f"| (i) | {name} | {shown}<br>{interval} | **{shown}**<br>{interval} |"


def test_report_is_of_the_studys_precision_unless_another_is_asked_for(log_run: LogRun, options: ReportConfig) -> None:
    logged = {
        precision: [log_run("resnet50", seed, {HOME: [], AWAY: []}, precision=precision) for seed in seeds]
        for precision, seeds in (("bf16", (0, 1)), ("fp32", (2,)))
    }
    for wanted, precision, missing in ((None, "fp32", 2), ("bf16", "bf16", 1)):
        study = read_study(replace(options, models="resnet50", seeds="0,1,2", precision=wanted))
        assert {run.stored.id for run in study.runs} == set(logged[precision])
        assert study.settings["precision"] == precision
        assert len(study.missing) == missing
        assert all(f"precision={other}" in run.why for run in study.excluded for other in logged if other != precision)


def test_command_for_missing_cells_names_the_settings_that_were_asked_for(
    log_run: LogRun, options: ReportConfig
) -> None:
    log_run("resnet50_gn+mixup", 0, {HOME: [], AWAY: []}, precision="bf16", fast=False)
    asked = replace(options, models="resnet50_gn+mixup", precision="bf16", fast=False)
    command = 'make reproduce PROFILE=demo MODELS=resnet50_gn+mixup SEEDS=1 ARGS="--precision bf16 --fast off"'
    assert read_study(asked).command() == command


def test_verdict_is_given_on_the_papers_images_alone(
    log_run: LogRun, options: ReportConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LISC has 257 images: ten are not comparable, whatever they are called. The wrong tenth of 257 is 90 %."""
    lisc = np.repeat(np.arange(5), (55, 39, 59, 48, 56)).tolist()
    for seed in (0, 1):
        log_run(
            "resnet50", seed, {"raabin_test_a": [], "lisc": list(range(26))}, profile="paper", labels={"lisc": lisc}
        )
    study = read_study(replace(options, profile="paper", models="resnet50"))
    table = comparison(study)
    assert isinstance(table, Table)
    assert table.data.set_index("domain")["verdict"].to_dict() == {"lisc": "different"}
    assert table.data["difference"].tolist() == [pytest.approx(231 / 257 - 0.2311)]
    assert "No row of raabin_test_a: the images are not the paper's." in table.note
    shorter = comparison(replace(study, usual=False))
    assert shorter == Absent(name="comparison with published numbers", why="the settings are not the paper's")


def test_report_of_drawn_cells_opens_with_that_then_its_result_its_figure_and_table_4(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    folder = write_report(options, replace(PAPER, parts=(data_sets,)))
    page = re.sub(r"base64,[^\"]*", "", (folder / "report.html").read_text())
    order = ["<h1>Drawn cells", "are drawings", "Best on smears", 'id="fig4_home_away"', 'id="table4"', "<details>"]
    assert [page.index(each) for each in order] == sorted(page.index(each) for each in order)
    assert page.index("<details>") < page.index('id="table1"') < page.index('id="run-list"')
    tex = (folder / "report.tex").read_text()
    order = [
        "Drawn cells",
        "are drawings",
        "Best on smears",
        "figures/fig4_home_away",
        "tables/table4",
        "tables/table1",
    ]
    assert [tex.index(each) for each in order] == sorted(tex.index(each) for each in order)


def test_other_data_have_no_row_beside_the_published_numbers(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    folder = write_report(options, PAPER)
    assert not list((folder / "tables").glob("comparison*"))
    page = re.sub(r"base64,[^\"]*", "", (folder / "report.html").read_text())
    assert "98.53 ± 0.18" not in page
    assert "No comparison with published numbers: the data are not the paper&#39;s." in page


def test_bccd_stands_beside_its_own_published_numbers_and_not_beside_liscs(
    log_run: LogRun, options: ReportConfig
) -> None:
    bccd = np.repeat(np.arange(5), (3, 88, 33, 20, 207)).tolist()
    log_run("resnet50", 0, {"raabin_test_a": [], "bccd": [0]}, profile="paper", labels={"bccd": bccd})
    table = comparison(read_study(replace(options, profile="paper", models="resnet50", seeds="0")))
    assert isinstance(table, Table)
    (row,) = table.data.to_dict("records")
    assert (row["domain"], round(row["published"], 4)) == ("bccd", 0.2319)


def test_of_two_runs_as_close_to_the_mean_the_first_stands_for_the_arm(log_run: LogRun, options: ReportConfig) -> None:
    """0.3 and 0.5 are as far from 0.4, which binary fractions miss."""
    for seed, wrong in ((0, list(range(7))), (1, list(range(5)))):
        log_run("resnet50", seed, {HOME: wrong, AWAY: []})
    chosen = read_study(replace(options, models="resnet50")).representative(arm("resnet50"), HOME)
    assert chosen
    assert chosen.seed == 0


def test_comparison_on_lisc_says_that_the_released_code_stores_it_again(log_run: LogRun, options: ReportConfig) -> None:
    lisc = np.repeat(np.arange(5), (55, 39, 59, 48, 56)).tolist()
    bccd = np.repeat(np.arange(5), (3, 88, 33, 20, 207)).tolist()
    log_run("resnet50", 0, {"bccd": [], "lisc": []}, profile="paper", labels={"lisc": lisc, "bccd": bccd})
    study = read_study(replace(options, profile="paper", models="resnet50", seeds="0"))
    for names, told in ((("lisc", "bccd"), True), (("bccd",), False)):
        table = comparison(replace(study, domains=tuple(each for each in study.domains if each.name in names)))
        assert isinstance(table, Table)
        assert ("as JPEG of quality 75" in table.note) is told


def test_report_is_logged_to_a_run_of_its_own(golden_runs: dict[tuple[str, int], str], options: ReportConfig) -> None:
    write_report(options, PAPER)
    run = latest_report()
    assert run.info.run_name == "report/demo"
    assert run.data.params["models"] == "resnet50,resnet50_gn"
    names = {artifact.path for artifact in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}
    assert {"figures", "tables", "report.html", "report.tex", "numbers.tex"} <= names
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**Drawn cells under domain shift: demo.** 4 runs of 2 models")
    assert "To register" not in note  # these runs logged no model
    assert note.index("- Best on smears_target: ResNet50 with group norm, 90.0 % right") < note.index("| (i) |")


def test_description_offers_the_best_away_by_its_run_that_is_closest_to_the_mean(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig
) -> None:
    for (model, seed), run_id in golden_runs.items():
        mlflow.MlflowClient().set_tag(run_id, "model_id", f"m-{model}-{seed}")
    study = read_study(options)
    parts = Parts(headline=PAPER.headline(study), first=(), tables=(), plots=(), galleries=(), not_run=())
    note = describe(study, parts)
    assert "ResNet50 with group norm has the highest mean accuracy away, 90.0 %; that is no test." in note
    assert 'mlflow.get_logged_model("m-resnet50_gn-0")' in note
    alone = replace(study, domains=study.domains[:1])
    assert "To register" not in describe(alone, parts)


def test_report_again_replaces_the_report_and_nothing_else(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig, store: Path
) -> None:
    folder = write_report(options, QUICK)
    stale = folder / "tables" / "stale.csv"
    stale.touch()
    write_report(options, QUICK)
    assert not stale.exists()
    assert sorted(path.name for path in store.iterdir() if path.name.startswith(".")) == []
    (folder / "thesis.tex").touch()
    with pytest.raises(ReportError, match=r"holds 'thesis\.tex', which is no part of a report"):
        write_report(options, QUICK)
    assert (folder / "thesis.tex").exists()


@pytest.mark.parametrize("output", ["mlflow.db", "mlflow.db/report", "/proc/report"])
def test_folder_that_cannot_be_is_refused_before_anything_is_read(output: str, store: Path) -> None:
    with pytest.raises(ReportError, match="output="):
        write_report(ReportConfig(output=output), PAPER)


def test_two_reports_at_once_both_end_well(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig, store: Path
) -> None:
    command = ["entrypoints.report", "--models", "resnet50", "--output", str(options.output)]
    both = [start(store / f"{number}.out", store / f"{number}.err", run_module, *command) for number in range(2)]
    for process in both:
        process.join(300)
    assert [process.exitcode for process in both] == [0, 0]
    assert (Path(str(options.output)) / "report.html").exists()


def test_report_whose_folder_another_replaces_meanwhile_is_logged_whole(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log(folder: Path, note: str, sweep: str | None) -> None:
        shutil.rmtree(str(options.output))
        log_report(folder, note, sweep)

    monkeypatch.setattr("wbc.report.report.log_report", log)
    write_report(replace(options, models="resnet50"), PAPER)
    logged = {item.path for item in mlflow.MlflowClient().list_artifacts(latest_report().info.run_id)}
    assert {"report.html", "report.tex", "numbers.tex", "tables", "figures"} <= logged


def test_model_that_is_not_known_is_refused(store: Path) -> None:
    with pytest.raises(ConfigError, match="unknown model 'resnet51'; did you mean 'resnet50'"):
        read_study(ReportConfig(models="resnet51"))


def test_empty_store_gives_one_line_and_exit_code_2(store: Path) -> None:
    command = [sys.executable, "-m", "entrypoints.report", "--output", str(store / "report")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == (
        "error: no completed run of profile demo with these settings in the tracking store: "
        "make reproduce PROFILE=demo.\n"
    )
    assert not (store / "report").exists()
