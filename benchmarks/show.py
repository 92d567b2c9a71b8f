"""What a result file holds, as tables; also one that lacks what is measured today."""

import itertools
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.paper import cost_told
from benchmarks.precision import expected_outside

LEGEND: Final = """\
images: that go through in what is measured at a time. released, ours: medians of images per second, on a CPU of
processor time at one thread, or what stands there (grid: runs one after another, and side by side; start, overhead: a
process for each run, and a warm worker; method_...: this project without a method, and with it). wall: the ratio of
times at all threads. MB: peaks (grid: of its workers, added up). of limit: share of the arithmetic above (data_path: of
the copying; grid: of as many times the rate as there are workers), by the limits measured with it."""


def print_report(report: dict[str, Any]) -> None:
    """Prints what the result file holds as tables."""
    console = Console(width=None if Console().is_terminal else 140, highlight=False)
    machine = report["machine"]
    limits = machine["limits"]
    console.print(
        f"{machine['name']}, {report['date']}. At most {limits['fp32_gflops']:.0f} GFLOP/s in fp32, "
        f"{limits['bf16_gflops']:.0f} in bf16, {limits['copy_gb_per_s']:.1f} GB/s copied"
        f"{' (one thread)' if machine['device'] == 'cpu' else ''}."
    )
    console.print(LEGEND)
    console.print(_table(report["results"]))
    lines = [_shares(each["steps"]) for each in report["results"] if "steps" in each]
    for part in ("precision", "precision_full"):
        lines += _precision(report.get(part, []))
    lines += [_growth(row) for row in report.get("growth", [])]
    lines += [_by("images", row["step"], row) for row in report.get("images", [])]
    lines += [_by("runs in the store", row["command"], row) for row in report.get("stores", [])]
    for line in filter(None, [*lines, cost_told(report)]):
        console.print(line)


def _table(results: list[dict[str, Any]]) -> Table:
    table = Table("", "images", "released", "ours", "", "ratio", "spread", "wall", "peak MB", "GPU MB", "of limit")
    for each in sorted(results, key=lambda result: str(result["name"])):
        table.add_row(
            each["name"],
            f"{each['images']:,}" if "images" in each else "",
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
    return table


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _shares(steps: dict[str, float]) -> str:
    """Returns what share of the released code's time each step removes, in a sentence."""
    times = {name: 1 / rate for name, rate in steps.items() if name != "in_place"}
    whole, names = times["baseline"], list(times)
    told = [f"{name} {100 * (times[before] - times[name]) / whole:.0f} %" for before, name in itertools.pairwise(names)]
    return f"Of the released code's time for ResNet50: {', '.join(told)}; left {100 * times[names[-1]] / whole:.0f} %."


def _precision(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        f"{row['model']} ({row.get('scale', 'tiny')}) on {row['domain']}, n={row['n']}: fp32 {row['fp32']}, "
        f"bf16 {row['bf16']}, difference by seed {row['difference']}: {'within' if row['within'] else 'OUTSIDE'}"
        for row in rows
    ]
    if rows:
        outside, expected = sum(not row["within"] for row in rows), sum(expected_outside(row["n"]) for row in rows)
        lines.append(
            f"{outside} of {len(rows)} means in bf16 lie outside the interval of fp32; of means over other seeds in "
            f"fp32, {expected:.1f} would."
        )
    return lines


def _growth(row: dict[str, Any]) -> str:
    points = "; ".join(_point(each) for each in row["points"])
    total = ", one after another, total" if row["quantity"] == "seeds" else ""
    powers = [f"{key.removesuffix('_exponent')} {value}" for key, value in row.items() if key.endswith("_exponent")]
    of = f"{row.get('model', 'resnet50')}, {row['quantity']}{total}"
    return f"{of}: {points}; they grow as its power: {', '.join(powers)}"


def _by(quantity: str, work: str, row: dict[str, Any]) -> str:
    return f"{work}, by {quantity}: {'; '.join(_point(each) for each in row['points'])}"


def _point(point: dict[str, Any]) -> str:
    told = f"{point['at']}: {point['seconds']:.2f} s"
    if "seconds_low" in point:
        told += f" [{point['seconds_low']:.2f}, {point['seconds_high']:.2f}]"
    if "fill_seconds" in point:
        told += f", {point['fill_seconds']:.2f} s to fill {point['features_gb']:.2g} GB"
    return f"{told}, {point['peak_mb']} MB"
