"""The paper's numbers, and what may be said of ours beside them.

Verdicts, by intervals of the difference (Welch, each side's spread over its own seeds; the images are the same):
- "equivalent": the 90 % interval lies within the margin, 1 point at home and 5 away (on LISC's 257 images one run has
  a binomial half-width of 5.4 points at 74 %). That is two one-sided tests at 5 %.
- "different": the 95 % interval excludes zero, and the 90 % one reaches beyond the margin.
- "undecided": neither.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pandas as pd
from scipy import stats

from wbc.cells import CLASSES
from wbc.report.render import percent
from wbc.report.statistics import Interval

FOLDER: Final = Path(__file__).parent / "published"
HOME: Final = "raabin_test_a"
AWAY: Final = "lisc"
MARGIN_HOME: Final = 0.01
MARGIN_AWAY: Final = 0.05

Verdict = Literal["equivalent", "different", "undecided", "one seed"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """An accuracy as published, in [0, 1]."""

    arm: str
    """The arm's name, such as resnet50_gn+mixup."""
    domain: str
    interval: Interval
    place: str
    note: str


def read_published(value: Literal["main", "other"] = "main") -> list[Published]:
    """Returns the published accuracies: the main ones, or the second values where the paper has two."""
    with (FOLDER / "accuracies.csv").open(encoding="utf-8", newline="") as file:
        return [
            Published(
                arm=row["arm"],
                domain=row["domain"],
                interval=Interval(
                    mean=float(row["accuracy"]) / 100, half_width=float(row["half_width"]) / 100, n=int(row["n"])
                ),
                place=row["place"],
                note=row["note"],
            )
            for row in csv.DictReader(file)
            if row["value"] == value
        ]


def published_counts() -> dict[str, list[int]]:
    """Returns the paper's Table 1: the images of each class, in the order of CLASSES, by domain."""
    with (FOLDER / "datasets.csv").open(encoding="utf-8", newline="") as file:
        return {row["domain"]: [int(row[name]) for name in CLASSES] for row in csv.DictReader(file)}


def published_classes() -> pd.DataFrame:
    """Returns the paper's Table 3 in percent: precision, recall and F, a row for each class, the index."""
    return pd.read_csv(FOLDER / "classes.csv", index_col="class")


def published_numbers() -> dict[str, str]:
    """Returns the published accuracies for `numbers.tex`: published/ARM/DOMAIN/accuracy and interval, in percent."""
    values = {}
    for each in read_published():
        name = f"published/{each.arm}/{each.domain}"
        values[f"{name}/accuracy"] = percent(each.interval.mean)
        values[f"{name}/interval"] = percent(each.interval.half_width or 0.0)
    return values


def compare(ours: Interval, theirs: Interval, margin: float) -> tuple[float, Verdict]:
    """Returns our mean minus theirs, in [-1, 1], and the verdict; both intervals are Student's at 95 %."""
    difference = ours.mean - theirs.mean
    if ours.half_width is None or theirs.half_width is None:
        return difference, "one seed"
    errors = [
        side.half_width / stats.t.ppf(0.975, side.n - 1) for side in (ours, theirs) if side.half_width is not None
    ]
    error = (errors[0] ** 2 + errors[1] ** 2) ** 0.5
    margin += 1e-9  # 0.75 is one point from 0.74, which binary fractions miss
    if error == 0:
        return difference, "equivalent" if abs(difference) <= margin else "different"
    freedom = error**4 / (errors[0] ** 4 / (ours.n - 1) + errors[1] ** 4 / (theirs.n - 1))
    if abs(difference) + stats.t.ppf(0.95, freedom) * error <= margin:
        return difference, "equivalent"
    if abs(difference) > stats.t.ppf(0.975, freedom) * error:
        return difference, "different"
    return difference, "undecided"
