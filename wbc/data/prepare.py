"""Makes a domain ready: download, verify, extract, check, manifest, pixel cache; each only if it is missing.

    python -m entrypoints.prepare --help

Below the data folder each domain has `<key>/`: `archives/`, `archives.lock.json`, `images/`, `manifest.csv`, `cache-*`.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Int64

from wbc.data.cache import Geometry, PixelCache, ensure_cache, find_damage, find_fault, load_cache
from wbc.data.catalog import SMEAR_SIZE_PX, find_domain
from wbc.data.disk import disk_errors, one_writer, whole_folder
from wbc.data.domain import Domain
from wbc.data.drawn.smears import write_smears
from wbc.data.fetch.archive import extract
from wbc.data.fetch.checksums import record_sha256
from wbc.data.fetch.download import fetch
from wbc.data.manifest import build_manifest, changed_files, check_counts, digest, read_manifest, write_manifest
from wbc.data.splits import Reference
from wbc.environment import code_version
from wbc.errors import DataError, unknown
from wbc.processes import cores

_DRAWING: Final = ("data/drawn/smears.py", "data/drawn/cell_shapes.py", "data/drawn/cell_kinds.py", "seeding.py")
_VERSION_FILE: Final = ".version"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One split without its pixels."""

    name: str
    """As metrics carry it: "raabin_test_b"."""
    labels: Int64[np.ndarray, " n"]
    """0 to 4, in the order of `wbc.cells.CLASSES`."""
    digest: str
    """SHA-256, in hexadecimal, over the split's rows of the manifest: paths, labels and contents."""

    @property
    def guessing(self) -> float:
        """The share of the largest class: the accuracy of always saying that class, in [0, 1]."""
        return float(np.bincount(self.labels).max() / len(self.labels))


@dataclass(frozen=True, kw_only=True)
class Images(Listing):
    """One split, in memory-mapped form."""

    reference: Reference
    ids: tuple[str, ...]
    """Each image's path below the domain's image root."""
    labs: Int64[np.ndarray, " n"]
    """Each image's lab: its place among the splits that are trained on."""
    pixels: PixelCache
    origin: str
    """The address or path it came from."""


def load_images(reference: Reference, geometry: Geometry, *, data_dir: Path) -> Images:
    """Returns a split's images at a geometry; prepares what is missing first.

    Raises:
        DataError: The domain cannot be prepared.
    """
    return load_domain_images(find_domain(reference.key), reference, geometry, data_dir=data_dir)


def list_images(reference: Reference, *, data_dir: Path) -> Listing | None:
    """Returns what is known of a split that is ready, None if it is not; prepares nothing."""
    domain = find_domain(reference.key)
    rows = _standing_manifest(domain, data_dir / domain.home)
    if rows is None:
        return None
    rows = rows[rows["split"] == reference.split]
    return Listing(name=reference.name, labels=rows["label"].to_numpy(np.int64), digest=digest(rows))


def prepare(key: str, geometry: Geometry | None, *, data_dir: Path, archive: Path | None = None) -> pd.DataFrame:
    """Does whatever is missing until the domain is ready, and returns its manifest.

    Args:
        key: A row of `DOMAINS`, or folder:PATH.
        geometry: Of the pixel cache to make; None makes none.
        data_dir: The data folder.
        archive: A hand-downloaded archive to use instead of downloading; for several, the folder that holds them.

    Raises:
        ConfigError: No such domain.
        DataError: An archive, image or folder is missing, wrong or unreadable; nothing half-written is left.
    """
    return prepare_domain(find_domain(key), geometry, data_dir=data_dir, archive=archive)


def prepare_domain(
    domain: Domain, geometry: Geometry | None, *, data_dir: Path, archive: Path | None = None
) -> pd.DataFrame:
    """Does what `prepare` does, for a domain that need not be in the catalogue."""
    home = data_dir / domain.home
    if domain.path is not None and not domain.path.is_dir():
        raise DataError(f"there is no folder '{domain.path}'.")
    with disk_errors(data_dir):
        rows = _standing_manifest(domain, home)
        if rows is None:
            with one_writer(home):
                rows = _standing_manifest(domain, home)
                if rows is None:
                    rows = _build(domain, home, archive)
        elif archive is not None:
            _log.info("%s: is ready; '%s' was not needed", domain.key, archive)
        if geometry is not None:
            ensure_cache(home, geometry, rows, _image_root(domain, home))
    return rows


def unready(domain: Domain, geometry: Geometry, *, data_dir: Path) -> str | None:
    """Returns what `prepare` or the next run would still do for a domain of the catalogue, None for nothing.

    The pixel cache is read to the end; nothing is done.
    """
    home = data_dir / domain.home
    rows = _standing_manifest(domain, home)
    if rows is None:
        return "not prepared"
    return find_fault(home, geometry, rows) or find_damage(home, geometry, rows)


def load_domain_images(domain: Domain, reference: Reference, geometry: Geometry, *, data_dir: Path) -> Images:
    """Does what `load_images` does, for a domain that need not be in the catalogue."""
    if reference.split not in domain.splits:
        raise unknown(f"split of {domain.key}", reference.split, domain.splits)
    rows = prepare_domain(domain, geometry, data_dir=data_dir)
    home = data_dir / domain.home
    with disk_errors(data_dir):
        pixels = load_cache(home, geometry, rows, _image_root(domain, home), reference.split)
    split_rows = rows[rows["split"] == reference.split]
    return Images(
        name=reference.name,
        reference=reference,
        ids=tuple(split_rows["path"]),
        labels=split_rows["label"].to_numpy(np.int64),
        labs=np.zeros(len(split_rows), np.int64),
        pixels=pixels,
        digest=digest(split_rows),
        origin=domain.origin(reference.split),
    )


def _image_root(domain: Domain, home: Path) -> Path:
    return domain.path or home / "images"


def _standing_manifest(domain: Domain, home: Path) -> pd.DataFrame | None:
    """Returns the manifest if it still holds, else None. A user's folder is looked through for changes each time."""
    root = _image_root(domain, home)
    rows = read_manifest(home / "manifest.csv")
    if rows is None or not root.is_dir():
        return None
    if domain.path is not None:
        changed = changed_files(rows, domain, root)
        if changed:
            _log.info("%s: %d file(s) changed, such as '%s'; reading it again", domain.key, len(changed), changed[0])
        return None if changed else rows
    if domain.staining is not None and _drawn_by(root) != code_version(_DRAWING):
        _log.info("%s: the code that draws has changed; drawing again", domain.key)
        return None
    try:
        check_counts(rows, domain)
    except DataError as error:
        _log.warning("%s Preparing it again.", error)
        return None
    return rows


def _drawn_by(root: Path) -> str | None:
    """Returns the version of the code that drew the images below `root`."""
    path = root / _VERSION_FILE
    return path.read_text() if path.exists() else None


def _build(domain: Domain, home: Path, archive: Path | None) -> pd.DataFrame:
    rows = _read_images(domain, home) if archive is None else None
    if rows is None:
        rows = _build_images(domain, home, archive)
    write_manifest(rows, home / "manifest.csv")
    _log.info("%s: %d images are ready", domain.key, len(rows))
    return rows


def _read_images(domain: Domain, home: Path) -> pd.DataFrame | None:
    """Returns the manifest of the images that are there; None if there are none or, being ours, they are spoilt."""
    root = _image_root(domain, home)
    if domain.path is not None:
        return build_manifest(domain, root)
    if root.is_dir():
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
            _log.info("%s: drawing %d images", domain.key, sum(map(sum, domain.counts.values())))
            write_smears(part, domain.staining, domain.counts, SMEAR_SIZE_PX, cores())
            (part / _VERSION_FILE).write_text(code_version(_DRAWING))
        for each in domain.archives:
            path, digests[each.basename] = fetch(each, domain, home, archive)
            (part / each.folder).mkdir()
            extract(path, part / each.folder)
        try:
            rows = build_manifest(domain, part)
        except DataError as error:
            source = f"'{archive or home / 'archives'}'"
            raise DataError(f"{error} {_advice(domain, source)}".strip()) from error
    if digests:
        record_sha256(digests, home)
    return rows


def _advice(domain: Domain, source: str) -> str:
    if not domain.archives:
        return ""
    return f"The archive in {source} is not whole, has changed or is another one: replace it, or use --archive."
