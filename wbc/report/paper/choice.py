"""Which methods the source would choose, without a look at another lab, and which the labs would have chosen."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from wbc.arms import PLAIN, Arm
from wbc.data.corrupt import SUFFIX
from wbc.errors import ConfigError
from wbc.methods.catalog import METHODS, find_method
from wbc.report.names import method_name
from wbc.report.paper.home_away import signed
from wbc.report.parts import Absent
from wbc.report.render import NOTHING, Cell, Table, cells, percent
from wbc.report.study import ScoredDomain, Study, reproduce_command, typed

CHOSEN: Final = 3
"""How many methods are joined."""
Score = Callable[[str], float | None]
"""A method's score, in [0, 1]: the mean over models; None where a model has none."""


def choice(study: Study) -> Table | Absent | None:
    """Returns the methods by the source's own score, those it chooses, and what the labs would have chosen.

    None where there are no two methods beside plain training.
    """
    single = [name for name in methods(study) if "+" not in name]
    if len(single) < 3 or PLAIN not in single:
        return None
    if not held(study):
        return Absent(name="choice of methods", why="no images were held out of training: set validation = 0.2")
    by_source, clean, away = (scorer(study, domains) for domains in (held(study), held(study, clean=True), labs(study)))
    ranked = sorted(single, key=lambda name: -(by_source(name) or 0.0))
    mine, oracle = chosen(single, by_source), chosen(single, away)
    joined = [name for name in methods(study) if "+" in name]
    rows = [
        tuple(_row(name, by_source, clean, away, mine, oracle) for name in names) for names in (ranked, joined) if names
    ]
    return Table(
        name="choice",
        title="Methods by the score that the source alone gives them, in %",
        note=(
            "Balanced accuracy, the mean over models, seeds and, away, labs. The source ranks by images that were held "
            "out of training and corrupted: cast, blur, brightness and scale (wbc/data/corrupt.py). It takes the best "
            f"{CHOSEN} that beat {method_name(PLAIN)} and combine. "
            "Oracle: the same by the labs' scores, which nobody has before. "
            "Corrupted images are like those that colour jitter, colour mixing and random view train on. "
            f"{advice(study)}"
        ),
        header=("method", "chosen by", "held out, corrupted", "difference", "held out", "away", "difference"),
        groups=tuple(rows),
        left=2,
        data=pd.DataFrame(
            [
                {"method": name, "held_out_corrupted": by_source(name), "held_out": clean(name), "away": away(name)}
                | {"source": name in mine, "oracle": name in oracle}
                for name in [*ranked, *joined]
            ]
        ),
    )


def advice(study: Study) -> str:
    """Returns what the source chooses, what the labs would have, and the command that trains the choice."""
    single = [name for name in methods(study) if "+" not in name]
    if len(single) < 3 or PLAIN not in single or not held(study):
        return ""
    mine, oracle = (chosen(single, scorer(study, domains)) for domains in (held(study), labs(study)))
    if not mine:
        return f"By the source's score no method beats {method_name(PLAIN)}."
    name = "+".join(mine)
    told = (
        f"The source chooses {method_name(name)}; the labs would have chosen {method_name('+'.join(oracle) or PLAIN)}."
    )
    if len(mine) == 1 or name in methods(study):
        return told
    command = reproduce_command(replace(study.options, methods=name))
    return (
        f"{told} {command} trains the choice; make report {typed('PROFILE', study.options.profile)} then shows it too."
    )


def methods(study: Study) -> list[str]:
    """Returns the study's methods that are rows, or rows joined, in the order of its arms."""
    named = dict.fromkeys(arm.method for arm in study.arms)
    return [name for name in named if all(part in METHODS for part in name.split("+"))]


def held(study: Study, *, clean: bool = False) -> list[ScoredDomain]:
    """Returns the images that were held out of training: corrupted, or as they are."""
    corrupted = [domain for domain in study.domains if domain.home and domain.name.endswith(SUFFIX)]
    names = {domain.name.removesuffix(SUFFIX) for domain in corrupted}
    return [domain for domain in study.domains if domain.name in names] if clean else corrupted


def labs(study: Study) -> list[ScoredDomain]:
    """Returns the labs away."""
    return [domain for domain in study.domains if not domain.home]


def scorer(study: Study, domains: Iterable[ScoredDomain]) -> Score:
    """Returns what gives a method's balanced accuracy on domains: the mean over models, domains and seeds."""
    names = [domain.name for domain in domains]
    models = list(dict.fromkeys((arm.model, arm.sources) for arm in study.arms if arm.method == PLAIN))

    def mean(method: str) -> float | None:
        means = []
        for model, sources in models:
            arm = Arm(model, method, sources)
            found = [[run.metrics[name].balanced_accuracy for run in study.of(arm, name)] for name in names]
            if not any(found):
                return None
            means.append(np.mean([np.mean(values) for values in found if values]))
        return float(np.mean(means)) if means else None

    return mean


def chosen(names: Sequence[str], score: Score) -> list[str]:
    """Returns the best methods that beat plain training and combine, at most three, in the catalogue's order."""
    least = score(PLAIN)
    better = [name for name in names if name != PLAIN and least is not None and (score(name) or 0.0) > least]
    taken: list[str] = []
    for name in sorted(better, key=lambda name: -(score(name) or 0.0)):
        joined = sorted([*taken, name], key=list(METHODS).index)
        with suppress(ConfigError):
            find_method("+".join(joined))
            taken = joined
        if len(taken) == CHOSEN:
            break
    return taken


def _row(
    name: str, by_source: Score, clean: Score, away: Score, mine: Sequence[str], oracle: Sequence[str]
) -> tuple[Cell, ...]:
    by = [word for word, names in (("source", mine), ("oracle", oracle)) if name in names]
    shown = [
        _share(by_source(name)),
        _gain(by_source, name),
        _share(clean(name)),
        _share(away(name)),
        _gain(away, name),
    ]
    return cells(Cell(text=method_name(name), bold="source" in by), ", ".join(by), *shown)


def _share(value: float | None) -> Cell:
    return Cell(text="missing") if value is None else Cell(text=percent(value), sort=value)


def _gain(score: Score, name: str) -> Cell:
    value, least = score(name), score(PLAIN)
    if value is None or least is None or name == PLAIN:
        return Cell(text=NOTHING)
    return Cell(text=signed(100 * (value - least)), sort=value - least)
