"""Evidence that needs no label: what accuracy is to be expected, how far runs agree, and what they count."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float

from wbc.arms import Arm
from wbc.assess.predict import Answers
from wbc.assess.runs import Known
from wbc.cells import ABBREVIATIONS, CLASSES
from wbc.evaluation.counts import class_shares, counting_limits
from wbc.evaluation.expected import agreement
from wbc.evaluation.metrics import LEAST_CLASSES
from wbc.report.render import NOTHING, Cell, Table, cells
from wbc.report.trials import ESTIMATORS, Range, expect, within

TRUSTED: Final = ("ATC", "DoC")
"""The estimators that a verdict rests on; agreement needs several seeds."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What the runs of one model say of the slides."""

    arm: Arm
    name: str
    answers: tuple[Answers, ...]
    chosen: Answers
    """The run that stands for it."""
    expected: dict[str, Range]
    """By estimator, the mean over seeds and the errors of the known labs."""
    agree: float
    """Between its seeds; nan for one."""

    @property
    def said(self) -> Float[np.ndarray, "5"]:
        """The share of cells that the chosen run calls each class."""
        return class_shares(self.chosen.scores.argmax(1))

    @property
    def collapsed(self) -> bool:
        """Whether the chosen run names fewer than three classes."""
        return int((self.said > 0).sum()) < LEAST_CLASSES


def models(known: Known, answers: list[Answers], tried: pd.DataFrame) -> list[Model]:
    """Returns the models in the order of `known.arms`, the best on the known labs first."""
    found = []
    for arm in known.arms:
        own = tuple(each for each in answers if each.run.arm == arm)
        chosen = known.representative(arm)
        found.append(
            Model(
                arm=arm,
                name=arm.name if len({each.sources for each in known.arms}) == 1 else arm.full_name,
                answers=own,
                chosen=next(each for each in own if each.run is chosen),
                expected=_expected(known, own, tried),
                agree=agreement([each.scores for each in own]),
            )
        )
    return found


def _expected(known: Known, own: tuple[Answers, ...], tried: pd.DataFrame) -> dict[str, Range]:
    found: dict[str, list[float]] = {}
    for each in own:
        if home := known.home_of(each.run):
            said = expect(home.labels, each.run.scores[home.name], each.scores, [other.scores for other in own])
            for name, value in said.items():
                found.setdefault(name, []).append(value)
    return {name: within(name, float(np.mean(values)), tried) for name, values in found.items()}


def between_models(found: list[Model]) -> float:
    """Returns the share of cells on which two models agree, the mean over pairs of their chosen runs; nan for one."""
    return agreement([each.chosen.scores for each in found])


def expected_table(found: list[Model], tried: pd.DataFrame) -> Table:
    """Returns the accuracy to be expected of each model, by estimator, with the range of its known errors."""
    rows, data = [], []
    for model in found:
        for name, value in model.expected.items():
            rows.append(cells(model.name, name, *_range(value), str(value.tried), _share(model.agree)))
            data.append({"model": model.name, "estimator": name, **vars(value)})
    labs = len(tried["lab"].unique())
    return Table(
        name="expected",
        title="Accuracy to be expected without labels, in %",
        note=(
            " ".join(f"{name}: {what}." for name, what in ESTIMATORS.items())
            + f" Range: where the true accuracy lies if an estimator errs no more than on {labs} known labs, "
            "where the labels are known. Tried: pairs of a run and a lab. Seeds agree: share of your cells."
        ),
        header=("model", "estimator", "expected", "from", "to", "tried", "seeds agree"),
        groups=(tuple(rows),) if rows else (),
        left=2,
        data=pd.DataFrame(data),
    )


def counts_table(found: list[Model], labels: np.ndarray | None) -> Table:
    """Returns the differential count of each model, and of the labels, with the limits of counting."""
    rows = [_count_row(model.name, model.chosen.scores.argmax(1)) for model in found]
    if labels is not None:
        rows.insert(0, _count_row("the labels", labels[labels >= 0]))
    return _counts("counts", "Differential count, in %", "counted by", rows)


def slides_table(model: Model, slide_of: tuple[str, ...]) -> Table | None:
    """Returns the differential count of a model slide by slide; None where there are not two."""
    names = sorted(set(slide_of) - {""})
    if len(names) < 2:
        return None
    said, member = model.chosen.scores.argmax(1), np.array(slide_of)
    rows = [_count_row(name, said[member == name]) for name in names]
    return _counts("slides", f"Differential count of {model.name} slide by slide, in %", "slide", rows)


def _counts(name: str, title: str, first: str, rows: list[tuple[Cell, ...]]) -> Table:
    data = [
        {first.replace(" ", "_"): row[0].text, "cells": int(row[1].text)}
        | {name: cell.sort for name, cell in zip(CLASSES, row[2:], strict=True)}
        for row in rows
    ]
    return Table(
        name=name,
        title=title,
        note=(
            "Below each share the 95 % limits of counting so many cells (Rümke; exact, binomial). They hold no mistake "
            "of a model."
        ),
        header=(first, "cells", *ABBREVIATIONS),
        groups=(tuple(rows),),
        left=1,
        data=pd.DataFrame(data),
    )


def _count_row(who: str, said: np.ndarray) -> tuple[Cell, ...]:
    shares = class_shares(said)
    low, high = 100 * counting_limits(shares, len(said))
    return (
        *cells(who, str(len(said))),
        *(
            Cell(text=f"{100 * share:.1f}", second=f"{a:.1f} to {b:.1f}", sort=float(share))
            for share, a, b in zip(shares, low, high, strict=True)
        ),
    )


def _range(value: Range) -> tuple[Cell, ...]:
    return tuple(Cell(text=_share(each), sort=each) for each in (value.expected, value.low, value.high))


def _share(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{100 * value:.0f}"
