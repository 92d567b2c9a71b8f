"""The part of docs/slides.md on what is expected without labels says what the committed reports' files say."""

from pathlib import Path

from benchmarks.estimators import PAGE, ROOT, part, read_trials

HEAD = "model,{}seed,lab,images,true,estimator,expected\n"


def test_page_says_what_the_committed_reports_say() -> None:
    text = PAGE.read_text(encoding="utf-8").split("<!-- estimators -->\n")[1].split("<!-- /estimators -->")[0]
    assert text == part(read_trials(ROOT / "paper_artifacts"))


def test_part_is_right_by_hand_for_studies_of_one_and_of_several_labs(tmp_path: Path) -> None:
    files = {
        "cells": HEAD.format("") + "a,0,x,9,0.2,ATC,0.4\na,0,y,9,0.9,ATC,0.8\na,0,x,9,0.2,DoC,0.5\n",
        "labs": HEAD.format("trained_on,") + "a,x,0,y,9,0.1,ATC,0.9\na,y,0,x,9,0.3,ATC,0.45\n",
    }
    for study, text in files.items():
        (tmp_path / study / "tables").mkdir(parents=True)
        (tmp_path / study / "tables" / "expected.csv").write_text(text)
    lines = part(read_trials(tmp_path)).splitlines()
    assert "tried on 1 runs of `cells` and 2 runs of `labs`." in lines[0]
    assert lines[6:8] == ["| ATC | 4 | +26 | 31 | +80 | −10 |", "| DoC | 1 | +30 | 30 | +30 | +30 |"]
    assert lines[9] == "Where ATC expected less than 50 %, the true accuracy was 20 to 30 % (2 pairs)."
    assert lines[10] == "Where it expected 80 % or more, the truth was 10 to 90 % (2 pairs)."
