"""When may one believe an accuracy that is expected without labels? The estimators beside the truth, lab by lab."""

import pandas as pd

from wbc.report.parts import Absent
from wbc.report.render import Cell, Table, cells, percent
from wbc.report.study import Study
from wbc.report.trials import ESTIMATORS, trials


def expected_accuracy(study: Study) -> Table | Absent:
    """Returns for each lab away and estimator what was expected, what it came to, and the mean and largest error."""
    tried = trials(study.runs, study.domains)
    if tried.empty:
        return Absent(name="table of expected accuracy", why="no run was scored both at home and away")
    groups = []
    for lab, of_lab in tried.groupby("lab", sort=False):
        rows = [_row(str(lab), name, of_lab[of_lab["estimator"] == name]) for name in ESTIMATORS]
        groups.append(tuple(row for row in rows if row))
    runs = len(tried[["model", "trained_on", "seed"]].drop_duplicates())
    return Table(
        name="expected",
        title="Accuracy expected without labels, beside what it came to, in %",
        note=(
            f"Over {runs} runs; each row is the mean of its runs but for the last column. "
            + " ".join(f"{name}: {what}." for name, what in ESTIMATORS.items())
            + " Error: expected minus true, in points; above zero the estimator promises too much. Largest: of a run."
        ),
        header=("lab", "estimator", "runs", "expected", "true", "mean error", "mean |error|", "largest |error|"),
        groups=tuple(groups),
        left=2,
        appendix=True,
        data=tried,
    )


def _row(lab: str, name: str, tried: pd.DataFrame) -> tuple[Cell, ...]:
    if tried.empty:
        return ()
    error = tried["expected"] - tried["true"]
    values = [tried["expected"].mean(), tried["true"].mean(), error.mean(), error.abs().mean(), error.abs().max()]
    return cells(lab, name, str(len(tried)), *(percent(round(float(value), 9) + 0.0) for value in values))
