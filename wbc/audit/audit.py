"""Audits images before anybody trains on them: copies, labels, quality. Writes a page and a CSV, and logs both.

make audit DOMAINS="pbc2500 bccd tecom cellavision"

Findings are notes: they change no image and no score, and the exit code is 0.
"""

import dataclasses
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from wbc.audit.contradicted import find_contradicted, judged
from wbc.audit.findings import Finding, Part, find_confounded, find_copies, find_poor
from wbc.audit.measures import Measures, measure
from wbc.audit.page import Audit, write_page, write_table
from wbc.config import AuditConfig, PlanConfig
from wbc.data.catalog import find_domain
from wbc.data.decode import decode_known, map_images
from wbc.data.disk import disk_errors
from wbc.data.domain import Domain
from wbc.data.images import list_images
from wbc.data.prepare import image_root, make_again, prepare
from wbc.data.splits import Split, split_list
from wbc.errors import DataError, ReportError
from wbc.processes import signals_exit
from wbc.report.folder import own_folder, replacing
from wbc.report.query import read_study
from wbc.report.study import Study
from wbc.studies import find_study
from wbc.surroundings import data_dir
from wbc.tracking import schema
from wbc.tracking.active import log_report, open_page

_CONTENTS: Final = ("audit.html", "findings.csv")
_IMAGES: Final = ("image", "images")
_log = logging.getLogger(__name__)


def write_audit(options: AuditConfig) -> tuple[Path, list[str]]:
    """Writes the audit, logs it to a run of its own, and returns its folder and what it found, in lines.

    Raises:
        ConfigError: a domain or study is not known.
        DataError: a domain cannot be prepared, or an image cannot be read.
        ReportError: the folder holds something else, or cannot be written.
        TrackingError: the store does not answer.
    """
    known = find_study(options.profile)
    keys = dict.fromkeys(split_list(options.domains)) if options.domains else known.domains()
    domains = list({domain.key: domain for domain in map(find_domain, keys)}.values())
    folder = own_folder(options.output or "reports/audit", _CONTENTS)
    with signals_exit(), tempfile.TemporaryDirectory() as copy:
        study = _study(options)
        parts = [part for domain in domains for part in _measured(domain)]
        audit = _look_through(parts, study, options.profile)
        with replacing(folder) as part:
            write_page(audit, part / "audit.html", options.profile)
            write_table(audit.findings, part / "findings.csv")
            shutil.copytree(part, copy, dirs_exist_ok=True)  # another audit may replace the folder while it is logged
        images = ",".join(domain.slug for domain in domains)
        with open_page("audit", images, dataclasses.asdict(options), {schema.PROFILE: options.profile}):
            log_report(Path(copy), "\n".join(f"- {line}" for line in audit.lines), None)
    return folder, list(audit.lines)


def _study(options: AuditConfig) -> Study | None:
    """Returns the study's runs; None where the store has none."""
    try:
        return read_study(PlanConfig(profile=options.profile))
    except ReportError:
        return None


def _measures(domain: Domain, rows: pd.DataFrame) -> dict[str, Measures]:
    """Returns what is measured of each image, by its path."""
    root = image_root(domain, data_dir() / domain.slug)

    def look(file: tuple[str, str]) -> Measures:
        return measure(decode_known(root / file[0], file[1]))

    files = list(zip(rows["path"], rows["sha256"], strict=True))
    return dict(zip(rows["path"], map_images(look, files, f"{domain.key}: measuring"), strict=True))


def _measured(domain: Domain) -> Iterator[Part]:
    """Yields each split of a domain, prepared and measured."""
    rows = prepare(domain, None, data_dir=data_dir())
    try:
        measures = _measures(domain, rows)
    except DataError as error:
        with disk_errors(data_dir()):
            rows = make_again(domain, error, data_dir() / domain.slug)
        measures = _measures(domain, rows)
    for name in domain.splits:
        split = Split(domain.key, name)
        listing = list_images(split, data_dir=data_dir())
        if listing is None:
            raise DataError(f"{domain.key}: its images changed while they were read; run the audit again.")
        sizes = rows.loc[rows["split"] == name, ["width", "height"]]
        yield Part(
            split=split,
            listing=listing,
            measures=[measures[path] for path in listing.ids],
            sizes=list(sizes.itertuples(index=False, name=None)),
            slides=bool(domain.group),
        )


def _look_through(parts: list[Part], study: Study | None, profile: str) -> Audit:
    findings = find_copies(parts)
    findings += find_contradicted(study, parts) if study else []
    findings += [finding for part in parts for finding in (*find_confounded(part), *find_poor(part))]
    by_models = judged(study, parts) if study else []
    lines = [f"{sum(len(part.measures) for part in parts)} images of {', '.join(part.split.name for part in parts)}"]
    lines += list(_counted(findings)) or ["no finding"]
    left = [part.split.name for part in parts if part.split.name not in by_models]
    if left:
        lines.append(f"labels not judged: no two models of study {profile} were scored on {', '.join(left)}")
    return Audit(parts=parts, findings=findings, judged=by_models, lines=tuple(lines))


def _counted(findings: list[Finding]) -> Iterator[str]:
    """Yields for each kind of finding how many pairs, classes or images it is of: "2 pairs: same file, two labs"."""
    kinds = Counter((each.kind, each.scope, each.two_labels) for each in findings)
    for (kind, scope, two_labels), count in kinds.items():
        one, several = ("pair", "pairs") if scope else ("class", "classes") if kind == "confounded" else _IMAGES
        words = filter(None, (kind, scope, "two labels" if two_labels else ""))
        yield f"{count} {one if count == 1 else several}: {', '.join(words)}"
