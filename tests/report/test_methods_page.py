"""The table of docs/methods.md, on what to try first, says what the committed report's files say."""

import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "paper_artifacts" / "methods" / "tables"
ROWS = (
    ("target", "lite0", "erm", "adabn_mixed"),
    ("labels", "lite0", "erm", "shots_20"),
    ("labels", "lite0_frozenbn_last16", "erm", "shots_20"),
    ("labels", "squeezenet", "erm", "shots_20"),
    ("source", "lite0", "trivial_augment", "none"),
)
DOMAINS = ("bccd", "tecom", "cellavision", "pbc2500_test")


def test_what_to_try_first_is_what_the_committed_report_found() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    part = page.split("<!-- methods -->")[1].split("<!-- /methods -->")[0]
    said = [re.findall(r"\| (\**[+−][\d.]+\**)(?= )", line) for line in part.splitlines()[3:]]
    expected = []
    for access, model, method, adaptation in ROWS:
        table = pd.read_csv(TABLES / f"methods_{access}.csv", keep_default_na=False)
        found = table[(table.model == model) & (table.method == method) & (table.adaptation == adaptation)]
        by_domain = found.set_index("domain").astype({"difference": float, "p_holm": float})
        shown = [(by_domain.difference[each], by_domain.p_holm[each] < 0.05) for each in DOMAINS]
        texts = [(f"{100 * points:+.1f}".replace("-", "−"), told) for points, told in shown]
        expected.append([f"**{text}**" if told else text for text, told in texts])
    assert said == expected


def test_what_both_together_add_is_what_the_committed_report_found() -> None:
    page = " ".join((ROOT / "docs" / "methods.md").read_text(encoding="utf-8").split())
    single = pd.read_csv(TABLES / "methods_target.csv", keep_default_na=False)
    joint = pd.read_csv(TABLES / "joint_target.csv", keep_default_na=False)
    away = pd.concat([single, joint]).query("role == 'away'").astype({"difference": float, "p_holm": float})
    lite0 = away[(away.model == "lite0") & (away.adaptation == "adabn_mixed")].groupby("method").difference.mean()
    said = f"adds {100 * lite0['erm']:+.1f} points to plain `lite0`, the mean over labs; "
    said += f"{100 * lite0['hed_jitter']:+.1f} after `hed_jitter` and {100 * lite0['colour_jitter']:+.1f} after"
    assert said in page
    both = away[away.method != "erm"]
    better = int(((both.p_holm < 0.05) & (both.difference > 0)).sum())
    assert better == 4
    assert f"the rule tells four of {len(both)} differences of unlabelled images as better" in page
    assert f"its {len(both) // 3} comparisons" in page
