"""Makes a domain ready: download, verify, extract, check, manifest, pixel cache; each only if it is missing.

    python -m entrypoints.prepare --help

Below the data folder each domain has `<key>/`: `archives/`, `archives.lock.json`, `images/`, `manifest.csv`, `cache-*`.
"""

import logging
from pathlib import Path
from typing import Final

import pandas as pd

from wbc.data.cache import Geometry, ensure_cache, find_damage, find_fault
from wbc.data.catalog import SMEAR_SIZE_PX
from wbc.data.cut import CUT_VERSION
from wbc.data.disk import disk_errors, one_writer, whole_folder
from wbc.data.domain import Domain
from wbc.data.drawn.smears import DRAWING_VERSION, write_smears
from wbc.data.fetch.archive import extract
from wbc.data.fetch.checksums import record_sha256
from wbc.data.fetch.download import fetch
from wbc.data.manifest import build_manifest, changed_files, check_counts, read_manifest, write_table
from wbc.errors import DataError
from wbc.processes import cores

_VERSION_FILE: Final = ".version"
_log = logging.getLogger(__name__)


def check_folder(domain: Domain) -> None:
    """Raises a DataError if a domain is a folder that is not there."""
    if domain.path is not None and not domain.path.is_dir():
        raise DataError(f"there is no folder '{domain.path}'.")


def prepare(domain: Domain, geometry: Geometry | None, *, data_dir: Path, archive: Path | None = None) -> pd.DataFrame:
    """Does whatever is missing until the domain is ready, and returns its manifest.

    Without a geometry no pixel cache is made. `archive` was downloaded by hand, and is used instead of downloading; for
    several it is the folder that holds them.

    Raises:
        DataError: An archive, image or folder is missing, wrong or unreadable; nothing half-written is left.
    """
    home = data_dir / domain.slug
    check_folder(domain)
    with disk_errors(data_dir):
        rows = standing_manifest(domain, home)
        if rows is None:
            with one_writer(home):
                rows = standing_manifest(domain, home)
                if rows is None:
                    rows = _build(domain, home, archive)
        elif archive is not None:
            _log.info("%s: is ready; '%s' was not needed", domain.key, archive)
        if geometry is not None:
            rows = _resize(domain, home, geometry.cropped(domain.crop), rows, archive)
    return rows


def _resize(domain: Domain, home: Path, geometry: Geometry, rows: pd.DataFrame, archive: Path | None) -> pd.DataFrame:
    """Makes the pixel cache, and images of ours that turn out missing or damaged again; returns the manifest."""
    try:
        ensure_cache(home, geometry, rows, image_root(domain, home))
    except DataError as error:
        rows = make_again(domain, error, home, archive)
        ensure_cache(home, geometry, rows, image_root(domain, home))
    return rows


def make_again(domain: Domain, error: DataError, home: Path, archive: Path | None = None) -> pd.DataFrame:
    """Makes images again that turn out missing or damaged, as `error` says; returns the manifest.

    Raises:
        DataError: the very error, where the images are a user's.
    """
    if domain.path is not None:
        raise error
    _log.warning("%s Making '%s' again.", error, image_root(domain, home))
    with one_writer(home):
        rows = _build_images(domain, home, archive)
        write_table(rows, home / "manifest.csv")
    return rows


def unready(domain: Domain, geometry: Geometry, *, data_dir: Path) -> str | None:
    """Returns what `prepare` or the next run would still do for a domain of the catalogue, None for nothing.

    The pixel cache is read to the end; nothing is done.
    """
    home, geometry = data_dir / domain.slug, geometry.cropped(domain.crop)
    rows = standing_manifest(domain, home)
    if rows is None:
        return "not prepared"
    return find_fault(home, geometry, rows) or find_damage(home, geometry, rows)


def image_root(domain: Domain, home: Path) -> Path:
    """Returns the folder that the manifest's paths start from."""
    return domain.path or home / "images"


def standing_manifest(domain: Domain, home: Path) -> pd.DataFrame | None:
    """Returns the manifest if it still holds, else None. A user's folder is looked through for changes each time."""
    root = image_root(domain, home)
    rows = read_manifest(home / "manifest.csv")
    if rows is None or not root.is_dir():
        return None
    if domain.path is not None:
        changed = changed_files(rows, domain, root)
        if changed:
            _log.info("%s: %d file(s) changed, such as '%s'; reading it again", domain.key, len(changed), changed[0])
        return None if changed else rows
    if not _is_current(domain, root):
        _log.info("%s: the code that draws or cuts its cells has changed; making them again", domain.key)
        return None
    try:
        check_counts(rows, domain)
    except DataError as error:
        _log.warning("%s Preparing it again.", error)
        return None
    return rows


def _version(domain: Domain) -> str:
    """Returns the version of the code that makes the images; empty where they are an archive's or a user's."""
    return str(DRAWING_VERSION if domain.staining else CUT_VERSION) if domain.staining or domain.cut else ""


def _is_current(domain: Domain, root: Path) -> bool:
    """Returns whether the images below `root` are made by nobody here, or as this version makes them."""
    path, version = root / _VERSION_FILE, _version(domain)
    return not version or (path.exists() and path.read_text() == version)


def _build(domain: Domain, home: Path, archive: Path | None) -> pd.DataFrame:
    rows = _read_images(domain, home) if archive is None else None
    if rows is None:
        rows = _build_images(domain, home, archive)
    write_table(rows, home / "manifest.csv")
    _log.info("%s: %d images are ready", domain.key, len(rows))
    return rows


def _read_images(domain: Domain, home: Path) -> pd.DataFrame | None:
    """Returns the manifest of the images that are there; None if there are none or, being ours, they are spoilt."""
    root = image_root(domain, home)
    if domain.path is not None:
        return build_manifest(domain, root, home / "unusable.csv")
    if root.is_dir() and _is_current(domain, root):
        try:
            return build_manifest(domain, root)
        except DataError as error:
            _log.warning("%s Making '%s' again.", error, root)
    return None


def _build_images(domain: Domain, home: Path, archive: Path | None) -> pd.DataFrame:
    """Fills `images/`, which appears only once every image decodes and the counts are right."""
    digests: dict[str, str] = {}
    with whole_folder(home / "images") as part:
        if domain.staining is not None:
            _log.info("%s: drawing %d images", domain.key, sum(map(sum, domain.class_counts.values())))
            write_smears(part, domain.staining, domain.class_counts, SMEAR_SIZE_PX, cores())
        for each in domain.archives:
            path, digests[each.basename] = fetch(each, domain, home, archive)
            (part / each.folder).mkdir()
            extract(path, part / each.folder, members=each.members)
        try:
            if domain.cut:
                domain.cut(part)
            rows = build_manifest(domain, part)
        except DataError as error:
            whole = f" The archive in '{archive or home / 'archives'}' is not whole, has changed or is another one"
            advice = f"{whole}: replace it, or use --archive." if domain.archives else ""
            raise DataError(f"{error}{advice}") from error
        if _version(domain):
            (part / _VERSION_FILE).write_text(_version(domain))
    if digests:
        record_sha256(digests, home)
    return rows
