"""When may one believe an accuracy expected without labels? Writes this part of docs/slides.md from committed reports.

    python -m benchmarks.estimators

It reads `paper_artifacts/<study>/tables/expected.csv` of each study of photographs whose report is there.
"""

import re
from pathlib import Path
from typing import Final

import pandas as pd

STUDIES: Final = ("cells", "methods", "labs")
ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "slides.md"
_PART: Final = re.compile("(?<=<!-- estimators -->\n).*?(?=<!-- /estimators -->)", re.DOTALL)
_LOW, _HIGH = 0.5, 0.8


def read_trials(artifacts: Path) -> pd.DataFrame:
    """Returns the trials of all studies that have a report: a row for each study, run, lab and estimator."""
    files = {study: artifacts / study / "tables" / "expected.csv" for study in STUDIES}
    found = [pd.read_csv(file).assign(study=study) for study, file in files.items() if file.is_file()]
    tried = pd.concat(found, ignore_index=True)
    if "trained_on" not in tried:
        tried["trained_on"] = ""
    return tried.fillna({"trained_on": ""})  # reports made before studies had several sources


def part(tried: pd.DataFrame) -> str:
    """Returns what the page says of the trials: how many there were, the table of errors, and low and high numbers."""
    runs = tried.drop_duplicates(["study", "model", "trained_on", "seed"])["study"].value_counts(sort=False)
    studies = [f"{count} runs of `{study}`" for study, count in runs.items()]
    lines = [
        f"Three estimators were tried on {', '.join(studies[:-1])}{' and ' * (len(studies) > 1)}{studies[-1]}.",
        "Each run was scored on labs that it was not trained on, whose labels are known.",
        "Errors are expected minus true, in points of accuracy.",
        "",
        "| estimator | pairs | mean error | mean size of the error | largest, too high | largest, too low |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, of in tried.groupby("estimator", sort=False):
        error = 100 * (of["expected"] - of["true"])
        mean, size, most, least = error.mean(), error.abs().mean(), error.max(), error.min()
        lines.append(
            f"| {name} | {len(of)} | {mean:+.0f} | {size:.0f} | {most:+.0f} | {least:+.0f} |".replace("-", "−")
        )
    atc = tried[tried["estimator"] == "ATC"]
    low, high = atc[atc["expected"] < _LOW], atc[atc["expected"] >= _HIGH]
    lines += [
        "",
        f"Where ATC expected less than {100 * _LOW:.0f} %, the true accuracy was {_range(low)}.",
        f"Where it expected {100 * _HIGH:.0f} % or more, the truth was {_range(high)}.",
    ]
    return "\n".join(lines) + "\n"


def _range(tried: pd.DataFrame) -> str:
    true = 100 * tried["true"]
    return f"{true.min():.0f} to {true.max():.0f} % ({len(tried)} pairs)" if len(tried) else "never tried"


def main() -> None:
    """Writes the part into the page."""
    text = part(read_trials(ROOT / "paper_artifacts"))
    PAGE.write_text(_PART.sub(lambda _: text, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
