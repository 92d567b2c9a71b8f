"""Puts the evidence on slides together as a page: its parts, what to do next, and a table of all cells."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from wbc.assess import figures, tables
from wbc.assess.adapted import Adapted, adapted_table, adapted_words
from wbc.assess.gallery import tiles
from wbc.assess.labelled import Merits, Truth
from wbc.assess.labs import Lab
from wbc.assess.names import how_to_map
from wbc.assess.options import AssessConfig
from wbc.assess.page import Assessment, Part
from wbc.assess.runs import Known
from wbc.assess.sheet import DRAWN, PAGE, again
from wbc.assess.slides import NO_CLASS, Slides, counted
from wbc.assess.unlabelled import Model, counts_table, expected_table, slides_table
from wbc.assess.verdict import LEAST_LABELLED, LEAST_OF_CLASS, Verdict, rules
from wbc.cells import CLASSES
from wbc.evaluation.signing import least_labelled
from wbc.words import number_of


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
    adapted: Adapted | None
    """None where no adaptation is advised."""
    warnings: tuple[str, ...]


def compose(evidence: Evidence, verdict: Verdict, options: AssessConfig, seconds: float) -> Assessment:
    """Returns the page."""
    slides, first = evidence.slides, evidence.models[0]
    stray = [name for name, what, _ in slides.taken_for if what == NO_CLASS]
    runs = [each.run.stored.id[:8] for model in evidence.models for each in model.answers]
    return Assessment(
        title=f"Would it work on {slides.title}? {number_of(len(slides.cells), 'cell')}, "
        f"{number_of(len(runs), 'run')} of {number_of(len(evidence.models), 'model')}",
        verdict=verdict,
        warnings=evidence.warnings,
        parts=tuple(_parts(evidence, options.error)),
        tiles=tuple(tiles(evidence.models, slides, evidence.truth)),
        taken_for=slides.taken_for,
        found=slides.found,
        left_out=counted(slides.left_out),
        how_to_map=how_to_map(stray) if stray else "",
        rules=rules(options.error),
        next_steps=tuple(_next_steps(evidence, verdict, options)),
        about={
            "runs": f"{', '.join(runs)}, of study {evidence.known.study}",
            "the answer is about": f"run {first.chosen.run.stored.id} ({first.name}), the model that is best on the "
            "known "
            "labs, in the run closest to its mean",
            "known labs": ", ".join(each.name for each in evidence.known.domains) or "none",
            "time": f"{seconds:.0f} s",
        },
    )


def _labelled_parts(evidence: Evidence, truth: Truth, error: float) -> list[Part]:
    first = evidence.models[0]
    own = evidence.merits[first.name]
    home = evidence.known.home_of(first.chosen.run)
    at_home = first.chosen.run.metrics[home.name] if home else None
    more = tables.more_table(first.name, own)
    return [
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


def _parts(evidence: Evidence, error: float) -> list[Part]:
    first, truth = evidence.models[0], evidence.truth
    found = _labelled_parts(evidence, truth, error) if truth is not None else []
    expected = figures.expected_accuracy(evidence.tried, first)
    by_slide = slides_table(first, tuple(cell.slide for cell in evidence.slides.cells))
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
            tables=(tables.labs_table(evidence.labs, first.name, evidence.known.seen(first.chosen.run)),),
        ),
        Part(
            title="What the models count",
            words="The share of your cells that each model calls each class.",
            plots=(figures.counts(evidence.models, truth.labels if truth else None),),
            tables=(counts_table(evidence.models, truth.labels if truth else None), *((by_slide,) if by_slide else ())),
        ),
        _adapted_part(evidence),
    ]
    return found


def _adapted_part(evidence: Evidence) -> Part:
    first, found = evidence.models[0], evidence.adapted
    title = "What an adaptation would change"
    if found is None:
        tried = any(run.adapted for run in evidence.known.of(first.arm))
        why = "none that was tried helped on every known lab" if tried else "this study tried none on the known labs"
        return Part(title=title, words=f"No adaptation is advised: {why}.", printed=False)
    table = adapted_table(found, first.chosen, first.expected, evidence.truth)
    tables = () if found.failed else (table,)
    return Part(title=title, words=adapted_words(found, first.chosen), tables=tables)


def _agreement_words(evidence: Evidence) -> str:
    if np.isnan(evidence.between):
        return "One model answers, so no agreement between models is known."
    most = 50 * (1 + evidence.between)
    return (
        f"{len(evidence.models)} models agree on {100 * evidence.between:.0f} % of the cells, the mean over pairs. "
        "Where two "
        f"differ, at most one is right: on average they are right on {most:.0f} % at most."
    )


def _next_steps(evidence: Evidence, verdict: Verdict, options: AssessConfig) -> list[tuple[str, str]]:
    run = evidence.models[0].chosen.run.stored.id
    steps = []
    if verdict.referred is not None and verdict.threshold is not None:
        threshold = f' ARGS="--threshold {verdict.threshold:.4f}"'
        steps.append(
            ("Take the model along, with the threshold found here:", f"make export RUN_ID={run[:8]}{threshold}")
        )
    lacking = sum(cell.label < 0 for cell in evidence.slides.cells)
    if lacking:
        steps.append((_label_words(lacking, evidence.truth, options.error), again(options)))
    elif verdict.answer == "not enough cells to tell":
        least = least_labelled(options.error)
        steps.append((f"Add labelled cells: the answer fit takes at least {least}, all of the surest half right.", ""))
    own = evidence.merits.get(evidence.models[0].name)
    if verdict.answer == "not fit" and own and own.learned:
        most = max(own.learned)
        steps.append((_learned_words(most, own.learned[most][0], own.metrics.balanced_accuracy), ""))
    few = [name for name, (_, n, _, _) in zip(CLASSES, _recall(evidence), strict=True) if n < LEAST_OF_CLASS]
    if evidence.truth is not None and few:
        steps.append((f"Add cells of {', '.join(few)}: ten labelled cells of a class are the least.", ""))
    return steps


def _label_words(lacking: int, truth: Truth | None, error: float) -> str:
    """Returns which cells to label, and how many tell what; `lacking` cells have no label."""
    have, least = 0 if truth is None else len(truth.fair), least_labelled(error)
    there = f"You have {have}" if have else "None is labelled so far"
    few = f", more than the {have + lacking} there are" if have + lacking < least else ""
    return (
        f"Open {PAGE}, label the cells it shows, and save. The first {min(DRAWN, lacking)} are drawn at random. "
        f"{there}. {LEAST_LABELLED} labelled cells are the least for an answer by labels, 100 tell the accuracy to "
        f"±10 points, 400 to ±5. The answer fit takes at least {least}, all of the surest half right{few}. Then "
        "assess what you saved:"
    )


def _learned_words(k: int, learned: float, plain: float) -> str:
    """Returns whether learning from the slides' own cells is worth it."""
    found = (
        f"A last layer that learned from up to {k} of your cells of each class comes to {100 * learned:.0f} %, "
        f"balanced over classes, against {100 * plain:.0f} % as the model is. "
    )
    return found + (
        "So train on your own labelled cells: 'Score or train on a folder' in docs/slides.md says how."
        if learned > plain
        else "So a few of your own cells do not help this model: try another."
    )


def _recall(evidence: Evidence) -> tuple[tuple[int, int, float, float], ...]:
    name = evidence.models[0].name
    return evidence.merits[name].recall if name in evidence.merits else tuple((0, 0, 0.0, 1.0) for _ in CLASSES)


def cells_table(evidence: Evidence, verdict: Verdict) -> pd.DataFrame:
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
    if evidence.adapted and not evidence.adapted.failed:
        table["adapted"] = [CLASSES[each] for each in evidence.adapted.scores.argmax(1)]
    table["second_look"] = np.where(calibrated.max(1) < threshold, "yes", "no")
    return table.assign(**{name: calibrated[:, place] for place, name in enumerate(CLASSES)})
