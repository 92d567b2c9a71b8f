"""The manifest: one row per image of a domain, made only if every image decodes and the counts are the catalogue's."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from wbc.cells import CLASSES
from wbc.data.decode import decode, map_images
from wbc.data.disk import is_text, whole_file
from wbc.data.domain import Counts, Domain, Entry
from wbc.data.fetch.checksums import file_sha256
from wbc.data.layouts import EXCLUDED, read_excluded
from wbc.errors import DataError

COLUMNS: Final = ("path", "label", "domain", "split", "width", "height", "sha256")
_NAMED: Final = 3
_log = logging.getLogger(__name__)


def build_manifest(domain: Domain, root: Path, unusable: Path | None = None) -> pd.DataFrame:
    """Returns the domain's images below `root`, ordered by split (as in the catalogue) and path.

    Columns: path (relative to `root`, forward slashes), label (0 to 4), domain, split, width and height in pixels,
    sha256 of the file.

    Where images do not decode, `unusable` becomes a table of all of them, and of those that are excluded already.

    Raises:
        DataError: The layout is another one, an image does not decode, or the counts differ from the catalogue's.
    """
    entries = list_entries(domain, root)
    results = list(map_images(lambda entry: _describe(root / entry.path), entries, f"{domain.key}: checking images"))
    broken = [(entry.path, what) for entry, what in zip(entries, results, strict=True) if isinstance(what, str)]
    if broken:
        named = ", ".join(f"'{path}' ({what})" for path, what in broken[:_NAMED])
        more = f", and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        advice = ""
        if unusable:
            before = [(path, f"named in {EXCLUDED} before") for path in sorted(read_excluded(root))]
            write_table(pd.DataFrame([*before, *broken], columns=["path", "reason"]), unusable)
            advice = f" All are listed in '{unusable}'; to leave them out, copy it to '{root / EXCLUDED}'."
        raise DataError(f"{domain.key}: {len(broken)} unusable image(s): {named}{more}.{advice}")
    rows = pd.DataFrame(
        [
            (entry.path, entry.label, domain.key, entry.split, *what)
            for entry, what in zip(entries, results, strict=True)
            if not isinstance(what, str)
        ],
        columns=list(COLUMNS),
    )
    check_counts(rows, domain)
    return rows


def list_entries(domain: Domain, root: Path) -> list[Entry]:
    """Returns what the domain's layout lists below `root`, ordered by split and path.

    Raises:
        DataError: The files are laid out in another way, or the name of one cannot stand in a table.
    """
    try:
        entries = domain.read(root)
    except DataError as error:
        raise DataError(f"{domain.key}: {error}") from error
    unnamed = next((entry.path for entry in entries if not is_text(entry.path)), None)
    if unnamed is not None:
        raise DataError(
            f"{domain.key}: the name {unnamed!a} is not UTF-8, or holds a control character: rename the file."
        )
    stray = sorted({entry.split for entry in entries} - set(domain.splits))
    if stray:
        raise DataError(
            f"{domain.key}: images of unknown splits: {', '.join(stray)}; known: {', '.join(domain.splits)}."
        )
    return sorted(entries, key=lambda entry: (domain.splits.index(entry.split), entry.path))


def count_classes(rows: pd.DataFrame, split: str) -> Counts:
    """Returns how many images of each class a split holds."""
    labels = rows.loc[rows["split"] == split, "label"]
    bas, eos, lymp, mono, neut = (int((labels == label).sum()) for label in range(len(CLASSES)))
    return bas, eos, lymp, mono, neut


def check_counts(rows: pd.DataFrame, domain: Domain) -> None:
    """Compares with the catalogue: the counts, split by split and class by class, then the contents where it has them.

    Raises:
        DataError: A count differs; the message gives both numbers of each. Or an image or its label is another.
    """
    wrong = [
        f"{what}: {found} found, {expected} expected"
        for what, found, expected in _compared(rows, domain)
        if found != expected
    ]
    if wrong:
        raise DataError(f"{domain.key}: the images are not those of the catalogue. {'; '.join(wrong)}.")
    if domain.contents and (found := digest(rows)) != domain.contents:
        raise DataError(
            f"{domain.key}: the images are not those of the catalogue, though as many of each class. The SHA-256 of "
            f"their contents is {found}, expected is {domain.contents}."
        )


def _compared(rows: pd.DataFrame, domain: Domain) -> Iterator[tuple[str, int, int]]:
    """Yields what is counted, how many there are, and how many the catalogue has."""
    for split, counts in domain.counts.items():
        if isinstance(counts, int):
            yield f"{split} images", int((rows["split"] == split).sum()), counts
        else:
            for name, found, expected in zip(CLASSES, count_classes(rows, split), counts, strict=True):
                yield f"{split} {name}", found, expected
    if domain.total:
        for label, (name, expected) in enumerate(zip(CLASSES, domain.total, strict=True)):
            yield name, int((rows["label"] == label).sum()), expected


def changed_files(rows: pd.DataFrame, domain: Domain, root: Path) -> list[str]:
    """Returns the paths added, removed or altered below `root` since the manifest was made; decodes nothing."""
    entries = list_entries(domain, root)
    hashes = map_images(lambda entry: file_sha256(root / entry.path), entries, f"{domain.key}: looking for changes")
    now = {(entry, digest) for entry, digest in zip(entries, hashes, strict=True)}
    then = {
        (Entry(path, label, split), digest)
        for path, label, split, digest in rows[["path", "label", "split", "sha256"]].itertuples(index=False)
    }
    return sorted({entry.path for entry, _ in now ^ then})


def digest(rows: pd.DataFrame) -> str:
    """Returns one SHA-256, in hexadecimal, for path, label, split and content of all rows, in their order."""
    lines: Iterable[str] = (
        "\t".join(map(str, row)) for row in rows[["path", "label", "split", "sha256"]].itertuples(index=False)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def write_table(rows: pd.DataFrame, path: Path) -> None:
    """Writes a manifest, or another table, as CSV."""
    with whole_file(path) as handle:
        handle.write(rows.to_csv(index=False, lineterminator="\n").encode())


def read_manifest(path: Path) -> pd.DataFrame | None:
    """Returns the manifest; None if there is none, and, with a warning, if this version cannot read it."""
    if not path.exists():
        return None
    types = {"label": "int64", "width": "int64", "height": "int64"}
    try:
        rows = pd.read_csv(path, keep_default_na=False, dtype={column: types.get(column, "str") for column in COLUMNS})
    except ValueError as error:
        _log.warning("%s is damaged (%s); making it again", path, error)
        return None
    if tuple(rows.columns) != COLUMNS or rows.empty:
        _log.warning("%s has other columns than this version's, or no rows; making it again", path)
        return None
    return rows


def _describe(path: Path) -> tuple[int, int, str] | str:
    """Returns width, height and SHA-256, or what is wrong with the image."""
    try:
        image, sha256 = decode(path)
    except (DataError, OSError) as error:
        return str(error)
    return image.width, image.height, sha256
