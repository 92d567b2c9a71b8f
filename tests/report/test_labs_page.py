"""The part of docs/studies.md on several labs says what the committed report of the study says."""

import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "paper_artifacts" / "labs"
LABS = ("pbc2500", "bccd", "tecom", "cellavision")


def test_page_says_what_the_committed_report_found() -> None:
    page = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    part = page.split("<!-- labs -->")[1].split("<!-- /labs -->")[0]
    left_out, labs = (pd.read_csv(REPORT / "tables" / f"{name}.csv") for name in ("left_out", "labs"))
    plain = left_out[left_out.method == "erm"].groupby(["lab", "trained_on"]).balanced_accuracy.mean()
    at_home = labs[(labs.method == "erm") & (labs.trained_on == labs.lab)].groupby("lab").balanced_accuracy.mean()
    for lab, line in zip(LABS, part.strip().splitlines()[2:], strict=False):
        means = (plain[lab, "one other lab"], plain[lab, "all other labs"], at_home[lab])
        assert line == f"| `{lab}` | {' | '.join(f'{100 * each:.1f}' for each in means)} |"
    paragraph = re.search(r"More labs: .*?(?=</p>)", (REPORT / "report.html").read_text(encoding="utf-8"), re.DOTALL)
    assert paragraph
    sign = r"[+−]\d+\.\d"
    assert re.findall(sign, part) == re.findall(sign, paragraph[0])
