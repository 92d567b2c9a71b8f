"""`benchmarks/gpu.sh` runs to its end without a GPU; what it finds on one is not for a test to say."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import CASES, Planned, Report, chosen, measure
from benchmarks.gpu_cases import ALIKE, MODELS, Gpu
from benchmarks.gpu_trace import Span, longest, trace
from benchmarks.gpu_workers import ROOT
from benchmarks.paper import cost_told
from benchmarks.work import Bench
from wbc.errors import ConfigError
from wbc.models.catalog import PAPER_ROWS

LIMITS = {"fp32_gflops": 1.0, "bf16_gflops": 1.0, "copy_gb_per_s": 1.0}
MACHINE = {"name": "a GPU", "device": "cuda", "limits": LIMITS}


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report(tmp_path / "result.json", MACHINE, time.perf_counter())


@pytest.fixture
def gpu(workplace: Path) -> Gpu:
    return Gpu(bench=Bench(device="cpu", rounds=1, folder=workplace, limits=LIMITS), small=True)


def test_one_case_of_each_kind_is_measured_on_a_machine_without_a_gpu(tmp_path: Path) -> None:
    kinds = ["ahead", "resnet50", "scoring", "at_once", "resnet50_without_tf32"]
    options = ["--device", "cpu", "--small", "--rounds", "1", "--output", str(tmp_path), "--cases", ",".join(kinds)]
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run([ROOT / "benchmarks/gpu.sh", *options], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("eight-minutes-*.json")
    content = json.loads(path.read_bytes())
    assert {case: told[:7] for case, told in content["cases"].items()} == dict.fromkeys(kinds, "done in")
    assert {"date", "versions", "machine", "images_per_s"} <= set(content)
    lines = {line["name"]: line for line in content["results"]}
    assert set(lines["resnet50"]["images_per_s"]) == {"released", "fp32", "bf16", "in_place"}
    assert set(lines["at_once"]["ratio_to_1"]) == {"2"}
    tests = lines["tests, not compiled_full_model"]
    assert tests["exit_code"] == 0, tests
    assert "3 of the paper's 9 models" in done.stdout  # with two that are taken as resnet50
    assert content["taken_as"] == {"resnet50_fc": "resnet50", "resnet50_frozenbn": "resnet50"}


def test_nothing_that_a_bare_machine_lacks_is_imported() -> None:
    script = (
        "import sys; sys.modules.update(dict.fromkeys(('mlflow', 'ray', 'docker', 'gdown', 'sqlalchemy', 'beartype')));"
        "import benchmarks.gpu, tests.conftest, tests.test_gpu"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_cases_measure_every_model_of_the_paper() -> None:
    assert {*MODELS, *ALIKE} == set(PAPER_ROWS) <= set(CASES)
    assert set(ALIKE.values()) <= set(MODELS)


def test_case_that_fails_is_named_and_the_rest_goes_on(report: Report, gpu: Gpu) -> None:
    def fails(_: Gpu) -> Iterator[dict[str, Any]]:
        yield {"name": "before"}
        raise RuntimeError("no\nmemory")

    def works(_: Gpu) -> Iterator[dict[str, Any]]:
        yield {"name": "after"}

    cases = {name: Planned(case=case, least_s=0, rounds_s=1) for name, case in (("bad", fails), ("good", works))}
    measure(cases, gpu, report, time.perf_counter() + 60)
    content = json.loads(report.path.read_bytes())
    assert content["cases"] == {"bad": "failed: RuntimeError: no memory", "good": "done in 0 s"}
    assert [line["name"] for line in content["results"]] == ["before", "after"]


def test_case_that_no_longer_fits_is_skipped_and_said_so(report: Report, gpu: Gpu) -> None:
    measure(chosen("resnet50,at_once", None), gpu, report, time.perf_counter() + 10.4)
    told = json.loads(report.path.read_bytes())["cases"]
    assert told == {"resnet50": "skipped: 10 s left, 35 s needed", "at_once": "skipped: 10 s left, 45 s needed"}


def test_later_command_replaces_its_own_lines_only(report: Report) -> None:
    report.put({"name": "resnet50", "images_per_s": {"released": [1.0] * 3, "fp32": [2.0] * 3, "bf16": [4.0] * 3}})
    report.put({"name": "scoring", "n": 1})
    later = Report(report.path, MACHINE, time.perf_counter())
    later.put({"name": "scoring", "n": 2})
    content = json.loads(report.path.read_bytes())
    assert [(line["name"], line.get("n")) for line in content["results"]] == [("resnet50", None), ("scoring", 2)]
    assert content["paper"]["hours"] == {"released": 8479.2, "fp32": 4239.6, "bf16": 2119.8}  # three models
    assert "2,119.8 bf16 (75 % less)" in cost_told(content)


def test_unknown_case_is_refused_by_its_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'scoring'"):
        chosen("scorin", None)


def test_longest_spans_and_gaps_are_named() -> None:
    spans = [Span("a", 0, 3000), Span("b", 1000, 2000), Span("a", 5000, 6000), Span("c", 7000, 10000)]
    found = longest(spans)
    assert found["traced_ms"] == 10.0
    assert found["idle_share"] == 0.3
    assert found["kernels"][0] == {"name": "a", "calls": 2, "ms": 4.0}
    assert found["gaps"] == [{"ms": 2.0, "after": "a", "before": "a"}, {"ms": 1.0, "after": "a", "before": "c"}]


def test_trace_names_what_takes_longest(gpu: Gpu) -> None:
    (line,) = trace(gpu, model="resnet50")
    assert len(line["kernels"]) == 3
    assert all(kernel["ms"] > 0 for kernel in line["kernels"])
