"""The mark in every table where a model is scored on a domain whose images its weights have seen before."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from wbc.arms import Arm
from wbc.models.catalog import images_seen
from wbc.report.names import spoken
from wbc.report.render import Cell, Table
from wbc.report.study import Study, describe_arm

MARK: Final = "‡"


def mark_seen(study: Study, table: Table) -> Table:
    """Returns the table with a mark where a model meets a domain that it has seen, and a note that says so.

    Models are known by the names that commands or people give them. A row is of the domain that it names; else each
    column is of its heading's domain; else the table is of its title's, and the model's name takes the mark. CSV files
    stay as they are.
    """
    seen = {arm: domains for arm in study.arms if (domains := _seen(study, arm))}
    if not seen:
        return table
    arms = {name: arm for arm in study.arms for name in (spoken(study, arm), study.label(arm))}
    names = [domain.name for domain in study.domains]
    columns = [_named(heading, names, start="^") for heading in table.header]
    title = _named(table.title, names, start=" on ")
    met: dict[str, list[str]] = {}

    def marked(row: tuple[Cell, ...]) -> tuple[Cell, ...]:
        models = [_of(cell, arms) for cell in row]
        places = [cell.text if cell.text in names else column for cell, column in zip(row, columns, strict=True)]
        if not any(places):
            places = [title if model else "" for model in models]
        cells = []
        for cell, model, domain in zip(row, models, places, strict=True):
            hits = [arm for arm in ([model] if model else models) if arm and domain in seen.get(arm, ())]
            for arm in hits:
                met.setdefault(study.label(arm), []).append(domain)
            cells.append(replace(cell, text=f"{cell.text}{MARK}") if hits else cell)
        return tuple(cells)

    groups = tuple(tuple(map(marked, group)) for group in table.groups)
    told = "; ".join(f"{name}: {', '.join(dict.fromkeys(domains))}" for name, domains in met.items())
    note = f"{table.note} {MARK} The model's weights have seen images of this lab before ({told})."
    return replace(table, groups=groups, note=note) if met else table


def _of(cell: Cell, arms: Mapping[str, Arm]) -> Arm | None:
    return arms.get(cell.second) or arms.get(cell.text)


def _named(text: str, names: Collection[str], *, start: str) -> str:
    """Returns the domain that a heading or title names after `start`, empty if it names none."""
    return next((name for name in names if re.search(rf"{start}{re.escape(name)}( \(n = |[,:]| by |$)", text)), "")


def _seen(study: Study, arm: Arm) -> tuple[str, ...]:
    """Returns the names of the study's domains that an arm's weights have seen, by its row or by their file's name."""
    keys = {*describe_arm(arm).seen, *images_seen(str(study.settings.get("pretrained", "")))}
    return tuple(each.name for each in study.domains if any(f"{each.name}_".startswith(f"{key}_") for key in keys))
