"""`benchmarks/gpu.sh`: how fast a GPU is, within minutes and without a tracking store; writes after every case.

Cases come in the order of their worth. One that no longer fits into the time is skipped, one that fails is named, and
the rest goes on.
"""

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks import gpu_workers
from benchmarks.gpu_cases import (
    ALIKE,
    MODELS,
    Case,
    Gpu,
    at_once,
    bf16,
    compile_alone,
    epoch,
    exact,
    reset_peak,
    scoring,
)
from benchmarks.gpu_trace import trace
from benchmarks.machine import describe_machine, file_name, versions
from benchmarks.paper import cost_told, paper_cost, rates_of
from benchmarks.work import Bench
from wbc.compute import choose_device
from wbc.data.disk import whole_file
from wbc.errors import ConfigError, WbcError, unknown
from wbc.processes import cores

RESULTS: Final = Path(__file__).parent / "results"
BUDGET_S: Final = 460
MEASURED: Final = (
    "Wall time, drawn cells as JPEGs of 575 px, random weights. Each figure is a median, the least and the most over "
    "the rounds. released: the released code's way, fp32, eight loaders, TF32 in convolutions as PyTorch has it. An "
    "epoch of ours bears a hundredth of ready_s. compile_s in costs: from code that an earlier process kept; in ahead: "
    "from nothing, several at a time beside the tests."
)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A case and its time."""

    case: Case
    least_s: float
    """Less than that left, and it is skipped."""
    rounds_s: float
    """After so long it begins no further round."""


def ahead(gpu: Gpu) -> Iterator[dict[str, Any]]:
    """The tests for CUDA, the short ones and those that compile; meanwhile the chosen models compiled, in processes."""
    wanted = [gpu_workers.SHORT] if gpu.small else [gpu_workers.SHORT, gpu_workers.LONG]
    tests = {which: gpu_workers.start_tests(which) for which in wanted}
    configs = [gpu.run(model, precision, images=2 * 128) for precision in ("bf16", "fp32") for model in gpu.models]
    configs = configs[:1] if gpu.small else configs
    found = gpu_workers.compile_ahead(configs, gpu_workers.jobs_that_compile(cores()), gpu.until)
    yield {"name": "compile_ahead", "seconds": found}
    for which, process in tests.items():
        yield {"name": f"tests, {which}", **gpu_workers.tests_told(process, gpu.until - time.perf_counter())}


CASES: Final[dict[str, Planned]] = {
    "ahead": Planned(case=ahead, least_s=60, rounds_s=120),
    "resnet50": Planned(case=partial(epoch, model="resnet50"), least_s=35, rounds_s=60),
    "scoring": Planned(case=scoring, least_s=20, rounds_s=25),
    **{model: Planned(case=partial(epoch, model=model), least_s=40, rounds_s=45) for model in MODELS[1:]},
    "at_once": Planned(case=at_once, least_s=45, rounds_s=55),
    **{f"{model}_without_tf32": Planned(case=partial(exact, model=model), least_s=30, rounds_s=15) for model in MODELS},
    **{model: Planned(case=partial(bf16, model=model), least_s=60, rounds_s=60) for model in ALIKE},
    "compile_alone": Planned(case=compile_alone, least_s=60, rounds_s=60),
}


class Report:
    """The result file: it stands on the disk from the first case on."""

    def __init__(self, path: Path, machine: dict[str, Any], started: float) -> None:
        """Takes the file's path and the machine's description; what the file holds of other cases stays."""
        self.path, self._started = path, started
        self.content: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {"results": [], "cases": {}}
        self.content |= {"machine": machine, "versions": versions(), "measured": MEASURED}
        self.write()

    def put(self, line: dict[str, Any]) -> None:
        """Puts a line in place of the older one of its name, with what it was measured by."""
        line = line | {"date": _now()[:10], "commit": self.content["versions"]["commit"]}
        others = [each for each in self.content["results"] if each["name"] != line["name"]]
        self.content["results"] = [*others, line]
        print(json.dumps(line), flush=True)
        self.write()

    def end(self, case: str, told: str) -> None:
        """Says how a case ended; that it was skipped, only where an earlier call has not measured it either."""
        if not told.startswith("skipped") or not self.content["cases"].get(case, "").startswith("done"):
            self.content["cases"][case] = told
        print(f"{time.perf_counter() - self._started:4.0f} s  {case}: {told}", flush=True)
        self.write()

    def write(self) -> None:
        """Writes the file, with the hours of the paper's grid by the rates so far."""
        content = self.content
        content["date"] = _now()
        content["images_per_s"] = {
            each["name"]: {side: each["images_per_s"].get(side, [None])[0] for side in ("released", "fp32", "bf16")}
            for each in content["results"]
            if each["name"] in (*MODELS, *ALIKE)
        }
        measured = content["images_per_s"]
        content["taken_as"] = {
            model: other for model, other in ALIKE.items() if model not in measured and other in measured
        }
        content["paper"] = paper_cost(rates_of(content)) if measured else None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.path) as file:
            file.write((json.dumps(content, indent=1) + "\n").encode())


def measure(cases: dict[str, Planned], gpu: Gpu, report: Report, ends: float) -> None:
    """Measures the cases until the time ends, a value of `time.perf_counter`."""
    for name, planned in cases.items():
        began = time.perf_counter()
        if ends - began < planned.least_s:
            report.end(name, f"skipped: {max(0.0, ends - began):.0f} s left, {planned.least_s:.0f} s needed")
            continue
        try:
            for line in planned.case(replace(gpu, until=min(ends, began + planned.rounds_s))):
                report.put(line)
            report.end(name, f"done in {time.perf_counter() - began:.0f} s")
        except Exception as error:
            report.end(name, f"failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}")
        if gpu.bench.device == "cuda":
            torch._dynamo.reset()  # which holds on to the model
        reset_peak()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.sh", description=__doc__)
    parser.add_argument("--cases", help=f"by commas, of {', '.join(CASES)}; else all of them")
    parser.add_argument("--profile", metavar="MODEL", help="only trace a model: its longest kernels and gaps")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="at most (default %(default)s)")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu together with --small")
    parser.add_argument("--small", action="store_true", help="thin models, few images: to try the command")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the result file")
    return parser.parse_args()


def chosen(names: str | None, model: str | None) -> dict[str, Planned]:
    """Returns the cases of these names, or the trace of a model.

    Raises:
        ConfigError: there is no such case.
    """
    if model:
        return {f"trace_{model}": Planned(case=partial(trace, model=model), least_s=0, rounds_s=60)}
    wanted: Sequence[str] = names.split(",") if names else tuple(CASES)
    for name in wanted:
        if name not in CASES:
            raise unknown("case", name, CASES)
    return {name: CASES[name] for name in wanted}


def _main() -> None:
    started, options = time.perf_counter(), _options()
    try:
        cases, device = chosen(options.cases, options.profile), choose_device(options.device)
        if device == "cpu" and not options.small:
            raise ConfigError("device=cpu: full models would take hours. Add --small, or use `make bench`.")
    except WbcError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    if options.small:  # everything is short, so that everything fits
        cases = {name: replace(planned, least_s=min(planned.least_s, 1)) for name, planned in cases.items()}
    machine = describe_machine(device, roughly=options.small)
    report = Report(options.output / f"eight-minutes-{file_name(device)}", machine, started)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WBC_DATA_DIR"] = f"{folder}/data"
        bench = Bench(device=device, rounds=options.rounds, folder=Path(folder), limits=machine["limits"])
        models = tuple(model for model in MODELS if model in cases) or MODELS[:1]
        measure(cases, Gpu(bench=bench, small=options.small, models=models), report, started + options.budget)
    print(cost_told(report.content) or "no model was measured")
    print(report.path)


if __name__ == "__main__":
    _main()
