"""What the catalogue knows of a study's domains: their rows, which are drawn, what their readers must know."""

from typing import Final

from wbc.data.catalog import DOMAINS
from wbc.data.domain import Domain
from wbc.data.splits import Split, parse_source
from wbc.report.study import Study

HELD_OUT: Final = "_validation"
"""Ends the name of images that were held out of a split that is trained on."""


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
