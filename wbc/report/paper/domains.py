"""What the catalogue knows of a study's domains: rows, which are drawn, cautions, a table of their data sheets."""

from typing import Final

import pandas as pd

from wbc.data.catalog import DOMAINS
from wbc.data.domain import NOT_STATED, Domain
from wbc.data.splits import Split, parse_source
from wbc.report.render import Table, cells
from wbc.report.study import Study

HELD_OUT: Final = "_validation"
"""Ends the name of images that were held out of a split that is trained on."""

_SHEET: Final = {
    "site": "site",
    "patients": "patients",
    "stain": "stain",
    "microscope": "microscope",
    "camera": "camera",
    "magnification": "magnification",
    "labelled_by": "labelled by",
    "published": "published",
    "faults": "known faults",
}
"""Fields of a data sheet and their names in the table, in its order."""


def may_show(name: str) -> bool:
    """Returns whether a report may show a split's cells: its licence allows it, or it is a user's folder."""
    row = domain_of(name)
    return row.pictures if row else name.startswith("folder_")


def domain_of(name: str) -> Domain | None:
    """Returns the catalogue's row that a split's name is of, or what was held out of it; None for a user's folder."""
    name = name.removesuffix(HELD_OUT)
    for domain in DOMAINS.values():
        if name in {Split(domain.key, split).name for split in (*domain.splits, *domain.parts)}:
            return domain
    return None


def rows_of(study: Study) -> list[Domain]:
    """Returns the catalogue's rows of what a study trains on and of what it scores, each once."""
    sources = {parse_source(source).key for arm in study.arms for source in arm.sources}
    rows = [DOMAINS[key] for key in sorted(sources) if key in DOMAINS]
    scored = [row for domain in study.domains if (row := domain_of(domain.name))]
    return list({row.key: row for row in (*rows, *scored)}.values())


def drawn(study: Study) -> list[str]:
    """Returns the keys of the study's domains whose cells are drawings."""
    return [row.key for row in rows_of(study) if row.staining]


def cautions(study: Study) -> str:
    """Returns what a reader of the study's scores must know of its images; domains of one caution stand together."""
    keys: dict[str, list[str]] = {}
    for row in rows_of(study):
        if row.caution:
            keys.setdefault(row.caution, []).append(row.key)
    return "".join(f" {', '.join(names)}: {caution}" for caution, names in keys.items())


def data_sheets(study: Study) -> Table | None:
    """Returns what is known of how each lab's images came about, licence and citation; None for folders of users."""
    groups, data = [], []
    for row in rows_of(study):
        facts = {name: str(getattr(row.sheet, field)) for field, name in _SHEET.items()}
        lacking = [name for name, value in facts.items() if value == NOT_STATED]
        told = {name: value for name, value in facts.items() if value != NOT_STATED}
        told |= {"licence": row.licence, "citation": row.citation, "left out": row.dropped}
        told |= {NOT_STATED: ", ".join(lacking)} if lacking else {}
        groups.append(tuple(cells(row.key, name, value) for name, value in told.items()))
        data.append({"domain": row.key, **facts, "licence": row.licence, "citation": row.citation})
    if not groups:
        return None
    return Table(
        name="data_sheets",
        title="Data sheets: where the images are from",
        note="As the labs, their papers or those who quote them state it. The CSV has a row for each domain.",
        header=("domain", "", "as stated"),
        groups=tuple(groups),
        left=3,
        data=pd.DataFrame(data),
        appendix=True,
        wide=2,
    )
