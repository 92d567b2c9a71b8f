"""What the catalogue knows of a study's domains: their rows, which are drawn, what their readers must know."""

from wbc.data.catalog import DOMAINS
from wbc.data.domain import Domain
from wbc.data.splits import Split, parse_source
from wbc.report.study import Study


def domain_of(name: str) -> Domain | None:
    """Returns the catalogue's row that a split's name is of; None for a user's folder."""
    for domain in DOMAINS.values():
        if name in {Split(domain.key, split).name for split in domain.splits}:
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
