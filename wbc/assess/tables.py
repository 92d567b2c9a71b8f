"""The tables of the page: models side by side, labs, and what the labels show of the chosen model."""

from typing import Final

import numpy as np
import pandas as pd

from wbc.assess.labelled import Merits
from wbc.assess.labs import Lab
from wbc.assess.unlabelled import Model
from wbc.cells import CLASSES
from wbc.evaluation.conformal import MISSED
from wbc.evaluation.metrics import Metrics
from wbc.methods.adapt_scores import DRAWS
from wbc.models.seen import is_seen, marked, meaning
from wbc.report.render import NOTHING, Cell, Table, cells
from wbc.words import number_of

_MERITS: Final = ("accuracy", "balanced", "macro F1", "confidence error", "AUGRC", "may be signed", "at prevalence")


def models_table(models: list[Model], merits: dict[str, Merits]) -> Table:
    """Returns the models by their accuracy on the labelled cells."""
    rows, data = [], []
    for model in models:
        found = merits[model.name]
        seeds = len(model.answers)
        rows.append(
            (
                Cell(text=model.name, second=f"run {model.chosen.run.stored.id[:8]}, {number_of(seeds, 'seed')}"),
                _interval(found.metrics.accuracy, found.accuracy),
                _interval(found.metrics.balanced_accuracy, found.balanced),
                _cell(found.metrics.macro_f1),
                Cell(text=_percent(found.ece[0]), second=f"{_percent(found.ece[1])} at home's temperature"),
                Cell(text=f"{100 * found.augrc:.1f}", sort=found.augrc),
                Cell(text=_percent(found.signed.coverage), second=f"{_percent(found.hoped.coverage)} without a bound"),
                _cell(found.prevalence),
            )
        )
        data.append({"model": model.name, **_data(found)})
    n, effect = merits[models[0].name].metrics.images, merits[models[0].name].effect
    return Table(
        name="models",
        title="How right each model is, in %",
        note=(
            f"Of {n} labelled cells, by the run of each model that is closest to its mean on the known labs. Below: "
            "95 % intervals, over slides or patients where they are named. Confidence error: how far confidence lies "
            "from accuracy, in points (ECE). AUGRC: mistakes that confidence lets through; 0 is best. May be signed: "
            "the share of cells with the accepted error kept at 95 % confidence. At prevalence: for 62 % neutrophils, "
            "30 % lymphocytes, 5 % monocytes, 2 % eosinophils, 0.4 % basophils. "
            f"Slides blow up the variance by {effect:.1f}."
        ),
        header=("model", *_MERITS),
        groups=(tuple(rows),),
        left=1,
        data=pd.DataFrame(data),
    )


def recall_table(model: str, found: Merits, home: Metrics | None) -> Table:
    """Returns of each class how many labelled cells are found, with exact limits, beside home."""
    rows, data = [], []
    for label, (name, (right, total, low, high)) in enumerate(zip(CLASSES, found.recall, strict=True)):
        share = right / total if total else float("nan")
        at_home = home.recall[label] if home else float("nan")
        rows.append(
            cells(
                name,
                str(total),
                str(right),
                Cell(text=_percent(share), second=f"{_percent(low)} to {_percent(high)}" if total else "", sort=share),
                _cell(at_home),
                _cell(found.metrics.precision[label]),
            )
        )
        data.append({"class": name, "cells": total, "right": right, "low": low, "high": high, "home": at_home})
    return Table(
        name="recall",
        title=f"Which cells {model} finds, in %",
        note="All labelled cells. Below each share its exact 95 % limits (Clopper and Pearson). At home: in the lab "
        "that "
        "it learned from. Precision: of cells that it calls so, how many are.",
        header=("class", "labelled", "found", "found in %", "at home", "precision"),
        groups=(tuple(rows),),
        left=1,
        data=pd.DataFrame(data),
    )


def more_table(model: str, found: Merits) -> Table | None:
    """Returns what conformal sets, counts by slide and a few labels more come to; None where there is nothing."""
    rows = []
    if found.sets:
        for where, (covered, size) in zip(("at home", "here"), found.sets, strict=True):
            what = f"sets of classes that promise {100 - 100 * MISSED:.0f} %, {where}"
            rows.append(
                cells(what, f"the right class is in {_percent(covered)} % of them; {size:.2f} classes on average")
            )
    for name, each in found.counted.items():
        found_at, slope = each.agreement, each.slope
        said = f"bias {100 * found_at.bias:+.1f} points, limits {100 * found_at.low:+.1f} to {100 * found_at.high:+.1f}"
        said += f"; slope {slope[0]:.2f} ({slope[1]:.2f} to {slope[2]:.2f})" if slope else ""
        said += f"; within the noise of counting on {each.within} of {found_at.slides} slides"
        rows.append(cells(f"count of {name}, slide by slide", said))
    for k, (value, n) in found.learned.items():
        said = f"{_percent(value)} % balanced over classes on your {n} other cells (mean of {DRAWS} draws)"
        rows.append(cells(f"a last layer that learned from {k} of your cells of each class", said))
    if not rows:
        return None
    return Table(
        name="more",
        title=f"What more the labels show of {model}",
        note="Sets: Sadinle 2019; the promise holds at home and breaks with the lab. Bias and limits of agreement: "
        "Bland and Altman 1986. Slope: Passing and Bablok 1983, with its 95 % limits. Noise of counting: Rümke. A last "
        "layer: a logistic regression on what the network makes of a cell; cells it learned from are not scored.",
        header=("what", "found"),
        groups=(tuple(rows),),
        left=2,
        wide=1,
        data=pd.DataFrame([{"what": row[0].text, "found": row[1].text} for row in rows]),
    )


def labs_table(labs: list[Lab], model: str, seen: tuple[str, ...]) -> Table:
    """Returns how far each known lab and the slides lie from home; labs of domains that the model has `seen` marked."""
    rows = []
    mark = f" {meaning(model)}" if any(is_seen(lab.name, seen) for lab in labs) else ""
    for lab in labs:
        parts = lab.distance.parts if lab.distance else {}
        told = lab.distance.told_apart if lab.distance else float("nan")
        rows.append(
            cells(
                Cell(text=marked(lab.name, seen), bold=lab is labs[-1]),
                str(lab.images),
                *(_number(parts.get(name)) for name in ("colour", "sharpness", "size")),
                _number(told),
                _number(lab.embedded),
                _cell(float("nan") if lab.accuracy is None else lab.accuracy),
                _cell(float("nan") if lab.balanced is None else lab.balanced),
            )
        )
    return Table(
        name="labs",
        title="How far your slides are from what the model knows",
        note=(
            "Colour, sharpness and size of the cell in its image: how far the means lie apart, in standard "
            "deviations of a "
            "cell at home. Told apart: a classifier of labs, 0.5 cannot tell, 1 always can. Model: how far it sees "
            "the cells "
            "from home's, class by class; 1 is like home. Accuracy in %."
            f"{mark}"
        ),
        header=("lab", "cells", "colour", "sharpness", "size", "told apart", "model", "accuracy", "balanced"),
        groups=(tuple(rows),),
        left=1,
        data=pd.DataFrame([{"lab": row[0].text} | {str(i): cell.text for i, cell in enumerate(row)} for row in rows]),
    )


def _data(found: Merits) -> dict[str, float]:
    metrics = found.metrics
    return {
        "cells": metrics.images,
        "accuracy": metrics.accuracy,
        "accuracy_low": found.accuracy[0],
        "accuracy_high": found.accuracy[1],
        "balanced_accuracy": metrics.balanced_accuracy,
        "macro_f1": metrics.macro_f1,
        "ece": found.ece[0],
        "ece_at_home_temperature": found.ece[1],
        "augrc": found.augrc,
        "signed": found.signed.coverage,
        "signed_error": found.signed.error,
        "signed_error_bound": found.signed.bound,
        "threshold": found.signed.threshold,
        "accuracy_at_prevalence": found.prevalence,
        "design_effect": found.effect,
    }


def _interval(value: float, limits: tuple[float, float]) -> Cell:
    return Cell(text=f"{100 * value:.1f}", second=f"{100 * limits[0]:.1f} to {100 * limits[1]:.1f}", sort=value)


def _cell(value: float) -> Cell:
    return Cell(text=_percent(value), sort=None if np.isnan(value) else value)


def _number(value: float | None) -> Cell:
    return Cell(text=NOTHING if value is None or np.isnan(value) else f"{value:.2f}")


def _percent(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{100 * value:.0f}"
