"""The cells of a folder: images of single cells at any depth, or whole fields with boxes; classes and slides by folder.

Left out by name are folders of no class beside those of classes, and masks.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from wbc.assess.boxes import Found, Marked, find_boxes
from wbc.assess.names import UNLABELLED, how_to_map, label_of, label_of_box
from wbc.assess.slides import NO_CLASS, Cell, Slides, counted, listed, said
from wbc.data.cut import LEAST_BOX_PX, MARGIN
from wbc.data.disk import is_text
from wbc.data.layouts import EXCLUDED, SUFFIXES, files_below, named_masks, read_excluded, warn_of_lost
from wbc.errors import DataError
from wbc.words import number_of

NO_SLIDE: Final = frozenset(
    {"images", "labels", "train", "valid", "validation", "val", "test", "jpegimages", "annotations"}
)
"""Folders of these names part a data set, and are no slides."""
_NAMED: Final = 5


def read_folder(root: Path, named: Slides, mapping: Mapping[str, int]) -> Slides:
    """Returns `named` with the cells of a folder.

    Raises:
        DataError: it holds no cell, or boxes that cannot be read.
    """
    files, left_out = _files(root)
    images = [file for file, reason in files.items() if not reason]
    masks = named_masks(images)
    images = [image for image in images if image not in masks]
    boxes = find_boxes(root, [file for file, reason in files.items() if reason], images)
    left_out.update(reason for file, reason in files.items() if reason and file not in boxes.files)
    left_out.update({"a mask, by its name": len(masks), "a box whose image is not there": boxes.lacking})
    folders = {folder for image in images for folder in image.parents if folder.name}
    beside = {folder.parent for folder in folders if label_of(folder.name, mapping) is not None}
    with_boxes = {image.parent for image in boxes.fields}
    cells, taken = list[Cell](), Counter[tuple[str, str]]()
    for image in images:
        place = _place(image, beside, mapping)
        if image.parent in with_boxes:
            cells += _cells_of(root, image, boxes.fields.get(image, []), place, mapping, taken, left_out)
        elif place.stray is not None:
            taken[place.stray, NO_CLASS] += 1
            left_out["in a folder that names no class"] += 1
        else:
            if place.folder:
                taken[place.folder, said(place.label)] += 1
            elif place.slide:
                taken[place.slide, "a slide, without labels"] += 1
            cells.append(Cell(root / image, image.as_posix(), place.label, place.slide, ""))
    left_out = +left_out
    if not cells:
        raise DataError(_empty(root, left_out, taken))
    return replace(named, cells=tuple(cells), taken_for=listed(taken), left_out=left_out, found=_found(boxes))


class _Place(NamedTuple):
    """What the folders above an image say of it."""

    label: int
    folder: str
    """The name of its class's folder; empty: there is none."""
    slide: str
    stray: str | None
    """The folder beside class folders that names no class."""


def _place(image: Path, beside: Collection[Path], mapping: Mapping[str, int]) -> _Place:
    """Returns what an image's folders say: the class is the innermost that is one, the slide what lies above it."""
    names = [(folder, label_of(folder.name, mapping)) for folder in image.parents if folder.name]
    of_class = next(((folder, label) for folder, label in names if label is not None), None)
    stray = next((folder for folder, label in names if label is None and folder.parent in beside), None)
    folder, label = of_class or (image.parent, UNLABELLED)
    above = folder.parent if of_class else folder
    parts = [part for part in above.parts if not (of_class and label_of(part, mapping) == label)]
    parts = _slide_parts(parts) or _slide_parts(image.parent.relative_to(folder).parts)
    lost = stray.as_posix() if stray is not None and not of_class else None
    return _Place(label, folder.name if of_class else "", "/".join(parts), lost)


def _slide_parts(parts: Iterable[str]) -> list[str]:
    return [part for part in parts if part.casefold() not in NO_SLIDE]


def _cells_of(
    root: Path,
    image: Path,
    marks: list[Marked],
    place: _Place,
    mapping: Mapping[str, int],
    taken: Counter[tuple[str, str]],
    left_out: Counter[str],
) -> list[Cell]:
    """Returns the cells of a field, and counts what its boxes are called; the folder's class is that of any cell."""
    cells = []
    left_out["a field without a box"] += not marks
    for number, (name, box) in enumerate(marks):
        label = label_of_box(name, mapping)
        if label is None:
            taken[name, NO_CLASS] += 1
            left_out["a box that names no class"] += 1
        elif box.longer_px < LEAST_BOX_PX:
            left_out[f"a box of fewer than {LEAST_BOX_PX} pixels"] += 1
        else:
            label = place.label if label == UNLABELLED else label
            taken[name, said(label)] += 1
            cells.append(Cell(root / image, f"{image.as_posix()}#{number}", label, place.slide, "", box=box))
    return cells


def _files(root: Path) -> tuple[dict[Path, str], Counter[str]]:
    """Returns the files below a folder, each with why it is no image or ""; and what is not looked at, by reason."""
    excluded, files, left_out, met = read_excluded(root), dict[Path, str](), Counter[str](), list[Path]()
    for file, reason in files_below(root):
        relative = file.relative_to(root)
        if file.name == EXCLUDED and len(relative.parts) == 1:
            continue
        if reason and not reason.startswith("not an image"):
            left_out[reason] += 1
        elif not is_text(str(relative)):
            left_out["a name that is not UTF-8"] += 1
        elif relative.as_posix() in excluded:
            left_out[f"named in {EXCLUDED}"] += 1
            met.append(relative)
        else:
            files[relative] = reason
    warn_of_lost(root, excluded, met)
    return files, left_out


def _found(boxes: Found) -> str:
    if not boxes.fields:
        return ""
    formats = ", ".join(sorted(boxes.formats))
    return (
        f"{boxes.formats.total()} boxes on {number_of(len(boxes.fields), 'field')} ({formats}): each cell is cut out "
        f"as a square, {MARGIN:g} times the longer side of its box."
    )


def _empty(root: Path, left_out: Counter[str], taken: Counter[tuple[str, str]]) -> str:
    if not left_out:
        return f"the folder '{root}' is empty: put images of single cells into it ({', '.join(sorted(SUFFIXES))})."
    names = [name for name, what in taken if what == NO_CLASS][:_NAMED]
    mapped = f" To give a name a class, add {how_to_map(names)}." if names else ""
    return f"'{root}' holds no cell that can be taken. {counted(left_out)}{mapped}"
