"""`audit.html`, what an audit found with its pairs side by side, in one file; and `findings.csv`, all of it."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2
import pandas as pd
from PIL import ImageOps

from wbc.audit import contradicted, copies, findings
from wbc.audit.findings import Finding, Image, Part
from wbc.cells import CLASSES
from wbc.data.catalog import find_domain
from wbc.data.decode import decode_known
from wbc.data.prepare import image_root
from wbc.surroundings import data_dir

MOST_SHOWN: Final = 60
"""Findings of a section on the page; the CSV has all."""
THUMBNAIL_PX: Final = 96
_QUALITY: Final = 80
_COLUMNS: Final = ("kind", "scope", "two_labels", "distance", "detail")
_IMAGE: Final = ("split", "image", "label", "sha256")


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was looked through, and what was found."""

    parts: Sequence[Part]
    findings: Sequence[Finding]
    judged: Sequence[str]
    """Names of the splits whose labels models of the study judged."""
    lines: tuple[str, ...]
    """How many images there are, and findings of each kind, in words."""


@dataclass(frozen=True)
class Section:
    """Findings that stand together on the page, below a title and what is to be known of them."""

    title: str
    note: str
    findings: tuple[Finding, ...]

    @property
    def shown(self) -> tuple[Finding, ...]:
        """Those on the page: all, or the first `MOST_SHOWN`, those with pictures before those without."""
        if len(self.findings) <= MOST_SHOWN:
            return self.findings
        return tuple(sorted(self.findings, key=lambda each: not _is_pictured(each))[:MOST_SHOWN])


def _is_pictured(finding: Finding) -> bool:
    """Returns whether the page may show the finding's images."""
    return all(find_domain(image.split.key).pictures for image in finding.images)


def write_page(audit: Audit, path: Path, profile: str) -> None:
    """Writes the page. Pictures are of domains alone whose licence lets a report show them; of others it has digests.

    Raises:
        DataError: an image has changed since it was measured.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("audit.html.jinja").render(
        audit=audit,
        profile=profile,
        sections=_sections(audit.findings),
        overview=_overview(audit),
        hidden=[part.split.name for part in audit.parts if not find_domain(part.split.key).pictures],
        thumbnail=_thumbnail,
        classes=CLASSES,
    )
    path.write_text(text, encoding="utf-8")


def write_table(found: Iterable[Finding], path: Path) -> None:
    """Writes all findings as CSV: what and where, then split, path, label and SHA-256 of one image or two."""
    rows = [
        {name: getattr(each, name) for name in _COLUMNS}
        | {"splits": " ".join(each.splits)}
        | {
            f"{name}_{place}": value
            for place, image in enumerate(each.images, 1)
            for name, value in zip(_IMAGE, _described(image), strict=True)
        }
        for each in found
    ]
    columns = ["kind", "splits", *_COLUMNS[1:], *(f"{name}_{place}" for place in (1, 2) for name in _IMAGE)]
    table = pd.DataFrame(rows, columns=columns).astype({"distance": "Int64"})
    table.to_csv(path, index=False, lineterminator="\n")


def _described(image: Image) -> tuple[str, str, str, str]:
    return image.split.name, image.path, CLASSES[image.label], image.content


def _thumbnail(image: Image) -> str | None:
    """Returns the whole image, small, as JPEG in base64; None where its licence does not let a page show it."""
    domain = find_domain(image.split.key)
    if not domain.pictures:
        return None
    whole = decode_known(image_root(domain, data_dir() / domain.slug) / image.path, image.content)
    content = io.BytesIO()
    ImageOps.contain(whole, (THUMBNAIL_PX, THUMBNAIL_PX)).save(content, "jpeg", quality=_QUALITY, optimize=True)
    return base64.b64encode(content.getvalue()).decode()


def _overview(audit: Audit) -> list[tuple[str | int, ...]]:
    """Returns a row for each split: name, images, sharpness, then how many findings of each kind it has."""
    rows = []
    for part in audit.parts:
        of = [each for each in audit.findings if part.split.name in each.splits]
        pairs = [each for each in of if each.kind in findings.COPIES]
        counts = [sum(each.scope == scope for each in pairs) for scope in ("within a split", "one lab", "two labs")] + [
            sum(each.two_labels for each in pairs)
        ]
        others = [sum(each.kind == kind for each in of) for kind in ("confounded", "blank", "blurred", "cut off")]
        doubted = sum(each.kind == "contradicted" for each in of) if part.split.name in audit.judged else "not judged"
        name = part.split.name
        rows.append((name, len(part.measures), f"{part.sharpness:.0f}", *counts, doubted, *others))
    return rows


def _sections(found: Sequence[Finding]) -> list[Section]:
    def pairs(scope: str) -> tuple[Finding, ...]:
        return tuple(each for each in found if each.scope == scope and not each.two_labels)

    def of(*kinds: str) -> tuple[Finding, ...]:
        return tuple(each for each in found if each.kind in kinds)

    look = f"Of one look: at most {copies.MOST} of 255 signs differ, in the best of eight positions."
    return [
        Section(
            "One image under two labels",
            f"At least one of the two labels is wrong. {look}",
            tuple(each for each in found if each.two_labels),
        ),
        Section(
            "Copies in two splits of one lab",
            f"A score on one split says less where the model trained on the other. {look}",
            pairs("one lab"),
        ),
        Section("Copies in two labs", f"One lab's images are no other lab's test. {look}", pairs("two labs")),
        Section("Copies within a split", f"Such images count twice. {look}", pairs("within a split")),
        Section(
            "Labels that all models contradict",
            "Every model of the study names the same other class, and finds it at least "
            f"{contradicted.SURE} probable (mean over its seeds). Under a shift all models may err alike: look.",
            of("contradicted"),
        ),
        Section(
            "Classes that something else than the cell tells",
            f"At least {100 * findings.TELLS:.0f} % of a class have a mark, which {100 * findings.TELLS:.0f} % of the "
            "other images have not. A model may learn what comes with it, such as a camera.",
            of("confounded"),
        ),
        Section(
            "Images that are blank, blurred or cut off",
            f"Blank: grey levels range over less than {findings.BLANK_LEVELS} of 255. Blurred: less than "
            f"{100 * findings.BLURRED:.0f} % of the split's median sharpness. Cut off: a strip of one colour takes "
            f"{100 * findings.STRIP:.0f} % of a side or more, or the nucleus {100 * findings.TOUCH:.0f} %.",
            of("blank", "blurred", "cut off"),
        ),
    ]
