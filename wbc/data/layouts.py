"""How each domain's files are laid out: from an image root to a list of images with label and split."""

import csv
import hashlib
import io
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from wbc.cells import CLASSES, class_index
from wbc.data.disk import user_text
from wbc.data.domain import Entry
from wbc.errors import DataError

TRAIN_SHARE: Final = 0.7
SUFFIXES: Final = frozenset(
    {".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
EXCLUDED: Final = "excluded.csv"
"""A table beside the class folders, of which the column `path` names images to leave out."""
_NUMBERED: Final = {"1": 4, "2": 2, "3": 3, "4": 1, "5": 0}
"""The class for each label of LISC and of segmentation_WBC."""
_MASK: Final = re.compile(r"[\s_.-]*(?<![a-z])(masks?|segmentation|ground[\s_-]*truth)(?![a-z])[\s_.-]*")
_log = logging.getLogger(__name__)


def read_class_folders(root: Path) -> list[Entry]:
    """Lists `<Class>/**/<image>`, all of one split; what is not read is counted in the log, by reason.

    Of class folders in each other the innermost counts. Links are followed. Left out are masks, and images that the
    table `excluded.csv` names in its column `path`.

    Raises:
        DataError: `root` is no folder, none of its folders has a class's name, or a folder cannot be looked into.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder '{root}'.")
    folders = sorted(
        child
        for child in root.iterdir()
        if (child.is_dir() or not child.exists()) and not child.name.startswith((".", "__"))  # or a broken link
    )
    known = {folder: label for folder in folders if (label := class_index(folder.name)) is not None}
    seen = ", ".join(f"'{folder.name}'" for folder in folders if folder not in known)
    if not known:
        raise DataError(
            f"no folder of '{root}' has the name of a class. There: {seen or 'no folder'}. Expected some of: "
            f"{', '.join(CLASSES)}, in any common spelling."
        )
    if seen:
        _log.warning("%s: ignored, not the name of a class: %s", root, seen)
    if beside := sum(child.suffix.lower() in SUFFIXES and child.is_file() for child in root.iterdir()):
        _log.warning("%s: %d images lie beside the class folders and are not read", root, beside)
    entries = _list_classes(root, known)
    if not entries:
        raise DataError(f"the class folders of '{root}' hold no image ({', '.join(sorted(SUFFIXES))}).")
    return entries


def read_split_folders(root: Path) -> list[Entry]:
    """Lists `<split>/**/<Class>/<image>`, whatever folders an archive puts between: Raabin, and the drawn smears."""
    entries = []
    for image in (file for file, reason in files_below(root) if not reason):
        label = class_index(image.parent.name)
        if label is not None:
            entries.append(Entry(_relative(image, root), label, image.relative_to(root).parts[0]))
    return entries


def read_below(root: Path, name: str) -> list[Entry]:
    """Lists `<name>/<Class>/<image>`, however deep an archive puts that folder."""
    folder = find(root, name)
    prefix = _relative(folder, root)
    return [entry._replace(path=f"{prefix}/{entry.path}") for entry in read_class_folders(folder)]


def read_pbc2500(root: Path) -> list[Entry]:
    """Lists `dataset_leukocytes/<class>/<image>`, split 70/30 within each class.

    The images of a class are put in the order of the SHA-256 of their file names; the first 70 % are "train", the
    others "test". So the split depends on nothing but the names: no seed, no order of a folder's listing.
    """
    entries = []
    images = read_below(root, "dataset_leukocytes")
    for label in range(len(CLASSES)):
        names = {entry.path: Path(entry.path).name for entry in images if entry.label == label}
        paths = sorted(names, key=lambda path: hashlib.sha256(names[path].encode()).hexdigest())
        for rank, path in enumerate(paths):
            entries.append(Entry(path, label, "train" if rank < round(TRAIN_SHARE * len(paths)) else "test"))
    return entries


def read_lisc(root: Path) -> list[Entry]:
    """Lists `{Train,Test}/<image>` as `{Train,Test}.json` beside them label it; a name may be in both."""
    entries = []
    for part in ("Train", "Test"):
        table = find(root, f"{part}.json")
        try:
            labels = dict(json.loads(user_text(table)))
        except (ValueError, TypeError, RecursionError) as error:
            raise DataError(
                f"'{_relative(table, root)}' is no JSON object of file names and labels: {error}."
            ) from error
        for name, value in labels.items():
            image = table.parent / part / Path(name).name
            entries.append(_labelled(root, image, str(value), table))
    return entries


def read_zheng(root: Path, name: str) -> list[Entry]:
    """Lists one of the two data sets of segmentation_WBC, labelled by its CSV."""
    table = find(root, f"Class Labels of {name}.csv")
    with table.open(newline="", encoding="utf-8-sig") as handle:
        rows = [row for row in csv.reader(handle) if row][1:]
    try:
        return [
            _labelled(root, table.parent / name / f"{int(number):03d}.bmp", label.strip(), table)
            for number, label in rows
        ]
    except ValueError as error:
        raise DataError(f"'{_relative(table, root)}' has a row that is not '<number>,<label>': {error}.") from error


def read_anywhere(root: Path, skip: str = "") -> list[Entry]:
    """Lists `<Class>/<image>` however deep, all of one split; folders of other names are named in the log.

    Nothing is read below folders that have `skip` in their name, such as those of masks.
    """
    entries, others = [], Counter[str]()
    for image in (file for file, reason in files_below(root) if not reason):
        path = image.relative_to(root)
        if skip and any(skip in part.lower() for part in path.parts[:-1]):
            continue
        label = class_index(image.parent.name)
        if label is None:
            others[image.parent.name] += 1
        else:
            entries.append(Entry(path.as_posix(), label, "all"))
    if others:
        told = ", ".join(f"{count} in '{name}'" for name, count in others.most_common())
        _log.warning("images left out, in folders that have no name of a class: %s", told)
    return entries


def read_pbc(root: Path) -> list[Entry]:
    """Lists PBC's images of the five classes in the split that WBCAtt published.

    Its tables `pbc_attr_v1_{train,val,test}.csv` have the columns `label` and `path`, which ends with folder and file.
    """
    images = {"/".join(file.parts[-2:]): file for file, reason in files_below(root) if not reason}
    entries = []
    for split in ("train", "test", "val"):
        table = find(root, f"pbc_attr_v1_{split}.csv")
        try:
            with table.open(newline="", encoding="utf-8-sig") as handle:
                rows = [(row["path"], class_index(row["label"])) for row in csv.DictReader(handle)]
        except (KeyError, ValueError, csv.Error) as error:
            raise DataError(f"'{_relative(table, root)}' has no columns 'path' and 'label': {error}.") from error
        for path, label in rows:
            image = images.get("/".join(path.split("/")[-2:]))
            if image is None or label is None:
                what = "which is not there" if image is None else "under no class's name"
                raise DataError(f"'{_relative(table, root)}' lists '{path}', {what}.")
            entries.append(Entry(_relative(image, root), label, split))
    return entries


def find(root: Path, name: str) -> Path:
    """Returns the one file or folder of that name, however deep an archive puts it.

    Raises:
        DataError: There is none.
    """
    found = sorted((path for path in root.rglob(name) if is_visible(path, root)), key=lambda path: len(path.parts))
    if not found:
        raise DataError(f"'{name}' is nowhere among the files.")
    return found[0]


def is_visible(path: Path, root: Path) -> bool:
    """Returns whether neither a file nor a folder above it, below `root`, is hidden or added by macOS."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(root).parts)


def _labelled(root: Path, image: Path, value: str, table: Path) -> Entry:
    if value not in _NUMBERED:
        raise DataError(
            f"'{_relative(table, root)}' labels '{image.name}' as '{value}'; known are {', '.join(_NUMBERED)}."
        )
    if not image.is_file():
        raise DataError(f"'{_relative(table, root)}' lists '{_relative(image, root)}', which is not there.")
    return Entry(_relative(image, root), _NUMBERED[value], "all")


def _list_classes(root: Path, labels: Mapping[Path, int]) -> list[Entry]:
    excluded, left_out, found = read_excluded(root), Counter[str](), dict[Path, int]()
    files = {folder: [(Path(_relative(file, root)), why) for file, why in files_below(folder)] for folder in labels}
    warn_of_lost(root, excluded, (file for each in files.values() for file, _ in each))
    for folder, each in files.items():
        for file, reason in each:
            if reason or file.as_posix() in excluded:
                left_out[reason or f"named in {EXCLUDED}"] += 1
            else:
                names = (class_index(part) for part in reversed(file.parts[1:-1]))
                found[file] = next((label for label in names if label is not None), labels[folder])
    masks = named_masks(found)
    left_out.update({"a mask, by its name": len(masks)} if masks else {})
    entries = [Entry(file.as_posix(), label, "all") for file, label in found.items() if file not in masks]
    for folder in labels:
        if not any(entry.path.startswith(f"{folder.name}/") for entry in entries):
            _log.warning("%s: no image in the class folder '%s'", root, folder.name)
    if left_out:
        reasons = ", ".join(f"{count} ({reason})" for reason, count in left_out.most_common())
        _log.warning("%s: %d files are not read: %s", root, left_out.total(), reasons)
    return entries


def named_masks(images: Collection[Path]) -> set[Path]:
    """Returns the images that are masks by their name or folder, where there is an image that they would be masks of.

    `masks/7.png` is the mask of `images/7.jpg`, and `7_mask.png` that of `7.jpg`.
    """
    bare = {image: _MASK.sub("", image.stem.casefold()) for image in images}
    called = {
        image
        for image, stem in bare.items()
        if stem != image.stem.casefold() or any(not _MASK.sub("", part.casefold()) for part in image.parts[:-1])
    }
    stems = {image.stem.casefold() for image in images if image not in called}
    return {image for image in called if bare[image] in stems}


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[tuple[Path, str]]:
    """Yields whatever lies below a folder, links followed, with the reason why it is not an image to read, or ""."""
    above = (*above, folder.resolve())
    try:
        with os.scandir(folder) as found:
            children = sorted((Path(child.path), child.is_dir(), child.is_file()) for child in found)
    except OSError as error:
        raise DataError(f"the folder '{folder}' cannot be looked into: {error.strerror}.") from error
    for child, is_folder, is_file in children:
        if child.name.startswith(".") or child.name == "__MACOSX":
            yield child, "hidden"
        elif is_folder and child.resolve() in above:
            yield child, "a link to a folder above it"
        elif is_folder:
            yield from files_below(child, above)
        elif not is_file:
            yield child, "a broken link" if child.is_symlink() else "not a file"
        else:
            suffix = child.suffix.lower()
            yield child, "" if suffix in SUFFIXES else f"not an image: {suffix or 'no suffix'}"


def read_excluded(root: Path) -> frozenset[str]:
    """Returns the paths in the table of images to leave out, if there is one."""
    table = root / EXCLUDED
    if not table.is_file():
        return frozenset()
    try:
        return frozenset(row["path"] for row in csv.DictReader(io.StringIO(user_text(table))) if row["path"])
    except (KeyError, ValueError, csv.Error) as error:
        raise DataError(f"'{table}' is no CSV in UTF-8 with a column 'path': correct or delete it.") from error


def warn_of_lost(root: Path, excluded: Iterable[str], files: Iterable[Path]) -> None:
    """Says how many of the paths to leave out are no file's, as one that is misspelt."""
    lost = sorted(set(excluded) - {file.as_posix() for file in files})
    if lost:
        _log.warning(
            "%s: %d of its paths leave nothing out, such as '%s': write them as Neutrophil/cell_017.png",
            *(root / EXCLUDED, len(lost), lost[0]),
        )


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
