"""The benchmark measures sides in turn and writes what it promises; what it finds is not for a test to say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.bench import RESULTS, BenchConfig, bench
from benchmarks.growth import slope, spread
from benchmarks.images import measure_images
from benchmarks.machine import describe_machine, file_name
from benchmarks.measure import Side, interleave
from benchmarks.paper import paper_cost, rates_of
from benchmarks.precision import MODELS, _run, expected_outside
from benchmarks.result import flops_per_image
from benchmarks.show import print_report
from benchmarks.stores import copy_runs, log_drawn, make_study
from benchmarks.work import Bench, full_run
from wbc.errors import ConfigError
from wbc.report.statistics import seed_interval
from wbc.store_check import find_faults
from wbc.sweep.plan import survey
from wbc.tracking.read import read_trainings


def test_sides_are_measured_in_turn() -> None:
    order: list[str] = []
    sides = {name: Side(lambda name=name: order.append(name) or (sum(range(10**5)) and 1)) for name in "ab"}
    rates = interleave(sides, 3, device="cpu")
    assert order == list("ababab")
    assert len(rates.ratios("b", "a")) == 3
    assert rates.ratios("b", "a")[1] == rates.by_side["b"][1] / rates.by_side["a"][1]


def test_case_is_written_with_what_it_was_measured_on_and_the_rest_of_the_file_stays(
    tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results" / file_name("cpu")
    path.parent.mkdir()
    older = {"ratio_median": 2.0, "ratio_low": 1.0, "ratio_high": 3.0, "baseline": 1.0, "ours": 2.0, "unit": "", "n": 1}
    path.write_text(json.dumps({"results": [older | {"name": name} for name in ("another", "data_path")]}))
    bench(BenchConfig(cases="data_path", rounds=1, device="cpu", output=str(path.parent)))
    report = json.loads(path.read_bytes())
    assert {"machine", "date", "versions", "results"} <= set(report)
    another, *results = report["results"]
    assert another == older | {"name": "another"}
    assert [result["name"] for result in results] == ["data_path", "data_path_normalised"]
    wanted = {"name", "ratio_median", "ratio_low", "ratio_high", "baseline", "ours", "unit", "n", "peak_rss_mb"}
    wanted |= {"images", "baseline_peak_rss_mb", "share_of_limit", "date", "commit", "torch", "limits"}
    assert all(wanted <= set(result) for result in results)
    assert all(result["images"] == 256 and result["limits"] == report["machine"]["limits"] for result in results)
    assert "data_path" in capsys.readouterr().out


def test_a_file_that_lacks_what_is_measured_today_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    machine = {"name": "m", "device": "cpu", "limits": {"fp32_gflops": 1.0, "bf16_gflops": 1.0, "copy_gb_per_s": 1.0}}
    result = {
        "ratio_median": 2.0,
        "ratio_low": 1.0,
        "ratio_high": 3.0,
        "baseline": 1.0,
        "ours": 2.0,
        "unit": "",
        "n": 1,
    }
    point = {"at": 1, "seconds": 1.0, "peak_mb": 1}
    row = {"quantity": "seeds", "points": [point], "time_exponent": 1.0, "memory_exponent": 0.0}
    report = {"machine": machine, "date": "", "results": [result | {"name": "grid"}], "growth": [row]}
    report["stores"] = [{"command": "doctor", "points": [{"at": 500, "seconds": 6.5, "peak_mb": 400}]}]
    print_report(report)
    shown = capsys.readouterr().out
    assert "resnet50, seeds, one after another, total: 1: 1.00 s, 1 MB" in shown
    assert "doctor, by runs in the store: 500: 6.50 s, 400 MB" in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cases": "data_pth"}, "did you mean 'data_path'"),
        ({"rounds": 0}, "at least 1 round"),
        ({"seeds": 1}, "2 seeds"),
    ],
)
def test_wrong_options_are_named_before_anything_is_measured(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        bench(BenchConfig(**options))  # type: ignore[arg-type]


def test_cost_of_the_paper_is_its_images_by_the_rate() -> None:
    results = [
        {"name": "resnet50_epoch", "baseline": 1.0, "ours": 10.0},
        {"name": "resnet50_fp32_epoch", "baseline": 1.0, "ours": 5.0},
        {"name": "vgg16_epoch", "baseline": 2.0, "ours": 4.0},
    ]
    cost = paper_cost(rates_of({"results": results}))
    assert cost["models"] == ["resnet50", "vgg16"]
    assert cost["images_per_model"] == 10 * 100 * 10_175
    assert cost["hours"] == {"baseline": 4239.6, "ours": 989.2}
    assert cost["saved"] == {"ours": 0.767}


def test_command_gives_the_hours_that_the_docs_state() -> None:
    path = RESULTS / "eight-minutes-nvidia-h200-cuda.json"
    told = subprocess.run([sys.executable, "-m", "benchmarks.paper", path], capture_output=True, text=True, check=True)
    assert "9 of the paper's 9 models" in told.stdout
    assert "30.8 GPU-hours released, 17.2 fp32 (44 % less), 5.1 bf16 (83 % less)" in told.stdout
    page = (RESULTS.parents[1] / "docs" / "paper.md").read_text(encoding="utf-8")
    assert "5.1 hours of an H200 in bf16, and 30.8 the released code's way" in page


def test_command_names_a_file_without_rates(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-m", "benchmarks.paper", tmp_path], capture_output=True, text=True)
    assert told.returncode == 2
    assert f"{tmp_path} holds no rates" in told.stderr


def test_means_of_the_same_kind_lie_outside_each_others_interval_as_often_as_said() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(4000, 2, 10))
    intervals = [[seed_interval(values) for values in pair] for pair in pairs]
    outside = np.mean([abs(one.mean - other.mean) > (one.half_width or 0.0) for one, other in intervals])
    assert expected_outside(10) == pytest.approx(0.144, abs=0.001)
    assert outside == pytest.approx(expected_outside(10), abs=0.02)


def test_growth_in_proportion_has_the_exponent_one() -> None:
    assert slope([{"at": at, "seconds": 3.0 * at} for at in (1, 2, 4)], "seconds") == 1.0
    assert slope([{"at": at, "seconds": 3.0} for at in (1, 2, 4)], "seconds") == 0.0


def test_images_are_prepared_and_trained_on_at_each_size_and_shown(
    tmp_path: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = Bench(device="cpu", rounds=1, folder=tmp_path, limits={})
    prepared, trained = measure_images(where, sizes=(10,))
    assert [row["step"] for row in (prepared, trained)] == ["prepare", "train"]
    assert all([point["at"] for point in row["points"]] == [10] for row in (prepared, trained))
    assert all(point["peak_mb"] > 50 and point["seconds"] > 0 for row in (prepared, trained) for point in row["points"])
    assert not list(tmp_path.glob("small-*"))
    machine = {"name": "m", "device": "cpu", "limits": {"fp32_gflops": 1.0, "bf16_gflops": 1.0, "copy_gb_per_s": 1.0}}
    print_report({"machine": machine, "date": "2026-11-27", "results": [], "images": [prepared, trained]})
    assert "prepare, by images: 10: " in capsys.readouterr().out


def test_repetitions_are_of_all_seeds_together() -> None:
    found = spread("seconds", [[1.0, 2.0, 3.0], [10.0, 10.0, 30.0]])
    assert found == {"seconds": 12.0, "seconds_low": 11.0, "seconds_high": 33.0}


def test_resnet50_takes_the_arithmetic_that_is_known_of_it(tmp_path: Path) -> None:
    """He et al. 2016 count 3.8 billion multiply-adds for the layers they count; all convolutions make 4.1."""
    config = full_run(tmp_path, "resnet50", "cpu")
    assert flops_per_image(config, train=False) == pytest.approx(2 * 4.09e9, rel=0.01)
    assert flops_per_image(config) == pytest.approx(3 * 2 * 4.09e9, rel=0.01)


def test_frozen_layers_count_once_for_the_four_flips(tmp_path: Path) -> None:
    """Of the 4.09 billion multiply-adds 1.246 are in the last two blocks of layer3 and in layer4."""
    config = full_run(tmp_path, "resnet50_frozenbn_last16", "cpu")
    expected = 2 * (3 * 1.246e9 + 4 / 100 * (4.09e9 - 1.246e9))
    assert flops_per_image(config) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_measuring_the_limits_leaves_the_precision_of_matrix_products_as_it_was(precision: str) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        tf32 = torch.backends.cuda.matmul.allow_tf32
        describe_machine("cpu")
        assert torch.get_float32_matmul_precision() == precision
        assert torch.backends.cuda.matmul.allow_tf32 == tf32
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("scale", MODELS)
def test_precisions_are_compared_on_runs_that_can_be(store: Path, scale: str) -> None:
    config = _run(0, "cpu", scale, precision="bf16")
    assert (config.scale, config.precision) == (scale, "bf16")
    assert (config.pretrained == "patterns") == (scale == "tiny")  # which a full model cannot start from


def test_copies_of_a_logged_run_are_done_cells_of_their_study_and_whole(store: Path) -> None:
    cells = make_study(store, 3)
    log_drawn(cells[0])
    copy_runs(store / "mlflow.db", cells[1:], cells[:1])
    found = survey(cells, read_trainings())
    assert [cell.state for cell in found] == ["done"] * 3
    assert [cell.record.name for cell in found if cell.record] == [cell.name for cell in cells]
    assert list(find_faults()) == []
