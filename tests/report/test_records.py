"""A report stands where it is whole and made from the same: that is what spares `reproduce` making it anew."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from tests.report.conftest import QUICK
from wbc.config import ReportConfig
from wbc.report import records
from wbc.report.folder import report_folder
from wbc.report.records import read_records, stands
from wbc.report.report import write_report

Runs = dict[tuple[str, int], str]


def as_made(options: ReportConfig) -> bool:
    return stands(options, read_records(options), report_folder(options))


def test_report_stands_until_a_run_or_a_question_changes(golden_runs: Runs, options: ReportConfig) -> None:
    assert not as_made(options)
    write_report(options, QUICK)
    assert as_made(options)
    assert not as_made(replace(options, seeds="0"))
    mlflow.MlflowClient().set_tag(golden_runs["resnet50", 0], "sha256.predictions/smears_target.csv", "0")
    assert not as_made(options)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "report.html").write_text("edited"),
        lambda folder: (folder / "tables" / "table4.csv").unlink(),
        lambda folder: (folder / "tables" / "notes.txt").touch(),
    ],
    ids=["edited", "missing", "added"],
)
def test_report_that_is_not_whole_does_not_stand(
    golden_runs: Runs, options: ReportConfig, spoil: Callable[[Path], object]
) -> None:
    spoil(write_report(options, QUICK))
    assert not as_made(options)


def test_report_whose_run_was_deleted_does_not_stand(golden_runs: Runs, options: ReportConfig) -> None:
    write_report(options, QUICK)
    (run,) = mlflow.search_runs(search_all_experiments=True, filter_string="tags.kind = 'report'", output_format="list")
    mlflow.delete_run(run.info.run_id)
    assert not as_made(options)


def test_report_of_other_code_or_with_latex_since_does_not_stand(
    golden_runs: Runs, options: ReportConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(options, QUICK)
    with monkeypatch.context() as other:
        other.setattr(records, "latex_engine", lambda: "another")
        assert not as_made(options)
    (tmp_path / "report.py").touch()
    monkeypatch.setattr(records, "PACKAGE", tmp_path)
    assert not as_made(options)
