"""The mark in every table where a model is scored on a domain whose images its weights have seen before."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from wbc.arms import Arm
from wbc.models.catalog import seen_by
from wbc.models.seen import MARK, is_seen, marked
from wbc.report.names import in_sentence, network
from wbc.report.render import Cell, Table
from wbc.report.study import Study

_NOTE: Final = f"{MARK} The model's weights have seen images of this lab before"


class _Model(NamedTuple):
    """A model, and the domains that it has seen."""

    name: str
    keys: tuple[str, ...]


def keys_seen(study: Study, arm: Arm) -> tuple[str, ...]:
    """Returns the keys of the domains that an arm's weights have seen, by its model's row or by their file's name."""
    return seen_by(arm.model, str(study.settings.get("pretrained", "")))


def mark_seen(study: Study, table: Table) -> Table:
    """Returns the table with a mark where a model meets a domain that it has seen, and a note that says so.

    A row is of the domain that it names; else each
    column is of its heading's domain or lab; else the table is of its title's, and the model's name takes the mark. A
    title that names model and domain takes it itself. CSV files stay as they are.
    """
    keys = {arm: keys_seen(study, arm) for arm in study.arms}
    if not any(keys.values()):
        return table
    models = {name: _Model(network(arm), keys[arm]) for arm in study.arms for name in (study.label(arm), arm.model)}
    met: dict[str, list[str]] = {}
    places = _Places(study, table, tuple(key for of_arm in keys.values() for key in of_arm))
    groups = tuple(tuple(_row(row, models, places, met) for row in group) for group in table.groups)
    title = table.title
    for arm in study.arms:
        if f"{in_sentence(study, arm)} on {places.title} " in title and is_seen(places.title, keys[arm]):
            met.setdefault(network(arm), []).append(places.title)
            title = title.replace(f" on {places.title} ", f" on {marked(places.title, keys[arm])} ")
    told = "; ".join(f"{name}: {', '.join(dict.fromkeys(domains))}" for name, domains in met.items())
    return replace(table, groups=groups, title=title, note=f"{table.note} {_NOTE} ({told}).") if met else table


class _Places:
    """The domains and labs that a table names: in its title, in the heading of each column, in cells."""

    def __init__(self, study: Study, table: Table, keys: tuple[str, ...]) -> None:
        self.names = {*(domain.name for domain in study.domains), *keys}
        self.title = _named(table.title, self.names, start=" on ")
        self._columns = [_named(heading, self.names, start="^") for heading in table.header]

    def of(self, row: tuple[Cell, ...], models: list[_Model | None]) -> list[str]:
        """Returns the place that each cell of a row is of, empty where it is of none."""
        of = [cell.text if cell.text in self.names else column for cell, column in zip(row, self._columns, strict=True)]
        return of if any(of) else [self.title if model else "" for model in models]


def _row(
    row: tuple[Cell, ...], models: Mapping[str, _Model], places: _Places, met: dict[str, list[str]]
) -> tuple[Cell, ...]:
    """Returns a row with its marks, and adds to `met` which models meet what."""
    named = [models.get(cell.key) for cell in row]
    cells = []
    for cell, model, place in zip(row, named, places.of(row, named), strict=True):
        candidates = [model] if model else [each for each in named if each]
        hits = [each for each in candidates if place and is_seen(place, each.keys)]
        for each in hits:
            met.setdefault(each.name, []).append(place)
        cells.append(replace(cell, text=f"{cell.text}{MARK}") if hits else cell)
    return tuple(cells)


def _named(text: str, names: Collection[str], *, start: str) -> str:
    """Returns the domain that a heading or title names after `start`, empty if it names none."""
    return next((name for name in names if re.search(rf"{start}{re.escape(name)}( \(n = |[,:]| by |$)", text)), "")
