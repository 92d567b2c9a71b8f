"""The answer: fit with a second look at x %, not fit, or not enough cells to tell; by rules that the page prints."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from wbc.assess.labelled import Merits
from wbc.assess.sheet import DRAWN, PAGE
from wbc.assess.unlabelled import TRUSTED, Model
from wbc.cells import CLASSES
from wbc.evaluation.signing import least_labelled

MOST_REFERRED: Final = 0.5
"""A model that leaves more than this share of cells to a second look is of no use."""
LEAST_LABELLED: Final = 30
"""With fewer labelled cells the answer rests on the evidence without labels."""
LEAST_OF_CLASS: Final = 10
"""A class with fewer labelled cells is not examined."""
LEAST_RECALL: Final = 0.5
"""A class of which surely less than this share is found is lost."""
LEAST_ACCURACY: Final = 0.75
"""Without labels: a model whose expected accuracy surely lies below it is not fit."""
LEAST_AGREEMENT: Final = 0.5
"""Without labels: where models agree on less, they are at most 75 % right on average."""
Answer = Literal["fit", "not fit", "not enough cells to tell"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer and what it rests on, in three sentences."""

    answer: Answer
    referred: float | None
    """The share of cells that needs a second look, where the answer is fit; in [0, 1]."""
    threshold: float | None
    """The calibrated probability below which a cell needs it."""
    sentences: tuple[str, str, str]

    @property
    def headline(self) -> str:
        """The answer in a few words."""
        if self.referred is None:
            return self.answer[0].upper() + self.answer[1:]
        return f"Fit with a second look at {100 * self.referred:.0f} % of the cells"


def rules(error: float) -> tuple[str, ...]:
    """Returns the rules by which the answer is given, in words."""
    accepted, half = f"{100 * error:g} %", f"{100 * MOST_REFERRED:.0f} %"
    return (
        f"With {LEAST_LABELLED} labelled cells or more, drawn at random, the labels decide. A cell is signed if the "
        "model "
        "is sure enough of it. All others get a second look.",
        f"Fit: at least {half} of the cells can be signed, and the upper 95 % limit of mistakes among them is at most "
        f"{accepted} (Geifman & El-Yaniv 2017).",
        f"Not fit: the lower 95 % limit of mistakes among the surest {half} lies above {accepted}. Or of a class "
        "surely "
        f"less than {100 * LEAST_RECALL:.0f} % is found (exact 95 % limit).",
        "Not enough cells to tell: neither holds.",
        f"Without labels, not fit: both estimators say with their largest known error that accuracy lies below "
        f"{100 * LEAST_ACCURACY:.0f} %. Or the models agree on less than {100 * LEAST_AGREEMENT:.0f} % of the "
        "cells. Or "
        "the model names fewer than three classes.",
        f"Without labels, fit: both say so of an accuracy above {100 - 100 * error:g} %. Else labels are needed.",
        f"A class with fewer than {LEAST_OF_CLASS} labelled cells is not examined.",
    )


def with_labels(model: Model, found: Merits, error: float, others: dict[str, Merits]) -> Verdict:
    """Returns the answer by the labels of at least `LEAST_LABELLED` cells; `others` has the further models' merits."""
    lost = [name for name, (_, n, _, high) in zip(CLASSES, found.recall, strict=True) if n and high < LEAST_RECALL]
    metrics, n = found.metrics, found.metrics.images
    low, high = found.accuracy
    first = (
        f"{model.name} is right on {_percent(metrics.accuracy)} of {n} labelled cells "
        f"(95 % interval {_percent(low)} to {_percent(high)}; balanced over classes "
        f"{_percent(metrics.balanced_accuracy)})."
    )
    few = [name for name, (_, count, _, _) in zip(CLASSES, found.recall, strict=True) if count < LEAST_OF_CLASS]
    third = _best_of(model, found, others) + (
        f"Not examined, with fewer than {LEAST_OF_CLASS} labelled cells: {', '.join(few)}."
        if few
        else "All five classes have enough labelled cells to be examined."
    )
    if lost:
        second = f"It loses {', '.join(_lost(found, name) for name in lost)}: a count of these cells would be wrong."
        return Verdict(answer="not fit", referred=None, threshold=None, sentences=(first, second, third))
    signed, half = found.signed, found.half
    if signed.coverage >= 1 - MOST_REFERRED:
        second = (
            f"Where it is surest, it may sign {signed.cells} of {n} cells: {_percent(signed.error)} of them are wrong, "
            f"with 95 % confidence at most {_percent(signed.bound)}."
        )
        return Verdict(
            answer="fit", referred=1 - signed.coverage, threshold=signed.threshold, sentences=(first, second, third)
        )
    second = (
        f"Even of the surest half, {half.cells} cells, {_percent(half.error)} are wrong (at least "
        f"{_percent(found.half_least)} with 95 % confidence), and {100 * error:g} % is accepted."
    )
    if found.half_least > error:
        return Verdict(answer="not fit", referred=None, threshold=None, sentences=(first, second, third))
    second = _undecided(found, error)
    return Verdict(answer="not enough cells to tell", referred=None, threshold=None, sentences=(first, second, third))


def without_labels(found: list[Model], between: float, cells: int, labelled: int, error: float) -> Verdict:
    """Returns the answer where fewer than `LEAST_LABELLED` cells have labels."""
    model = found[0]
    trusted = {name: model.expected[name] for name in TRUSTED if name in model.expected}
    ranges = list(trusted.values())
    labels = f"{labelled} of {cells} cells have a label" if labelled else f"None of {cells} cells has a label"
    expected = " and ".join(
        f"{_percent(value.expected)} by {name} ({_percent(value.low)} to {_percent(value.high)})"
        for name, value in trusted.items()
    )
    first = f"{labels}. Estimators expect {model.name} to be right on {expected}."
    if not expected:
        first = f"{labels}. What accuracy to expect of {model.name} is not known: it was scored nowhere."
    tried = ranges[0].tried if ranges else 0
    second = "No known lab tells how far these estimates err. "
    if tried:
        bias = 100 * float(np.mean([each.bias for each in ranges]))
        second = (
            f"The ranges hold the largest errors of {tried} trials on known labs, where the estimates were "
            f"{abs(bias):.0f} points too {'high' if bias >= 0 else 'low'} on average. "
        )
    if not np.isnan(between):
        second += f"{len(found)} models agree on {_percent(between)} of the cells (mean over pairs)."
    elif not np.isnan(model.agree):
        second += f"{len(model.answers)} seeds of it agree on {_percent(model.agree)} of the cells."
    third = f"Label the first {min(DRAWN, cells - labelled)} cells of {PAGE}, and assess again: then the labels decide."
    if cells < LEAST_LABELLED or labelled == cells:
        third = f"{LEAST_LABELLED} labelled cells, drawn at random, would decide: add cells, and assess again."
    answer: Answer = "not enough cells to tell"
    if model.collapsed:
        answer = "not fit"
        second = f"It names only {int((model.said > 0).sum())} of five classes. {second}"
    elif not np.isnan(between) and between < LEAST_AGREEMENT:
        answer = "not fit"
        second += f" So they are right on {_percent((1 + between) / 2)} at most, on average."
    elif ranges and tried and max(each.high for each in ranges) < LEAST_ACCURACY:
        answer = "not fit"
    elif ranges and tried and min(each.low for each in ranges) > 1 - error:
        return Verdict(answer="fit", referred=0.0, threshold=0.0, sentences=(first, second, third))
    return Verdict(answer=answer, referred=None, threshold=None, sentences=(first, second, third))


def _undecided(found: Merits, error: float) -> str:
    """Returns a sentence on the surest half, of which the labelled cells do not tell enough."""
    half = found.half
    limits = (
        f"Of the surest half, {half.cells} cells, {_percent(half.error)} are wrong: between "
        f"{_percent(found.half_least)} and {_percent(half.bound)} by the limits of 95 %"
    )
    if half.bound > error:
        return f"{limits}, so {100 * error:g} % is neither kept nor missed for sure."
    return f"{limits}; to find on the same cells how many may be signed takes at least {least_labelled(error)} of them."


def _best_of(model: Model, found: Merits, others: dict[str, Merits]) -> str:
    """Returns a sentence on the model that is best on these labels, where it is another one."""
    own = found.metrics.balanced_accuracy
    name = max(others, key=lambda each: others[each].metrics.balanced_accuracy, default=model.name)
    if name == model.name or others[name].metrics.balanced_accuracy <= own:
        return ""
    return (
        f"{name} does better here, {_percent(others[name].metrics.balanced_accuracy)} balanced, chosen with the "
        "labels in "
        "view. "
    )


def _lost(found: Merits, name: str) -> str:
    right, total, _, _ = found.recall[CLASSES.index(name)]
    return f"{name} ({right} of {total} found)"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if not np.isnan(share) else "–"
