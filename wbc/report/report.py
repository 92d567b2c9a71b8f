"""The report: every table and figure of the paper from the tracked runs, with statistics one can defend.

    make report PROFILE=demo

Writes `paper_artifacts/<profile>/`: `report.html`, `report.tex` (and `.pdf` where LaTeX is installed), `numbers.tex`,
`tables/`, `figures/`; and logs them to a run called `report/<profile>`. Reads MLflow alone and never imports PyTorch.
"""

import dataclasses
import logging
from pathlib import Path

from wbc.config import ReportConfig
from wbc.data.disk import whole_folder
from wbc.errors import ReportError
from wbc.report.comparison import compare_models, comparison, differences
from wbc.report.figures import draw_figures
from wbc.report.latex import compile_document, write_document, write_numbers
from wbc.report.page import write_page
from wbc.report.query import read_study
from wbc.report.render import write_table
from wbc.report.style import save
from wbc.report.tables import ablation, accuracies, classes, data_sets, merits
from wbc.tracking.results import log_report, open_report

_log = logging.getLogger(__name__)


def write_report(options: ReportConfig) -> Path:
    """Writes the report of a profile and returns its folder, which is replaced as a whole.

    Raises:
        TrackingError: the store does not answer.
        ReportError: there is no run to report, or the folder holds something else.
    """
    folder = report_folder(options)
    study = read_study(options)
    _log.info("%d runs, %d missing, %d left out", len(study.runs), len(study.missing), len(study.excluded))
    contrasts = compare_models(study)
    found = (
        data_sets(study),
        ablation(study, contrasts),
        classes(study),
        accuracies(study, contrasts),
        comparison(study),
        merits(study),
        differences(study, contrasts),
    )
    tables = [table for table in found if table]
    not_run = []
    with whole_folder(folder) as part:
        for name in ("tables", "figures"):
            (part / name).mkdir()
        for table in tables:
            write_table(table, part / "tables")
        captions = {}
        for name, (figure, caption) in draw_figures(study).items():
            save(figure, part / "figures", name)
            captions[name] = caption
        write_numbers(study, part)
        write_document(study, tables, captions, part)
        no_pdf = compile_document(part)
        if no_pdf:
            _log.warning(no_pdf)
            not_run.append(no_pdf.capitalize())
        write_page(study, tables, captions, not_run, part)
        with open_report(options.profile, dataclasses.asdict(options)):
            log_report(part)
    if study.missing:
        _log.warning(
            "%d cells of the grid have no completed run; this fills them: %s", len(study.missing), study.command()
        )
    return folder


def report_folder(options: ReportConfig) -> Path:
    """Returns the folder that a report is written to, having made sure that what it replaces is a report.

    Raises:
        ReportError: the folder holds something else, or is a file.
    """
    folder = Path(options.output or f"paper_artifacts/{options.profile}").absolute()
    if folder.exists() and not folder.is_dir():
        raise ReportError(f"output={folder}: is a file; name a folder for the report.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "report.html").exists():
        raise ReportError(
            f"output={folder}: holds files that are no report, and would be replaced; name another folder."
        )
    return folder
