"""The main path: read the slides, ask the runs, weigh the evidence, answer, write the page, log it.

make assess SLIDES=our_slides
"""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from wbc.assess import figures, tables
from wbc.assess.advice import advise
from wbc.assess.gallery import tiles
from wbc.assess.labelled import Merits, Truth, find_truth, merits
from wbc.assess.labs import Lab, is_same_lab, place, shared, training_splits
from wbc.assess.names import how_to_map, read_mapping
from wbc.assess.options import AssessConfig
from wbc.assess.page import Assessment, Part, render, write_figures, write_pdf
from wbc.assess.pixels import Decoded, decoded
from wbc.assess.predict import Answers, ask, cropped_geometry, fetch_all
from wbc.assess.runs import Known, read_known
from wbc.assess.sheet import NAME, keep_filled, write_sheet
from wbc.assess.slides import Slides, counted, read_slides
from wbc.assess.unlabelled import Model, between_models, counts_table, expected_table, models
from wbc.assess.verdict import LEAST_LABELLED, Verdict, rules, with_labels, without_labels
from wbc.cells import CLASSES
from wbc.processes import signals_exit
from wbc.report.report import checked_folder, replacing
from wbc.report.study import typed
from wbc.report.style import figure_style
from wbc.report.trials import trials
from wbc.tracking.active import log_assessment, open_assessment

CONTENTS: Final = frozenset({"report.html", "report.tex", "report.pdf", "tables", "figures", "cells.csv", NAME})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that an answer rests on."""

    slides: Slides
    known: Known
    """Without a lab that the slides are of."""
    models: list[Model]
    """The best on the known labs first: the answer is about it."""
    labs: list[Lab]
    tried: pd.DataFrame
    """The estimators on the known labs."""
    between: float
    """The share of cells on which two models agree; nan for one."""
    truth: Truth | None
    merits: dict[str, Merits]
    """By model, where cells have labels."""
    warnings: tuple[str, ...]


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
    folder = checked_folder(Path(options.output or f"reports/assess_{slides.name}"), CONTENTS)
    with signals_exit():
        known = read_known(options)
        checkpoints = fetch_all(known)
        geometries = list({cropped_geometry(each.config, options.crop): None for each in checkpoints.values()})
        with decoded(slides, geometries) as cells:
            known, warnings = _apart(known, cells)
            answers = ask(known, checkpoints, cells, options.crop, options.device)
            evidence = _weigh(known, cells, answers, options.error, warnings)
        verdict = _answer(evidence, options.error)
        seconds = time.perf_counter() - began
        with replacing(folder) as part, figure_style():
            page = _compose(evidence, verdict, options, seconds)
            write_figures(page, part)
            (part / "report.html").write_text(render(page, part, cells=True), encoding="utf-8")
            no_pdf = write_pdf(page, part)
            _cells_table(evidence, verdict).to_csv(part / "cells.csv", index=False, float_format="%.4f")
            write_sheet(evidence.slides, evidence.models[0].chosen.scores, part / NAME)
            keep_filled(folder / NAME, part / NAME)
            bare = render(page, part, cells=options.keep_cells)
        if no_pdf:
            _log.warning(no_pdf)
        kept = [folder / name for name in ("cells.csv", NAME)] if options.keep_cells else []
        with open_assessment(slides.name, _settings(options, evidence)) as run_id:
            log_assessment(bare, kept, _metrics(evidence, verdict), _note(page))
    return "\n".join(
        [
            f"{slides.title}: {verdict.headline}.",
            *(f"  {each}" for each in verdict.sentences),
            f"  page {folder / 'report.html'}",
            f"  run {run_id[:8]}, {seconds:.0f} s",
        ]
    )


def _apart(known: Known, cells: Decoded) -> tuple[Known, tuple[str, ...]]:
    """Returns what is known without a lab that the slides are of, and warnings of images that are known already."""
    warnings, total = [], len(cells.sha256)
    trained = shared(training_splits(known), cells.sha256)
    if trained:
        among = sum(trained.values())
        warnings.append(
            f"{among} of {total} cells are images that the models were trained on: the answer flatters them."
        )
    for name, both in shared([each.name for each in known.away], cells.sha256).items():
        if is_same_lab(name, both):
            known = known.without(name)
            warnings.append(f"{both} of {total} cells are images of {name}: this lab is not among the known labs here.")
    return known, tuple(warnings)


def _weigh(known: Known, cells: Decoded, answers: list[Answers], error: float, warnings: tuple[str, ...]) -> Evidence:
    tried = trials(known.runs, known.domains)
    found, truth = models(known, answers, tried), find_truth(cells.slides)
    given = {each.name: merits(each.chosen, truth, known.home_of(each.chosen.run), error) for each in found if truth}
    return Evidence(
        slides=cells.slides,
        known=known,
        models=found,
        labs=place(known, found[0].chosen, cells.looks),
        tried=tried,
        between=between_models(found),
        truth=truth,
        merits=given,
        warnings=warnings,
    )


def _answer(evidence: Evidence, error: float) -> Verdict:
    first, truth = evidence.models[0], evidence.truth
    if truth is not None and len(truth.fair) >= LEAST_LABELLED:
        return with_labels(first, evidence.merits[first.name], error, evidence.merits)
    labelled = 0 if truth is None else len(truth.rows)
    return without_labels(evidence.models, evidence.between, len(evidence.slides.cells), labelled, error)


def _compose(evidence: Evidence, verdict: Verdict, options: AssessConfig, seconds: float) -> Assessment:
    slides, first = evidence.slides, evidence.models[0]
    stray = [name for name, what, _ in slides.taken_for if what.startswith("no class")]
    runs = [each.run.stored.id[:8] for model in evidence.models for each in model.answers]
    return Assessment(
        title=f"Would it work on {slides.title}? {len(slides.cells)} cells, {len(runs)} runs of {len(evidence.models)} "
        f"model{'s' * (len(evidence.models) != 1)}",
        verdict=verdict,
        warnings=evidence.warnings,
        parts=tuple(_parts(evidence, options.error)),
        tiles=tuple(tiles(evidence.models, slides, evidence.truth)),
        taken_for=slides.taken_for,
        left_out=counted(slides.left_out),
        how_to_map=how_to_map(stray) if stray else "",
        rules=rules(options.error),
        next_steps=tuple(_next_steps(evidence, verdict)),
        about={
            "runs": f"{', '.join(runs)}, of study {evidence.known.study}",
            "the answer is about": f"run {first.chosen.run.stored.id} ({first.name}), the model that is best on the "
            "known "
            "labs, in the run closest to its mean",
            "known labs": ", ".join(each.name for each in evidence.known.domains) or "none",
            "time": f"{seconds:.0f} s",
        },
    )


def _parts(evidence: Evidence, error: float) -> list[Part]:
    first, truth = evidence.models[0], evidence.truth
    labels = truth.labels if truth else None
    found = []
    if truth is not None:
        own = evidence.merits[first.name]
        home = evidence.known.home_of(first.chosen.run)
        at_home = first.chosen.run.metrics[home.name] if home else None
        more = tables.more_table(first.name, own)
        found += [
            Part(
                title="How right the models are",
                words=f"{len(truth.rows)} of {len(evidence.slides.cells)} cells have a label.",
                plots=(figures.right_and_sure(first, truth, own, error),),
                tables=(tables.models_table(evidence.models, evidence.merits),),
            ),
            Part(
                title="Which cells it finds",
                words="A class that it loses makes a differential count wrong, however high the accuracy.",
                plots=(figures.confusion(own.metrics.confusion, first.name),),
                tables=(tables.recall_table(first.name, own, at_home), *((more,) if more else ())),
            ),
        ]
    expected = figures.expected_accuracy(evidence.tried, first)
    sides = figures.lab_map(evidence.labs, first.name)
    found += [
        Part(
            title="What is to be expected without labels",
            words=_agreement_words(evidence),
            plots=(expected,) if expected else (),
            tables=(expected_table(evidence.models, evidence.tried),),
            printed=truth is None,
        ),
        Part(
            title="How far your slides are",
            words="The further your slides lie from home, the less of what a model learned can be relied on.",
            plots=(sides,) if sides else (),
            tables=(tables.labs_table(evidence.labs),),
        ),
        Part(
            title="What the models count",
            words="The share of your cells that each model calls each class.",
            plots=(figures.counts(evidence.models, labels),),
            tables=(counts_table(evidence.models, tuple(cell.slide for cell in evidence.slides.cells), labels),),
        ),
    ]
    return found


def _agreement_words(evidence: Evidence) -> str:
    if np.isnan(evidence.between):
        return "One model answers, so no agreement between models is known."
    most = 50 * (1 + evidence.between)
    return (
        f"{len(evidence.models)} models agree on {100 * evidence.between:.0f} % of the cells, the mean over pairs. "
        "Where two "
        f"differ, at most one is right: on average they are right on {most:.0f} % at most."
    )


def _next_steps(evidence: Evidence, verdict: Verdict) -> list[tuple[str, str]]:
    run = evidence.models[0].chosen.run.stored.id
    steps = []
    if verdict.referred is not None and verdict.threshold is not None:
        threshold = f' ARGS="--threshold {verdict.threshold:.4f}"'
        steps.append(
            ("Take the model along, with the threshold found here:", f"make export RUN_ID={run[:8]}{threshold}")
        )
    steps.append(
        (
            f"Label cells in the order of {NAME}: the first are drawn at random. Save it under another name, and "
            "assess "
            "that file:",
            "make assess " + typed("SLIDES", "labelled.csv"),
        )
    )
    few = [name for name, (_, n, _, _) in zip(CLASSES, _recall(evidence), strict=True) if n < 10]
    advice = advise(evidence.known, evidence.models[0].arm)
    if advice:
        words = (
            f"Try {advice.title}: on {advice.labs} known labs it raised balanced accuracy by "
            f"{100 * advice.gain:.0f} points "
            f"on average, and by {100 * advice.least:.0f} at least. On class folders this scores it:"
        )
        steps.append((words, f'make evaluate RUN_ID={run[:8]} TARGETS="folder:..." ADAPT={advice.adaptation}'))
    if evidence.truth is not None and few:
        steps.append((f"Add cells of {', '.join(few)}: ten labelled cells of a class are the least.", ""))
    return steps


def _recall(evidence: Evidence) -> tuple[tuple[int, int, float, float], ...]:
    name = evidence.models[0].name
    return evidence.merits[name].recall if name in evidence.merits else tuple((0, 0, 0.0, 1.0) for _ in CLASSES)


def _cells_table(evidence: Evidence, verdict: Verdict) -> pd.DataFrame:
    """Returns a row for each cell: what the chosen run says, how sure it is, and whether it needs a second look."""
    chosen = evidence.models[0].chosen
    calibrated = chosen.calibrated
    cells = evidence.slides.cells
    table = pd.DataFrame(
        {
            "path": [cell.id for cell in cells],
            "slide": [cell.slide for cell in cells],
            "label": [CLASSES[cell.label] if cell.label >= 0 else "" for cell in cells],
            "says": [CLASSES[each] for each in calibrated.argmax(1)],
            "probability": calibrated.max(1),
        }
    )
    threshold = np.inf if verdict.threshold is None else verdict.threshold
    table["second_look"] = np.where(calibrated.max(1) < threshold, "yes", "no")
    return table.assign(**{name: calibrated[:, place] for place, name in enumerate(CLASSES)})


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
    if verdict.referred is not None:
        found["referred"] = verdict.referred
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _note(page: Assessment) -> str:
    return "\n\n".join([f"**{page.verdict.headline}.**", *page.verdict.sentences])
