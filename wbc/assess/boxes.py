"""Boxes on whole fields, as labelling tools write them: YOLO's .txt, COCO's .json, Pascal VOC's .xml.

A file is one of these by what it holds. COCO names its images. The others lie beside their image, under its name; or in
a folder whose path differs by one name, as `train/labels/1.txt` and `train/images/1.jpg` do.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree

import yaml
from PIL import Image

from wbc.data.cut import Box, yolo_boxes
from wbc.errors import DataError

_MOST_NUMBERS: Final = 6
"""Of a line of YOLO: class, box, and how sure a detector was. Further numbers are an outline."""
_TITLES: Final = {".txt": "YOLO", ".json": "COCO", ".xml": "Pascal VOC"}
_SELF: Final = ""
"""Stands for the image that a file lies beside."""


class Images:
    """Images below a folder, found by what a file of boxes says of them."""

    def __init__(self, images: Iterable[Path]) -> None:
        self._named: dict[str, list[Path]] = {}
        self._stems: dict[str, list[Path]] = {}
        for image in images:
            self._named.setdefault(image.name, []).append(image)
            self._stems.setdefault(image.stem, []).append(image)

    def named(self, name: str, file: Path) -> Path | None:
        """Returns the image of a name, from the file's folder or the root, else the only one of that name."""
        wanted = Path(name.replace("\\", "/"))
        alike = self._named.get(wanted.name, [])
        exact = [image for image in alike if image in (file.parent / wanted, wanted)]
        return (exact or alike)[0] if exact or len(alike) == 1 else None

    def beside(self, file: Path) -> Path | None:
        """Returns the image of a file's name in its folder, else in one whose path differs by one name."""
        alike = [image for image in self._stems.get(file.stem, []) if len(image.parts) == len(file.parts)]
        apart = {image: sum(a != b for a, b in zip(image.parts[:-1], file.parts[:-1], strict=True)) for image in alike}
        near = min(apart, key=lambda image: apart[image], default=None)
        return near if near is not None and apart[near] <= 1 else None


class Marked(NamedTuple):
    """A box and what it is called."""

    name: str
    box: Box
    """In pixels."""


@dataclass
class Found:
    """The boxes of a folder."""

    fields: dict[Path, list[Marked]] = field(default_factory=dict)
    """By image, below the folder; of some images there is no box."""
    formats: Counter[str] = field(default_factory=Counter)
    """By format, the boxes whose image is there."""
    lacking: int = 0
    """Boxes whose image is not there."""
    files: set[Path] = field(default_factory=set)
    """What was read: files of boxes, and of names of classes."""


def find_boxes(root: Path, files: Sequence[Path], images: Sequence[Path]) -> Found:
    """Returns the boxes on images. Files and images are paths below `root`; a file that holds no boxes is passed over.

    Raises:
        DataError: a file of boxes has one that is none, or an image has boxes in two files.
    """
    names, known = _class_names(root, files), Images(images)
    found = Found(files=set(names))
    for file in (file for file in files if file not in names and file.suffix.lower() in _TITLES):
        title = _TITLES[file.suffix.lower()]
        marks = _read(root / file, title) or {}
        of = {name: known.named(name, file) if name else known.beside(file) for name in marks}
        if title == "YOLO" and marks == {_SELF: []} and of[_SELF] is None:
            continue  # an empty text
        found.files.update([file] if marks else [])
        for name, boxes in marks.items():
            _add(found, root, file, of[name], _called(boxes, file, names) if title == "YOLO" else boxes)
    return found


def _read(path: Path, title: str) -> dict[str, list[Marked]] | None:
    """Returns the boxes of a file by the name of their image, _SELF for that beside it; None for another file."""
    try:
        return _READERS[title](path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None
    except DataError as error:
        raise DataError(f"'{path}': {error}. Correct or remove it.") from error
    except (LookupError, TypeError, ValueError, OSError) as error:
        raise DataError(f"'{path}' is no {title} file of boxes: {error!r}. Correct or remove it.") from error


def _add(found: Found, root: Path, file: Path, image: Path | None, boxes: list[Marked]) -> None:
    title = _TITLES[file.suffix.lower()]
    if image is None:
        found.lacking += len(boxes)
        return
    if image in found.fields:
        raise DataError(f"'{root / image}' has boxes in two files, one of them '{file.as_posix()}': keep one.")
    found.formats[title] += len(boxes)
    found.fields[image] = _in_pixels(root / image, boxes) if title == "YOLO" else boxes


def _yolo(text: str) -> dict[str, list[Marked]] | None:
    """Returns boxes in shares of the image, called by their number; None for a text whose first line is no box."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        first = yolo_boxes(lines[0], 1, 1) if lines else []
    except DataError:
        return None
    boxes = first + yolo_boxes("\n".join(lines[1:]), 1, 1)
    if any(len(line.split()) > _MOST_NUMBERS for line in lines):
        raise DataError("its lines hold outlines, and boxes are needed: <class> <x> <y> <width> <height>")
    return {_SELF: [Marked(str(number), box) for number, box in boxes]}


def _coco(text: str) -> dict[str, list[Marked]] | None:
    """Returns the boxes by the name of their image; None for a JSON that is something else."""
    table: Any = json.loads(text)
    if not isinstance(table, dict) or not {"images", "annotations"} <= set(table):
        return None
    called = {each["id"]: str(each["name"]) for each in table.get("categories", ())}
    images = {each["id"]: str(each["file_name"]) for each in table["images"]}
    marks: dict[str, list[Marked]] = {name: [] for name in images.values()}
    for each in table["annotations"]:
        left, top, width, height = map(float, each["bbox"])
        name = called.get(each["category_id"], str(each["category_id"]))
        marks[images[each["image_id"]]].append(Marked(name, Box(left, top, left + width, top + height)))
    return marks


def _voc(text: str) -> dict[str, list[Marked]] | None:
    """Returns the boxes; None for an XML that is something else. Its pixels count from 1."""
    try:
        table = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    if table.tag != "annotation":
        return None
    marks = []
    for each in table.iter("object"):
        left, top, right, bottom = (float(each.findtext(f"bndbox/{edge}", "")) for edge in _EDGES)
        marks.append(Marked(each.findtext("name", "").strip(), Box(left - 1, top - 1, right, bottom)))
    return {_SELF: marks}


_EDGES: Final = ("xmin", "ymin", "xmax", "ymax")
_READERS: Final[dict[str, Callable[[str], dict[str, list[Marked]] | None]]] = {
    "YOLO": _yolo,
    "COCO": _coco,
    "Pascal VOC": _voc,
}


def _class_names(root: Path, files: Iterable[Path]) -> dict[Path, dict[str, str]]:
    """Returns by file of names what YOLO's numbers mean: a line for each in `classes.txt` and `obj.names`, or YAML."""
    found: dict[Path, dict[str, str]] = {}
    for file in files:
        try:
            if file.name.lower() == "classes.txt" or file.suffix.lower() == ".names":
                names: Any = (root / file).read_text(encoding="utf-8-sig").split("\n")
            elif file.suffix.lower() in (".yaml", ".yml"):
                names = (yaml.safe_load((root / file).read_text(encoding="utf-8-sig")) or {})["names"]
            else:
                continue
            pairs = names.items() if isinstance(names, dict) else enumerate(names)
            found[file] = {str(number): str(name).strip() for number, name in pairs}
        except (yaml.YAMLError, LookupError, TypeError, ValueError, OSError):
            continue
    return found


def _called(boxes: list[Marked], file: Path, names: dict[Path, dict[str, str]]) -> list[Marked]:
    """Returns boxes under the names of the nearest file of names, above or beside theirs; without one, as they are."""
    near = [each for each in names if each.parent in file.parents]
    called = names[max(near, key=lambda each: len(each.parts))] if near else {}
    return [each._replace(name=called.get(each.name) or each.name) for each in boxes]


def _in_pixels(path: Path, boxes: list[Marked]) -> list[Marked]:
    """Returns boxes that are shares of an image in its pixels; of an image that cannot be read, as they are."""
    try:
        with Image.open(path) as image:
            across, down = image.size
    except Exception:  # Pillow's readers raise whatever they trip over; the image is counted when it is decoded
        return boxes
    sides = (across, down, across, down)
    return [each._replace(box=Box(*(a * b for a, b in zip(each.box, sides, strict=True)))) for each in boxes]
