"""The main path: read the slides, ask the runs, weigh the evidence, answer, write the page, log it.

make assess SLIDES=our_slides
"""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from wbc.assess.adapted import adapt
from wbc.assess.advice import advise
from wbc.assess.compose import Evidence, cells_table, compose
from wbc.assess.label import label_page
from wbc.assess.labelled import find_truth, merits
from wbc.assess.labs import how_to_crop, is_same_lab, place, shared, split_of, training_splits
from wbc.assess.names import UNLABELLED, read_mapping
from wbc.assess.options import AssessConfig
from wbc.assess.page import Assessment, render, write_figures, write_pdf
from wbc.assess.pixels import Decoded, decoded
from wbc.assess.predict import Answers, ask, cropped_geometry, fetch_all
from wbc.assess.reading import read_slides
from wbc.assess.runs import Known, read_known
from wbc.assess.sheet import NAME, PAGE, again, keep_filled, order, sheet, write_sheet
from wbc.assess.unlabelled import between_models, models
from wbc.assess.verdict import LEAST_LABELLED, Verdict, with_labels, without_labels
from wbc.processes import signals_exit
from wbc.report.folder import own_folder, replacing
from wbc.report.render import inert
from wbc.report.style import figure_style
from wbc.report.trials import trials
from wbc.tracking.active import log_assessment, open_page

CONTENTS: Final = frozenset({"report.html", "report.tex", "report.pdf", "tables", "figures", "cells.csv", NAME, PAGE})
_log = logging.getLogger(__name__)


def assess(options: AssessConfig) -> str:
    """Returns the answer for a laboratory's slides in a few lines, and writes and logs its page.

    Raises:
        DataError: the slides hold nothing that can be assessed.
        ConfigError: an option or name is not known.
        TrackingError: there is no such run, or the store does not answer.
        ReportError: the folder of the page holds something else.
    """
    began = time.perf_counter()
    slides = read_slides(options.slides, read_mapping(options.classes))
    folder = own_folder(options.output or f"reports/assess_{slides.name}", CONTENTS)
    with signals_exit():
        known = read_known(options)
        checkpoints = fetch_all(known)
        geometries = list({cropped_geometry(each.config, options.crop): None for each in checkpoints.values()})
        with decoded(slides, geometries) as cells:
            known, warnings = _apart(known, cells)
            answers = ask(known, checkpoints, cells, options.crop, options.device)
            evidence = _weigh(known, cells, answers, options, warnings)
            if advice := advise(known, evidence.models[0].arm):
                chosen = evidence.models[0].chosen
                checkpoint = checkpoints[chosen.run.stored.id]
                evidence = replace(evidence, adapted=adapt(advice, chosen, checkpoint, cells, known, options.crop))
        verdict = _answer(evidence, options.error)
        seconds = time.perf_counter() - began
        with replacing(folder) as part, figure_style():
            page = compose(evidence, verdict, options, seconds)
            write_figures(page, part)
            (part / "report.html").write_text(render(page, part, cells=True), encoding="utf-8")
            no_pdf = write_pdf(page, part)
            inert(cells_table(evidence, verdict)).to_csv(part / "cells.csv", index=False, float_format="%.4f")
            _write_sheet(evidence, options, part)
            keep_filled(folder / NAME, part / NAME)
            logged = {"report.html": render(page, part, cells=options.keep_cells)}
            if options.keep_cells:
                logged |= {name: (part / name).read_text(encoding="utf-8") for name in ("cells.csv", NAME)}
        if no_pdf:
            _log.warning(no_pdf)
        with open_page("assess", slides.name, _settings(options, evidence)) as run_id:
            log_assessment(logged, _metrics(evidence, verdict), _note(page))
    return "\n".join(
        [
            f"{slides.title}: {verdict.headline}.",
            *(f"  {each}" for each in verdict.sentences),
            f"  page {folder / 'report.html'}",
            f"  run {run_id[:8]}, {seconds:.0f} s",
        ]
    )


def _write_sheet(evidence: Evidence, options: AssessConfig, part: Path) -> None:
    """Writes what to label first: a table to fill in, and a page with pictures where cells lack labels."""
    slides = evidence.slides
    ordered = order(slides, evidence.models[0].chosen.scores)
    table = sheet(slides, ordered)
    write_sheet(table, part / NAME)
    if any(cell.label == UNLABELLED for cell in slides.cells):
        (part / PAGE).write_text(label_page(slides, ordered, table, again(options)), encoding="utf-8")


def _apart(known: Known, cells: Decoded) -> tuple[Known, tuple[str, ...]]:
    """Returns what is known without a lab that the slides are of, and warnings of images that are known already."""
    warnings, total, how = [], len(cells.sha256), "byte for byte or by the name of their slide or field"
    if trained := len(set().union(*shared(training_splits(known), cells).values())):
        warnings.append(
            f"{trained} of {total} cells are of the images that the models were trained on, {how}: the answer flatters "
            "the models."
        )
    splits = {split.name: split for each in known.domains if (split := split_of(known, each.name))}
    homes = {each.name for each in known.domains if each.home}
    for name, rows in shared(splits.values(), cells).items():
        both = len(rows)
        if is_same_lab(splits[name], both):
            what = "the models' home" if name in homes else "this lab is not among the known labs here"
            known = known if name in homes else known.without(name)
            warnings.append(f"{both} of {total} cells are of {name}, {how}: {what}.")
    return known, tuple(warnings)


def _weigh(
    known: Known, cells: Decoded, answers: list[Answers], options: AssessConfig, warnings: tuple[str, ...]
) -> Evidence:
    tried, error = trials(known.runs, known.domains), options.error
    found, truth = models(known, answers, tried), find_truth(cells.slides)
    given = {
        each.name: merits(each.chosen, truth, known.home_of(each.chosen.run), error, learn=each is found[0])
        for each in found
        if truth is not None
    }
    labs = place(known, found[0].chosen, cells.looks)
    hint = how_to_crop(labs, options.crop)
    return Evidence(
        slides=cells.slides,
        known=known,
        models=found,
        labs=labs,
        tried=tried,
        between=between_models(found),
        truth=truth,
        merits=given,
        adapted=None,
        warnings=(*warnings, *([hint] if hint else [])),
    )


def _answer(evidence: Evidence, error: float) -> Verdict:
    first, truth = evidence.models[0], evidence.truth
    if truth is not None and len(truth.fair) >= LEAST_LABELLED:
        return with_labels(first, evidence.merits[first.name], error, evidence.merits)
    labelled = 0 if truth is None else len(truth.rows)
    return without_labels(evidence.models, evidence.between, len(evidence.slides.cells), labelled, error)


def _settings(options: AssessConfig, evidence: Evidence) -> dict[str, object]:
    """Returns what the run logs of how it was asked: no path, which may name a patient."""
    runs = [each.run.stored.id for model in evidence.models for each in model.answers]
    return {
        "slides": evidence.slides.name,
        "study": evidence.known.study,
        "runs": ",".join(run[:8] for run in runs),
        "answers": evidence.models[0].chosen.run.stored.id,
        "crop": options.crop,
        "error": options.error,
    }


def _metrics(evidence: Evidence, verdict: Verdict) -> dict[str, float]:
    first = evidence.models[0]
    found = {"cells": float(len(evidence.slides.cells)), "agreement": evidence.between}
    found |= {f"expected/{name.replace(' ', '_')}": each.expected for name, each in first.expected.items()}
    if evidence.truth is not None:
        own = evidence.merits[first.name]
        found |= {"labelled": float(len(evidence.truth.rows)), "accuracy": own.metrics.accuracy, "ece": own.ece[0]}
        found |= {"balanced_accuracy": own.metrics.balanced_accuracy, "signed": own.signed.coverage, "augrc": own.augrc}
    if evidence.adapted and not evidence.adapted.failed:
        found["changed_by_adaptation"] = float(evidence.adapted.changed(first.chosen).mean())
    if verdict.referred is not None:
        found["referred"] = verdict.referred
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _note(page: Assessment) -> str:
    return "\n\n".join([f"**{page.verdict.headline}.**", *page.verdict.sentences])
