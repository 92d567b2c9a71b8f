"""LaTeX: `numbers.tex`, the numbers that a text would quote; `report.tex`, and `report.pdf` where LaTeX is there."""

import re
import subprocess
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Final

import jinja2

from wbc.arms import Arm
from wbc.cells import CLASSES
from wbc.environment import latex_engine
from wbc.methods.catalog import ACCESS
from wbc.report.effects import effects
from wbc.report.parts import Parts
from wbc.report.render import percent, tex_escape
from wbc.report.seeds import interval_of
from wbc.report.statistics import CHANCE, seed_interval, two_way_interval
from wbc.report.study import ScoredDomain, Study
from wbc.surroundings import all_and

_ENGINES: Final = {
    "latexmk": ("-pdf", "-interaction=nonstopmode", "-halt-on-error"),
    "tectonic": (),
    "pdflatex": ("-interaction=nonstopmode", "-halt-on-error"),
}
_TIMEOUT_S: Final = 300
_HEAD: Final = r"""% Numbers of the report as macros: \input{numbers}, then \wbc{resnet50/lisc/accuracy}. In percent:
%   MODEL/DOMAIN/accuracy seeds interval (half-width over five seeds or more) low high (over seeds and images) min max
%   balanced f1 ece; of the run whose accuracy is closest to the mean: MODEL/DOMAIN/closest,
%   MODEL/DOMAIN/CLASS/precision recall f1
%   MODEL/drop (home minus the first target); FIRST/SECOND/DOMAIN/difference and p (Holm-corrected)
%   MODEL/WAY/DOMAIN/gain and p (of a method or adaptation over plain training, in balanced accuracy; Holm-corrected)
%   DOMAIN/images majority; chance seeds models runs missing epochs source; what further lines below are called
% A name that is not here stops LaTeX.
\makeatletter
\providecommand{\wbc}[1]{\ifcsname wbc@#1\endcsname\csname wbc@#1\endcsname\else
  \@latex@error{numbers.tex has no number #1}{Run make report again, or correct the name.}\fi}
\newcommand{\wbc@set}[2]{\expandafter\gdef\csname wbc@#1\endcsname{#2}}
"""


def numbers(study: Study) -> dict[str, str]:
    """Returns what a text would quote, by name: shares in percent to two decimals, p values, counts as they are."""
    values = {
        "seeds": str(len(study.seeds)),
        "models": str(len(study.arms)),
        "runs": str(len(study.runs)),
        "missing": str(len(study.missing)),
        "epochs": str(study.settings["epochs"]),
        "source": tex_escape(study.sources()),
        "chance": percent(CHANCE),
    }
    for domain in study.domains:
        values[f"{domain.name}/images"] = str(len(domain.labels))
        values[f"{domain.name}/majority"] = percent(domain.majority)
        for arm in study.arms:
            found = _of_cell(study, arm, domain)
            values |= {f"{study.label(arm)}/{domain.name}/{name}": value for name, value in found.items()}
    if study.home and study.away:
        for arm in study.arms:
            scores = [study.accuracies(arm, domain.name) for domain in (study.home, study.away)]
            if all(scores):
                home, away = (seed_interval(each).mean for each in scores)
                values[f"{study.label(arm)}/drop"] = percent(home - away)
    for each in study.models.contrasts:
        name = f"{study.label(each.first)}/{study.label(each.second)}/{each.domain}"
        values[f"{name}/difference"] = f"{100 * each.test.difference:.2f}"
        values[f"{name}/p"] = f"{each.p_holm:.3g}"
    both = (effects(study, access, joint=joint) for joint in (False, True) for access in ACCESS)
    for effect in chain.from_iterable(both):
        if effect.difference is not None:
            name = f"{study.label(effect.way.plain.arm)}/{effect.way.name}/{effect.domain.name}"
            values[f"{name}/gain"] = f"{100 * effect.difference:.2f}"
            values |= {f"{name}/p": f"{effect.p_holm:.3g}"} if effect.test else {}
    return values


def _of_cell(study: Study, arm: Arm, domain: ScoredDomain) -> dict[str, str]:
    """Returns the numbers of an arm on a domain; those by class are of the run closest to the mean, as in Table 3."""
    accuracies = study.accuracies(arm, domain.name)
    run = study.representative(arm, domain.name)
    if not (accuracies and run):
        return {}
    interval, metrics = interval_of(accuracies), run.metrics[domain.name]
    values = {"accuracy": percent(seed_interval(accuracies).mean), "seeds": str(len(accuracies))}
    values |= {"min": percent(min(accuracies)), "max": percent(max(accuracies)), "closest": percent(metrics.accuracy)}
    if interval and interval.half_width is not None:
        values["interval"] = percent(interval.half_width)
    both = two_way_interval(study.hits(arm, domain))
    if both:
        values["low"], values["high"] = map(percent, both)
    for name, short in (("balanced_accuracy", "balanced"), ("macro_f1", "f1"), ("ece", "ece")):
        scores = [getattr(each.metrics[domain.name], name) for each in study.of(arm, domain.name)]
        values[short] = percent(seed_interval(scores).mean)
    for merit in ("precision", "recall", "f1"):
        by_class = zip(CLASSES, getattr(metrics, merit), strict=True)
        values |= {f"{cell.lower()}/{merit}": percent(value) for cell, value in by_class}
    return values


def write_numbers(values: Mapping[str, str], folder: Path) -> None:
    """Writes `numbers.tex`; what LaTeX would take for more than a name is a hyphen there."""
    named = {re.sub(r"[^\w/:.+@,-]", "-", name): value for name, value in values.items()}
    lines = [f"\\wbc@set{{{name}}}{{{value}}}" for name, value in named.items()]
    text = "\n".join([_HEAD.rstrip(), *lines, r"\makeatother", ""])
    (folder / "numbers.tex").write_text(text, encoding="utf-8")


def write_document(study: Study, parts: Parts, folder: Path) -> None:
    """Writes `report.tex`, which reads in the tables and shows the figures."""
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
    text = environment.get_template("report.tex.jinja").render(study=study, parts=parts)
    (folder / "report.tex").write_text(text, encoding="utf-8")


def compile_document(folder: Path) -> str | None:
    """Makes `report.pdf` of `report.tex` with whatever LaTeX is installed; returns why there is none, else None."""
    engine = latex_engine()
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
                command,
                cwd=folder,
                env=all_and(SOURCE_DATE_EPOCH="0", FORCE_SOURCE_DATE="1"),  # the same bytes every time
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
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
