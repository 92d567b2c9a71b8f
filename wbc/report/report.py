"""Writes a report: the tables, figures and numbers of its `Contents`, and a page, all from the tracked runs.

The folder has `report.html`, `report.tex` (and `.pdf` where LaTeX is installed), `numbers.tex`, `tables/`, `figures/`;
and logs them to a run called `report/<study>`. Reads MLflow alone and never imports PyTorch.
"""

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wbc.config import ReportConfig
from wbc.processes import signals_exit
from wbc.report.description import describe
from wbc.report.folder import replacing, report_folder
from wbc.report.latex import compile_document, numbers, write_document, write_numbers
from wbc.report.page import write_page
from wbc.report.parts import Absent, Gallery, Headline, Parts
from wbc.report.query import read_study
from wbc.report.records import Records, read_records, seal
from wbc.report.render import Table, write_table
from wbc.report.seen import mark_seen
from wbc.report.study import Study
from wbc.report.style import Plot, figure_style, save
from wbc.tracking.active import log_report, open_report

_log = logging.getLogger(__name__)
Part = Table | Plot | Gallery
Made = Part | Absent | Sequence[Part | Absent] | None
Make = Callable[[Study], Made]
"""Makes a table, figure or gallery of a study, or several; None: it has nothing of the kind."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a report has: functions of a study that make its headline, tables and figures in order, and more numbers."""

    headline: Callable[[Study], Headline]
    first: tuple[Make, ...]
    """What stands below the headline."""
    parts: tuple[Make, ...]
    """All else."""
    whole: frozenset[Make] = frozenset()
    """Those of them that take all arms; of a study of many the others take plain training alone."""
    numbers: Callable[[], Mapping[str, str]] = dict


def write_report(
    options: ReportConfig, contents: Contents, sweep: str | None = None, records: Records | None = None
) -> Path:
    """Writes the report of a study and returns its folder, which is replaced as a whole; then logs it.

    `sweep` is the MLflow run of the sweep that it is on: it gets the page too. `records`, if they have been read
    already, are not read again.

    Raises:
        TrackingError: the store does not answer.
        ReportError: there is no run to report, or the folder holds something else or cannot be written.
    """
    folder = report_folder(options)
    with signals_exit(), tempfile.TemporaryDirectory() as copy:
        records = records or read_records(options)
        study = read_study(options, records)
        _log.info(
            "report of %d runs; %d cells without one; %d other runs left out, each with the reason on the page",
            *(len(study.runs), len(study.missing), len(study.excluded)),
        )
        with replacing(folder) as part:
            parts = _fill(part, study, contents)
            shutil.copytree(part, copy, dirs_exist_ok=True)  # another report may replace the folder while it is logged
        made = seal(options, records, Path(copy))
        with open_report(study.profile, dataclasses.asdict(options), records.runs, made):
            log_report(Path(copy), describe(study, parts), sweep)
    if study.missing:
        _log.warning(
            "%d cells of the grid have no completed run; this fills them: %s", len(study.missing), study.command()
        )
    return folder


def _fill(folder: Path, study: Study, contents: Contents) -> Parts:
    for name in ("tables", "figures"):
        (folder / name).mkdir()
    not_run: list[str] = []
    with figure_style():
        models = study.models
        first, rest = (
            _made(folder, study, [make(study if make in contents.whole else models) for make in makes], not_run)
            for makes in (contents.first, contents.parts)
        )
    parts = Parts(
        headline=contents.headline(study),
        first=tuple(part for part in first if not isinstance(part, Gallery)),
        tables=tuple(part for part in rest if isinstance(part, Table)),
        plots=tuple(part for part in rest if isinstance(part, Plot)),
        galleries=tuple(part for part in rest if isinstance(part, Gallery)),
        not_run=(),
    )
    write_numbers({**numbers(study), **contents.numbers()}, folder)
    write_document(study, parts, folder)
    no_pdf = compile_document(folder)
    if no_pdf:
        _log.warning(no_pdf)
        not_run.append(no_pdf[0].upper() + no_pdf[1:])
    write_page(study, dataclasses.replace(parts, not_run=tuple(not_run)), folder)
    return parts


def _made(folder: Path, study: Study, made: Iterable[Made], not_run: list[str]) -> list[Part]:
    """Writes tables and figures and returns them, with marks of what a model has seen.

    Adds to `not_run` what there is none of, and why.
    """
    written: list[Part] = []
    for part in (part for each in made if each for part in (each if isinstance(each, Sequence) else [each])):
        if isinstance(part, Absent):
            not_run.append(f"No {part.name}: {part.why}.")
        elif isinstance(part, Gallery):
            written.append(part)  # it is on the page alone
        elif isinstance(part, Table):
            marked = mark_seen(study, part)
            write_table(marked, folder / "tables")
            written.append(marked)
        elif part.figure:
            save(part.figure, folder / "figures", part.name)
            written.append(part)
        else:
            not_run.append(f"No {part.name}: the runs do not hold what it shows.")
    return written
