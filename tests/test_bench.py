"""The benchmark measures sides in turn and writes what it promises; what it finds is not for a test to say."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.bench import BenchConfig, bench, paper_cost
from benchmarks.growth import _slope
from benchmarks.machine import describe_machine
from benchmarks.measure import Side, interleave
from benchmarks.result import flops_per_image
from benchmarks.work import full_run
from wbc.errors import ConfigError


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
    options = BenchConfig(cases="data_path", rounds=1, device="cpu", output=str(tmp_path / "results"))
    bench(options)
    (path,) = (tmp_path / "results").iterdir()
    assert path.name.endswith("-cpu.json")
    report = json.loads(path.read_bytes())
    assert {"machine", "date", "versions", "results"} <= set(report)
    names = [result["name"] for result in report["results"]]
    assert names == ["data_path", "data_path_normalised"]
    wanted = {"name", "ratio_median", "ratio_low", "ratio_high", "baseline", "ours", "unit", "n"}
    assert all(wanted <= set(result) for result in report["results"])
    report["results"].append({**report["results"][0], "name": "another"})
    path.write_text(json.dumps(report))
    bench(options)
    assert [result["name"] for result in json.loads(path.read_bytes())["results"]] == ["another", *names]
    assert "data_path" in capsys.readouterr().out


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
    cost = paper_cost(results)
    assert cost["models"] == ["resnet50", "vgg16"]
    assert cost["images_per_model"] == 10 * 100 * 10_175
    assert cost["hours"] == {"baseline": 4239.6, "ours": 989.2}


def test_growth_in_proportion_has_the_exponent_one() -> None:
    assert _slope([{"at": at, "seconds": 3.0 * at} for at in (1, 2, 4)], "seconds") == 1.0
    assert _slope([{"at": at, "seconds": 3.0} for at in (1, 2, 4)], "seconds") == 0.0


def test_resnet50_takes_the_arithmetic_that_is_known_of_it(tmp_path: Path) -> None:
    """He et al. 2016 count 3.8 billion multiply-adds for the layers they count; all convolutions make 4.1."""
    config = full_run(tmp_path, "resnet50", "cpu")
    assert flops_per_image(config, train=False) == pytest.approx(2 * 4.09e9, rel=0.01)
    assert flops_per_image(config) == pytest.approx(3 * 2 * 4.09e9, rel=0.01)


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
