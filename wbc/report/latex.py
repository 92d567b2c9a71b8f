"""LaTeX: `numbers.tex`, the numbers that a text would quote; `report.tex`, and `report.pdf` where LaTeX is there."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import jinja2

from wbc.report.render import Table, tex_escape
from wbc.report.statistics import seed_interval, two_way_interval
from wbc.report.study import Study
from wbc.report.tables import percent

_ENGINES: Final = {
    "latexmk": ("-pdf", "-interaction=nonstopmode", "-halt-on-error"),
    "tectonic": (),
    "pdflatex": ("-interaction=nonstopmode", "-halt-on-error"),
}
_TIMEOUT_S: Final = 300
_HEAD: Final = r"""% Numbers of the report as macros: \input{numbers}, then \wbc{resnet50/lisc/accuracy}, in percent.
% KEY/accuracy, KEY/interval (half-width over seeds), KEY/low and KEY/high (over seeds and images), KEY/seeds, with KEY
% model/domain; model/drop (home minus the first target); domain/images, domain/majority; and a few of the whole. A name
% that is not here stops LaTeX.
\makeatletter
\providecommand{\wbc}[1]{\ifcsname wbc@#1\endcsname\csname wbc@#1\endcsname\else
  \@latex@error{numbers.tex has no number #1}{Run make report again, or correct the name.}\fi}
\newcommand{\wbc@set}[2]{\expandafter\gdef\csname wbc@#1\endcsname{#2}}
"""


def numbers(study: Study) -> dict[str, str]:
    """Returns what a text would quote, by name: accuracies in percent to two decimals, counts as they are."""
    values = {
        "seeds": str(len(study.seeds)),
        "models": str(len(study.models)),
        "runs": str(len(study.runs)),
        "missing": str(len(study.missing)),
        "epochs": str(study.settings["epochs"]),
        "source": tex_escape(study.settings["source"]),
    }
    for domain in study.domains:
        values[f"{domain.name}/images"] = str(len(domain.labels))
        values[f"{domain.name}/majority"] = percent(domain.majority)
        for model in study.models:
            accuracies = study.accuracies(model, domain.name)
            if not accuracies:
                continue
            name = f"{model}/{domain.name}"
            interval = seed_interval(accuracies)
            values[f"{name}/accuracy"] = percent(interval.mean)
            values[f"{name}/seeds"] = str(interval.n)
            if interval.half_width is not None:
                values[f"{name}/interval"] = percent(interval.half_width)
            both = two_way_interval(study.hits(model, domain))
            if both:
                values[f"{name}/low"], values[f"{name}/high"] = map(percent, both)
    if study.home and study.away:
        for model in study.models:
            scores = [study.accuracies(model, domain.name) for domain in (study.home, study.away)]
            if all(scores):
                home, away = (seed_interval(each).mean for each in scores)
                values[f"{model}/drop"] = percent(home - away)
    return values


def write_numbers(study: Study, folder: Path) -> None:
    """Writes `numbers.tex`; what LaTeX would take for more than a name is a hyphen there."""
    named = {re.sub(r"[^\w/:.-]", "-", name): value for name, value in numbers(study).items()}
    lines = [f"\\wbc@set{{{name}}}{{{value}}}" for name, value in named.items()]
    text = "\n".join([_HEAD.rstrip(), *lines, r"\makeatother", ""])
    (folder / "numbers.tex").write_text(text, encoding="utf-8")


def write_document(study: Study, tables: Sequence[Table], figures: Mapping[str, str], folder: Path) -> None:
    """Writes `report.tex`, which reads in the tables and shows the figures, given with their captions."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.filters["tex"] = tex_escape
    text = environment.get_template("report.tex.jinja").render(study=study, tables=tables, figures=figures)
    (folder / "report.tex").write_text(text, encoding="utf-8")


def compile_document(folder: Path) -> str | None:
    """Makes `report.pdf` of `report.tex` with whatever LaTeX is installed; returns why there is none, else None."""
    engine = next((name for name in _ENGINES if shutil.which(name)), None)
    if engine is None:
        return (
            "no report.pdf: neither latexmk, tectonic nor pdflatex is installed "
            "(Debian: apt install latexmk texlive-latex-recommended); report.tex is ready for it."
        )
    command = [engine, *_ENGINES[engine], "report.tex"]
    reason = None
    try:
        for _ in range(2 if engine == "pdflatex" else 1):  # twice: for the places of figures
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
            )
            if done.returncode:
                said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("!", "error:"))]
                reason = f"no report.pdf: {engine} stops at report.tex: {(said or ['without a word'])[0].lstrip('! ')}"
                break
    except subprocess.TimeoutExpired:
        reason = f"no report.pdf: {engine} was stopped after {_TIMEOUT_S} s."
    for path in folder.glob("report.*"):
        if path.suffix not in (".tex", ".html") and (reason or path.suffix != ".pdf"):
            path.unlink()
    return reason
