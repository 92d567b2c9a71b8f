"""Cells that a model is surest of and wrong on, and cells it is least sure of, as thumbnails.

They are read from the images prepared on this machine, where they are those that were scored. What a licence forbids to
hand on is never shown.
"""

import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import ImageOps

from wbc.cells import ABBREVIATIONS
from wbc.data.cache import Geometry
from wbc.data.catalog import find_domain
from wbc.data.decode import decode
from wbc.data.images import Listing, list_images
from wbc.data.prepare import image_root
from wbc.data.splits import expand_targets, split_named
from wbc.errors import DataError
from wbc.evaluation.selective import least_sure, surest_mistakes
from wbc.report.names import in_sentence
from wbc.report.paper.domains import HELD_OUT, domain_of, may_show
from wbc.report.paper.result import mean
from wbc.report.parts import Absent, Gallery, Tile
from wbc.report.study import ScoredDomain, ScoredRun, Study
from wbc.studies import find_study
from wbc.surroundings import data_dir

EACH: Final = 12
"""Thumbnails of a group; a domain has two groups."""
SIZE_PX: Final = 64
_QUALITY: Final = 80


@dataclass(frozen=True)
class _Cells:
    """The images of a split on this machine."""

    root: Path
    crop: float
    listing: Listing

    def thumbnail(self, row: int) -> bytes:
        """Returns the middle of an image as the networks see it, as JPEG.

        Raises:
            DataError: the file is another one, or damaged.
            OSError: it cannot be read.
        """
        image, sha256 = decode(self.root / self.listing.ids[row])
        if sha256 != self.listing.contents[row].partition("@")[0]:
            raise DataError("another image")
        small = Geometry("short_side", SIZE_PX, self.crop).apply(image)
        content = io.BytesIO()
        ImageOps.fit(small, (SIZE_PX, SIZE_PX)).save(content, "jpeg", quality=_QUALITY, optimize=True)
        return content.getvalue()


def galleries(study: Study) -> list[Gallery | Absent]:
    """Returns a gallery for each domain whose cells may be shown and are here, and why others have none."""
    domains = [domain for domain in study.domains if not domain.name.endswith(HELD_OUT)]
    shown = [(domain, _gallery(study, domain)) for domain in domains if may_show(domain.name)]
    found: list[Gallery | Absent] = [gallery for _, gallery in shown if gallery]
    hidden = [domain.name for domain in domains if not may_show(domain.name)]
    absent = [domain.name for domain, gallery in shown if not gallery]
    if hidden:
        licences = {row.key: row.licence.rstrip(".") for name in hidden if (row := domain_of(name))}
        words = "; ".join(f"{key}: {licence}" for key, licence in licences.items())
        found.append(_none(hidden, f"no licence lets a report hand these cells on ({words})"))
    if absent:
        found.append(_none(absent, "the images that were scored are not prepared on this machine, or have changed"))
    return found


def _none(names: Sequence[str], why: str) -> Absent:
    return Absent(name=f"gallery of cells of {', '.join(names)}", why=why)


def _gallery(study: Study, domain: ScoredDomain) -> Gallery | None:
    """Returns the gallery of the best arm's run that is closest to its mean; None where the images are not here."""
    means = {arm: value for arm in study.arms if (value := mean(study, arm, domain)) is not None}
    run = study.representative(max(means, key=lambda arm: means[arm]), domain.name)
    cells = _cells(study, run, domain) if run else None
    if not (run and cells):
        return None
    scores = run.scores[domain.name]
    mistakes, unsure = surest_mistakes(domain.labels, scores, EACH), least_sure(scores, EACH)
    with suppress(DataError, OSError):
        return Gallery(
            name=f"cells_{domain.name}",
            title=f"Cells of {domain.name}: the mistakes that a model is surest of, and the cells it is least sure of",
            note=_note(study, run, domain),
            groups=(
                (f"Surest of, and wrong: {len(mistakes)}", tuple(_tile(run, domain, cells, row) for row in mistakes)),
                (f"Least sure of: {len(unsure)}", tuple(_tile(run, domain, cells, row) for row in unsure)),
            ),
        )
    return None


def _cells(study: Study, run: ScoredRun, domain: ScoredDomain) -> _Cells | None:
    """Returns the images that a run was scored on; None where they are not here, or are others."""
    targets = expand_targets(",".join(find_study(study.options.profile).targets))
    split = split_named(domain.name, targets)
    if split is None:
        return None
    row = find_domain(split.key)
    with suppress(DataError, OSError):
        listing = list_images(split, data_dir=data_dir())
        logged = [each.digest for each in run.stored.datasets if each.name == domain.name]
        if listing and any(listing.digest.startswith(digest) for digest in logged):
            return _Cells(image_root(row, data_dir() / row.slug), row.crop, listing)
    return None


def _tile(run: ScoredRun, domain: ScoredDomain, cells: _Cells, row: int) -> Tile:
    scores = run.scores[domain.name][row]
    true, said = domain.labels[row], int(scores.argmax())
    lines = (f"label {ABBREVIATIONS[true]}", f"said {ABBREVIATIONS[said]} {scores[said]:.2f}")
    return Tile(jpeg=cells.thumbnail(row), lines=lines)


def _note(study: Study, run: ScoredRun, domain: ScoredDomain) -> str:
    row = domain_of(domain.name)
    credit = f" Images: {row.citation} Licence: {row.licence}" if row else ""
    return (
        f"The answers of {in_sentence(study, run.arm)}, the best here by its mean, in the run closest to that mean: "
        f"seed {run.seed}, {run.stored.id}. The number is its confidence. "
        "Mistakes are taken of each true class in turn. Where a model is so sure, the label may be wrong instead."
        f"{credit}"
    )
