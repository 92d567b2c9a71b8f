"""A laboratory's cells, as it brings them: a folder of any depth, or a table of path, label, slide and patient."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from wbc.assess.names import UNLABELLED, how_to_map, label_of
from wbc.cells import CLASSES
from wbc.data.catalog import find_domain
from wbc.data.disk import is_text
from wbc.data.layouts import EXCLUDED, SUFFIXES, files_below, read_excluded
from wbc.errors import DataError

TABLE: Final = (".csv", ".tsv", ".txt")
RANDOM: Final = "random"
"""What the sheet's column `draw` says of cells that were drawn at random."""
_NAMED: Final = 5


class Cell(NamedTuple):
    """One image that is offered."""

    path: Path
    id: str
    """The path as a reader knows it: below the folder, or as the table has it."""
    label: int
    """0 to 4, or UNLABELLED."""
    slide: str
    """What names its slide; empty: not known."""
    patient: str
    draw: str = RANDOM
    """Why it is labelled; cells that were chosen otherwise than at random tell nothing of accuracy."""


@dataclass(frozen=True, kw_only=True)
class Slides:
    """Cells, and what was made of the names beside them."""

    name: str
    """In letters, digits and _, no other folder's."""
    title: str
    """What the user calls it."""
    cells: tuple[Cell, ...]
    taken_for: tuple[tuple[str, str, int], ...]
    """By folder or label: what it was taken for, and its images."""
    left_out: Mapping[str, int]
    """By reason: how many files were not taken."""

    @property
    def clusters(self) -> tuple[str, ...]:
        """What each cell shares with those that look like it: its patient, else its slide, else nothing (its id)."""
        return tuple(cell.patient or cell.slide or cell.id for cell in self.cells)

    @property
    def slides(self) -> tuple[str, ...]:
        """The names of the slides, sorted; none where there are not at least two."""
        names = sorted({cell.slide for cell in self.cells} - {""})
        return tuple(names) if len(names) > 1 else ()


def read_slides(text: str, mapping: Mapping[str, int]) -> Slides:
    """Returns the cells of a folder or table; nothing is decoded.

    Raises:
        DataError: there is no such folder or table, it holds no image, or a file or label of the table is none.
    """
    domain = find_domain(f"folder:{text}")
    path = domain.path
    assert path is not None
    named = Slides(name=domain.slug.removeprefix("folder_"), title=path.name, cells=(), taken_for=(), left_out={})
    if path.is_file():
        if path.suffix.lower() not in TABLE:
            raise DataError(f"'{path}' is one file: name a folder of images, or a CSV of path, label, slide, patient.")
        return _read_table(path, named, mapping)
    if not path.is_dir():
        raise DataError(f"there is no folder or table '{path}'.")
    return _read_folder(path, named, mapping)


def _read_folder(root: Path, named: Slides, mapping: Mapping[str, int]) -> Slides:
    excluded, left_out, cells = read_excluded(root), Counter[str](), []
    images = []
    for file, reason in files_below(root):
        relative = file.relative_to(root)
        if file.name == EXCLUDED and len(relative.parts) == 1:
            continue
        reason = reason or ("" if is_text(str(relative)) else "a name that is not UTF-8")
        reason = reason or (f"named in {EXCLUDED}" if relative.as_posix() in excluded else "")
        if reason:
            left_out[reason] += 1
        else:
            images.append(relative)
    folders = {folder for image in images for folder in image.parents if folder.name}
    beside = {folder.parent for folder in folders if label_of(folder.name, mapping) is not None}
    taken = Counter[tuple[str, str]]()
    for image in images:
        names = [(folder, label_of(folder.name, mapping)) for folder in image.parents if folder.name]
        of_class = next(((folder, label) for folder, label in names if label is not None), None)
        stray = next((folder for folder, label in names if label is None and folder.parent in beside), None)
        if of_class is None and stray is not None:
            taken[stray.as_posix(), "no class: left out"] += 1
            left_out["in a folder that names no class"] += 1
            continue
        folder, label = of_class or (image.parent, UNLABELLED)
        if of_class:
            taken[folder.name, CLASSES[label] if label != UNLABELLED else "cells without a label"] += 1
        above = folder.parent if of_class else folder
        slide = above.as_posix() if above.name else image.parent.relative_to(folder).as_posix().strip(".")
        if slide and not of_class:
            taken[slide, "a slide, without labels"] += 1
        cells.append(Cell(root / image, image.as_posix(), label, slide, ""))
    if not cells:
        raise DataError(_empty(root, left_out))
    return replace(named, cells=tuple(cells), taken_for=_listed(taken), left_out=left_out)


def _read_table(path: Path, named: Slides, mapping: Mapping[str, int]) -> Slides:
    cells, missing, strange, taken = [], list[str](), Counter[str](), Counter[tuple[str, str]]()
    for row in _rows(path):
        label = label_of(row["label"], mapping) if row["label"] else UNLABELLED
        file = path.parent / row["path"]
        if label is None:
            strange[row["label"]] += 1
        elif not file.is_file():
            missing.append(row["path"])
        else:
            if row["label"]:
                taken[row["label"], CLASSES[label] if label != UNLABELLED else "cells without a label"] += 1
            draw = row["draw"] or RANDOM
            cells.append(Cell(file, row["path"], label, row["slide"], row["patient"], draw))
    if strange:
        names = list(strange)[:_NAMED]
        raise DataError(
            f"'{path}': {strange.total()} rows have a label that is no class: {', '.join(map(repr, names))}. Write one "
            f"of {', '.join(CLASSES)}, leave it empty, or add {how_to_map(names)}."
        )
    if missing:
        raise DataError(
            f"'{path}' lists {len(missing)} files that are not there, such as '{missing[0]}': paths are absolute, or "
            f"start from the table's folder."
        )
    if not cells:
        raise DataError(f"'{path}' lists no image.")
    return replace(named, cells=tuple(cells), taken_for=_listed(taken), left_out={})


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Yields the rows of a table of commas, semicolons or tabs, with the columns that are read, whatever their case."""
    columns = ("path", "label", "slide", "patient", "draw")
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            first = handle.readline()
            handle.seek(0)
            mark = max(",;\t", key=first.count)
            reader = csv.DictReader(handle, delimiter=mark)
            reader.fieldnames = [(name or "").strip().lower() for name in reader.fieldnames or ()]
            if "path" not in reader.fieldnames:
                raise DataError(
                    f"'{path}' has no column 'path' in its first line; known columns: {', '.join(columns)}."
                )
            for row in reader:
                if (row["path"] or "").strip():
                    yield {name: (row.get(name) or "").strip() for name in columns}
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' is no CSV in UTF-8: save it again as such.") from error


def _listed(taken: Counter[tuple[str, str]]) -> tuple[tuple[str, str, int], ...]:
    return tuple((name, what, count) for (name, what), count in sorted(taken.items()))


def _empty(root: Path, left_out: Counter[str]) -> str:
    if not left_out:
        return f"the folder '{root}' is empty: put images of single cells into it ({', '.join(sorted(SUFFIXES))})."
    return f"'{root}' holds no image that can be taken. {counted(left_out)}"


def counted(left_out: Mapping[str, int]) -> str:
    """Returns in a sentence how many files were left out, by reason; nothing where none was."""
    if not left_out:
        return ""
    reasons = sorted(left_out.items(), key=lambda pair: (-pair[1], pair[0]))
    return f"Left out: {', '.join(f'{count} ({reason})' for reason, count in reasons)}."
