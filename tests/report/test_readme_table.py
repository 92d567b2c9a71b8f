"""README's table of the study `cells` says what the committed report's files say."""

import re
from pathlib import Path

import pandas as pd

from wbc.report.statistics import seed_interval

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "paper_artifacts" / "cells" / "tables"
TITLES = {
    "Lite0, batch norm": "lite0",
    "Lite0, frozen batch norm": "lite0_frozenbn",
    "Lite0, frozen batch norm, last 16 layers": "lite0_frozenbn_last16",
    "Lite0, batch norm, last 16 layers (control)": "lite0_last16",
    "Lite0, linear layer only": "lite0_head",
    "SqueezeNet, no norm": "squeezenet",
}
DOMAINS = ("pbc2500_test", "bccd", "tecom", "cellavision")


def test_table_of_the_readme_is_that_of_the_committed_report() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    part = readme.split("<!-- cells -->")[1].split("<!-- /cells -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", part, re.M)]
    said = {row[0]: row[1:] for row in rows[2:]}
    merits = pd.read_csv(TABLES / "merits.csv")
    expected: dict[str, list[str]] = {}
    for title, model in TITLES.items():
        expected[title] = []
        for domain in DOMAINS:
            runs = merits[(merits.model == model) & (merits.domain == domain)]
            balanced = seed_interval(runs.balanced_accuracy.tolist())
            assert balanced.half_width
            spread = f"{100 * balanced.mean:.1f} ± {100 * balanced.half_width:.1f}"
            expected[title].append(f"{spread} ({100 * runs.accuracy.mean():.1f}, {100 * runs.macro_f1.mean():.1f})")
    table = pd.read_csv(TABLES / "table4.csv").drop_duplicates("domain").set_index("domain")
    shares = [table.majority[domain] for domain in DOMAINS]  # one class of five has an F1, 2 s / (1 + s) at a share s
    constant = [f"20.0 ({100 * share:.1f}, {40 * share / (1 + share):.1f})" for share in shares]
    expected["always the largest class"] = constant
    assert said == expected
    counts = [int(n) for n in re.findall(r"n = (\d+)", " ".join(rows[0]))]
    assert counts == [table.n_images[domain] for domain in DOMAINS]
