"""`make bench`: measures, prints a table and writes `benchmarks/results/<machine>.json`; needs no tracking server."""

import datetime
import itertools
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from entrypoints.command import main
from wbc.config import option, split_names
from wbc.data.disk import whole_file
from wbc.errors import ConfigError, unknown
from wbc.models.catalog import PAPER_ROWS
from wbc.profiles import PROFILES, choose_device

RESULTS: Final = Path(__file__).parent / "results"
PAPER_IMAGES: Final = 10_175
"""Of RaabinWBC's training set: paper, Table 1."""
OTHERS: Final = ("precision", "growth")


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Options of the benchmark: this project's speed against the released code's way, on this machine."""

    cases: str | None = option(
        None,
        "What to measure, by commas: data_path, MODEL_epoch, resnet50_evaluate, grid, start, precision, growth; "
        "auto: all. The rest of the result file stays.",
    )
    rounds: int = option(5, "Rounds, each of which measures every side once.")
    seeds: int = option(10, "Seeds of the comparison of precisions.")
    device: str | None = option(None, "cpu or cuda; auto: cuda where there is one.")
    output: str = option(str(RESULTS), "Folder of the result file.")


def bench(options: BenchConfig) -> None:
    """Measures the cases one by one; each is written as soon as it is there."""
    from benchmarks.cases import CASES, Bench
    from benchmarks.growth import measure_growth
    from benchmarks.machine import describe_machine, file_name, versions
    from benchmarks.precision import compare_precisions

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
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WBC_DATA_DIR"] = f"{folder}/data"
        where = Bench(device=device, rounds=options.rounds, folder=Path(folder), limits=report["machine"]["limits"])
        for name in wanted:
            Console(stderr=True).print(f"{name} ...")
            if name == "precision":
                report[name] = compare_precisions(options.seeds, device)
            elif name == "growth":
                report[name] = measure_growth(where)
            else:
                for result in CASES[name](where):
                    rest = [each for each in report["results"] if each["name"] != result["name"]]
                    measured = {"date": _today(), "commit": report["versions"]["commit"]}
                    report["results"] = [*rest, result | measured]
            report["date"] = _today()
            report["paper"] = paper_cost(report["results"])
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                file.write((json.dumps(report, indent=1) + "\n").encode())
    print_report(report)
    print(path)


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def paper_cost(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the hours that the paper's 90 runs would take at the measured rates, and which models those cover."""
    by_model = {each["name"].removesuffix("_epoch"): each for each in results if each["name"].endswith("_epoch")}
    models = [model for model in PAPER_ROWS if model in by_model]
    profile = PROFILES["paper"]
    images = profile.seeds * profile.epochs * PAPER_IMAGES
    hours = {
        side: round(sum(images / by_model[model][side] for model in models) / 3600, 1) for side in ("baseline", "ours")
    }
    return {"models": models, "of": len(PAPER_ROWS), "images_per_model": images, "hours": hours}


def print_report(report: dict[str, Any]) -> None:
    """Prints what the result file holds as tables."""
    console = Console(width=None if Console().is_terminal else 140)
    machine = report["machine"]
    limits = machine["limits"]
    console.print(
        f"{machine['name']}, {report['date']}. At most {limits['fp32_gflops']:.0f} GFLOP/s in fp32, "
        f"{limits['bf16_gflops']:.0f} in bf16, {limits['copy_gb_per_s']:.1f} GB/s copied"
        f"{' (one thread)' if machine['device'] == 'cpu' else ''}.",
        highlight=False,
    )
    console.print(
        "released, ours: medians of images per second, on a CPU of processor time at one thread, or what stands there\n"
        "(grid: runs one after another, and side by side). wall: the ratio of times at all threads. MB: peaks.\n"
        "of limit: share of the arithmetic above.",
        highlight=False,
    )
    table = Table("", "released", "ours", "", "ratio", "spread", "wall", "peak MB", "GPU MB", "of limit")
    for each in sorted(report["results"], key=lambda result: str(result["name"])):
        table.add_row(
            each["name"],
            _rounded(each["baseline"]),
            _rounded(each["ours"]),
            each["unit"],
            f"{each['ratio_median']:.2f}",
            f"{each['ratio_low']:.2f}-{each['ratio_high']:.2f}, n={each['n']}",
            f"{each['wall_ratio_median']:.2f}" if "wall_ratio_median" in each else "",
            *(
                f"{each[f'baseline_{name}']:.0f} > {each[name]:.0f}" if name in each else ""
                for name in ("peak_rss_mb", "peak_device_mb")
            ),
            f"{100 * each['share_of_limit']:.0f} %" if "share_of_limit" in each else "",
        )
    console.print(table)
    for each in report["results"]:
        if "steps" in each:
            console.print(_shares(each["steps"]), highlight=False)
    for row in report.get("precision", []):
        verdict = "within" if row["within"] else "OUTSIDE"
        console.print(
            f"{row['model']} on {row['domain']}, n={row['n']}: fp32 {row['fp32']}, bf16 {row['bf16']}, "
            f"difference by seed {row['difference']}: {verdict}",
            highlight=False,
        )
    for row in report.get("growth", []):
        points = ", ".join(f"{each['at']}: {each['seconds']:.2f} s, {each['peak_mb']} MB" for each in row["points"])
        console.print(
            f"{row['quantity']}: {points}; time grows as its power {row['time_exponent']}, "
            f"memory as {row['memory_exponent']}",
            highlight=False,
        )
    paper = report["paper"]
    if paper["models"]:
        hours, unit = paper["hours"], "GPU" if machine["device"] == "cuda" else "CPU-core"
        console.print(
            f"{len(paper['models'])} of the paper's {paper['of']} models × 10 seeds × 100 epochs × {PAPER_IMAGES:,} "
            f"images: {hours['ours']:,} {unit}-hours, {hours['baseline']:,} the released way.",
            highlight=False,
        )


def _shares(steps: dict[str, float]) -> str:
    """Returns what share of the released code's time each step removes, in a sentence."""
    times = {name: 1 / rate for name, rate in steps.items() if name != "in_place"}
    whole, names = times["baseline"], list(times)
    told = [f"{name} {100 * (times[before] - times[name]) / whole:.0f} %" for before, name in itertools.pairwise(names)]
    return f"Of the released code's time for ResNet50: {', '.join(told)}; left {100 * times[names[-1]] / whole:.0f} %."


if __name__ == "__main__":
    main(BenchConfig, bench)
