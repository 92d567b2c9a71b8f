"""Writes a report: the tables, figures and numbers of its `Contents`, and a page, all from the tracked runs.

The folder has `report.html`, `report.tex` (and `.pdf` where LaTeX is installed), `numbers.tex`, `tables/`, `figures/`;
and logs them to a run called `report/<study>`. Reads MLflow alone and never imports PyTorch.
"""

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbc.config import ReportConfig
from wbc.errors import ReportError
from wbc.processes import signals_exit
from wbc.report.description import describe
from wbc.report.latex import compile_document, numbers, write_document, write_numbers
from wbc.report.page import write_page
from wbc.report.parts import Absent, Gallery, Headline, Parts
from wbc.report.query import read_study
from wbc.report.render import Table, write_table
from wbc.report.seen import mark_seen
from wbc.report.study import Study
from wbc.report.style import Plot, figure_style, save
from wbc.studies import study_name
from wbc.tracking.active import log_report, open_report

_CONTENTS: Final = {"report.html", "report.tex", "report.pdf", "numbers.tex", "tables", "figures"}
_ATTEMPTS: Final = 20
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


def write_report(options: ReportConfig, contents: Contents, sweep: str | None = None) -> Path:
    """Writes the report of a study and returns its folder, which is replaced as a whole; then logs it.

    `sweep` is the MLflow run of the sweep that it is on: it gets the page too.

    Raises:
        TrackingError: the store does not answer.
        ReportError: there is no run to report, or the folder holds something else or cannot be written.
    """
    folder = report_folder(options)
    with signals_exit(), tempfile.TemporaryDirectory() as copy:
        study = read_study(options)
        _log.info(
            "report of %d runs; %d cells without one; %d other runs left out, each with the reason on the page",
            *(len(study.runs), len(study.missing), len(study.excluded)),
        )
        with replacing(folder) as part:
            parts = _fill(part, study, contents)
            shutil.copytree(part, copy, dirs_exist_ok=True)  # another report may replace the folder while it is logged
        with open_report(study.profile, dataclasses.asdict(options)):
            log_report(Path(copy), describe(study, parts), sweep)
    if study.missing:
        _log.warning(
            "%d cells of the grid have no completed run; this fills them: %s", len(study.missing), study.command()
        )
    return folder


def report_folder(options: ReportConfig) -> Path:
    """Returns the folder that a report is written to, having made sure that what it replaces is a report.

    Raises:
        ReportError: the folder holds something else, or cannot be there.
    """
    return own_folder(options.output or f"reports/{study_name(options.profile)}", _CONTENTS)


def own_folder(output: str, contents: Collection[str]) -> Path:
    """Returns the folder that `output` names, having made sure that it holds nothing but `contents` and can be written.

    Raises:
        ReportError: the folder holds something else, or cannot be there.
    """
    folder = Path(output).resolve()
    with _refusals(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(dir=folder.parent).cleanup()  # refused here and now, not after all the work
        foreign = sorted({path.name for path in folder.iterdir()} - set(contents)) if folder.exists() else []
    if foreign:
        raise ReportError(
            f"output={folder}: holds '{foreign[0]}', which is no part of a report and would be lost; name another one."
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


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yields an empty folder to fill; `folder` becomes it when the block ends well, whoever else does the same."""
    with _refusals(folder):
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            part.chmod(0o755)
            (part / "new").mkdir()
            yield part / "new"
            for attempts_left in reversed(range(_ATTEMPTS)):
                with suppress(FileNotFoundError):
                    folder.rename(tempfile.mkdtemp(dir=part))
                try:
                    (part / "new").rename(folder)
                    break
                except OSError:  # another process may have put its own there at this moment
                    if not attempts_left:
                        raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """Turns what the operating system refuses into one line.

    Raises:
        ReportError: the folder cannot be made or written.
    """
    try:
        yield
    except OSError as error:
        raise ReportError(
            f"output={folder}: {error.strerror or error}; name another folder, or make it writable."
        ) from error
