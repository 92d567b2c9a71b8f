"""The table of docs/slides.md, on what is expected without labels, says what the committed reports' files say."""

import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]


def test_estimators_err_as_the_page_says() -> None:
    page = (ROOT / "docs" / "slides.md").read_text(encoding="utf-8")
    part = page.split("<!-- estimators -->")[1].split("<!-- /estimators -->")[0]
    said = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", part, re.M)[2:]]
    files = [ROOT / "paper_artifacts" / study / "tables" / "expected.csv" for study in ("cells", "methods")]
    tried = pd.concat(map(pd.read_csv, files))
    tried["error"] = 100 * (tried["expected"] - tried["true"])
    expected = []
    for name, of in tried.groupby("estimator", sort=False):
        error = of["error"]
        figures = (f"{error.mean():+.0f}", f"{error.abs().mean():.0f}", f"{error.max():+.0f}", f"{error.min():+.0f}")
        expected.append([name, str(len(of)), *(each.replace("-", "−") for each in figures)])
    assert said == expected
    low = tried[(tried["estimator"] == "ATC") & (tried["expected"] < 0.5)]
    high = tried[(tried["estimator"] == "ATC") & (tried["expected"] >= 0.8)]
    for of, told in ((low, "5 to 38 % (23 pairs)"), (high, "9 to 84 % (25 pairs)")):
        assert f"{100 * of.true.min():.0f} to {100 * of.true.max():.0f} % ({len(of)} pairs)" == told
        assert told in page
