"""`make bench`: measures, prints a table and writes `benchmarks/results/<machine>.json`; needs no tracking server."""

import datetime
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from entrypoints.command import main
from wbc.compute import choose_device
from wbc.config import split_names
from wbc.data.disk import whole_file
from wbc.errors import ConfigError, unknown
from wbc.settings import option

RESULTS: Final = Path(__file__).parent / "results"
PRECISION: Final = {"precision": "tiny", "precision_full": "full"}
"""Comparisons of precisions, and the scale of their models."""
OTHERS: Final = (*PRECISION, "growth", "images", "stores")


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Options of the benchmark: this project's speed against the released code's way, on this machine."""

    cases: str | None = option(
        None,
        "What to measure, by commas: data_path, MODEL_epoch, resnet50_evaluate, grid, start, overhead, precision, "
        "precision_full, growth, images, stores; auto: all. The rest of the result file stays.",
    )
    rounds: int = option(5, "Rounds, each of which measures every side once.")
    seeds: int = option(10, "Seeds of the comparison of precisions.")
    device: str | None = option(None, "cpu or cuda; auto: cuda where there is one.")
    output: str = option(str(RESULTS), "Folder of the result file.")


def bench(options: BenchConfig) -> None:
    """Measures the cases one by one; each is written as soon as it is there.

    The file's machine, date and versions are those of the last command; each result holds what it was measured by.
    """
    from benchmarks.cases import CASES
    from benchmarks.growth import measure_growth
    from benchmarks.images import measure_images
    from benchmarks.machine import describe_machine, file_name, versions
    from benchmarks.paper import paper_cost, rates_of
    from benchmarks.precision import compare_precisions
    from benchmarks.show import print_report
    from benchmarks.stores import measure_stores
    from benchmarks.work import Bench

    wanted = split_names(options.cases) if options.cases else [*CASES, *OTHERS]
    for name in wanted:
        if name not in (*CASES, *OTHERS):
            raise unknown("case", name, (*CASES, *OTHERS))
    if options.rounds < 1 or options.seeds < 2:
        raise ConfigError(f"rounds={options.rounds}, seeds={options.seeds}: at least 1 round and 2 seeds.")
    device = choose_device(options.device)
    path = Path(options.output) / file_name(device)
    report = json.loads(path.read_bytes()) if path.exists() else {"results": []}
    report |= {"machine": describe_machine(device), "versions": versions()}
    growing = {"growth": measure_growth, "images": measure_images, "stores": measure_stores}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WBC_DATA_DIR"] = f"{folder}/data"
        where = Bench(device=device, rounds=options.rounds, folder=Path(folder), limits=report["machine"]["limits"])
        for name in wanted:
            Console(stderr=True).print(f"{name} ...")
            report["date"] = _today()
            if name in PRECISION:
                _put_in(report, name, compare_precisions(PRECISION[name], options.seeds, device))
            elif name in growing:
                _put_in(report, name, growing[name](where))
            else:
                for result in CASES[name](where):
                    _put_in(report, "results", [result])
            report["paper"] = paper_cost(rates_of(report))
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                file.write((json.dumps(report, indent=1) + "\n").encode())
    print_report(report)
    print(path)


def _put_in(report: dict[str, Any], part: str, found: list[dict[str, Any]]) -> None:
    """Puts what was found into a part of the report, each with what it was measured by, in place of the older."""
    names = [each.get("name") for each in found]
    rest = [each for each in report["results"] if each["name"] not in names] if part == "results" else []
    measured = {"date": report["date"], **{key: report["versions"][key] for key in ("commit", "torch")}}
    if part == "results":
        measured["limits"] = report["machine"]["limits"]
    report[part] = [*rest, *(each | measured for each in found)]


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


if __name__ == "__main__":
    main(BenchConfig, bench)
