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
from wbc.data.decode import FORMATS
from wbc.data.disk import user_text
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


class Drawn(NamedTuple):
    """What a file says of an image."""

    boxes: list[Marked]
    size: tuple[int, int] | None = None
    """Width and height in pixels of the image that the boxes were drawn on, where it says them."""


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
        DataError: a file of boxes has one that is none, an image has boxes in two files, or another size than it had.
    """
    names, known = _class_names(root, files), Images(images)
    found = Found(files=set(names))
    for file in (file for file in files if file not in names and file.suffix.lower() in _TITLES):
        title = _TITLES[file.suffix.lower()]
        marks = _read(root / file, title) or {}
        of = {name: known.named(name, file) if name else known.beside(file) for name in marks}
        if title == "YOLO" and marks == {_SELF: Drawn([])} and of[_SELF] is None:
            continue  # an empty text
        found.files.update([file] if marks else [])
        for name, drawn in marks.items():
            boxes = _called(drawn.boxes, file, names) if title == "YOLO" else drawn.boxes
            _add(found, root, file, of[name], drawn._replace(boxes=boxes))
    return found


def _read(path: Path, title: str) -> dict[str, Drawn] | None:
    """Returns the boxes of a file by the name of their image, _SELF for that beside it; None for another file."""
    try:
        text = user_text(path)
    except UnicodeDecodeError:
        return None
    try:
        return _READERS[title](text)
    except json.JSONDecodeError:
        return None
    except DataError as error:
        raise DataError(f"'{path}': {error}. Correct or remove it.") from error
    except (LookupError, TypeError, ValueError, OSError, RecursionError) as error:
        raise DataError(f"'{path}' is no {title} file of boxes: {error!r}. Correct or remove it.") from error


def _add(found: Found, root: Path, file: Path, image: Path | None, drawn: Drawn) -> None:
    title, (boxes, stated) = _TITLES[file.suffix.lower()], drawn
    if image is None:
        found.lacking += len(boxes)
        return
    if image in found.fields:
        raise DataError(f"'{root / image}' has boxes in two files, one of them '{file.as_posix()}': keep one.")
    size = _size(root / image)
    if size and stated and size != stated:
        raise DataError(
            f"'{root / image}' has {size[0]} × {size[1]} pixels, and '{file.as_posix()}' has boxes for one of "
            f"{stated[0]} × {stated[1]}: bring back the image that they were drawn on, or draw them anew."
        )
    found.formats[title] += len(boxes)
    found.fields[image] = _in_pixels(boxes, size) if title == "YOLO" and size else boxes


def _yolo(text: str) -> dict[str, Drawn] | None:
    """Returns boxes in shares of the image, called by their number; None for a text whose first line is no box."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        first = yolo_boxes(lines[0], 1, 1) if lines else []
    except DataError:
        return None
    boxes = first + yolo_boxes("\n".join(lines[1:]), 1, 1)
    if any(len(line.split()) > _MOST_NUMBERS for line in lines):
        raise DataError("its lines hold outlines, and boxes are needed: <class> <x> <y> <width> <height>")
    return {_SELF: Drawn([Marked(str(number), box) for number, box in boxes])}


def _coco(text: str) -> dict[str, Drawn] | None:
    """Returns the boxes by the name of their image; None for a JSON that is something else."""
    table: Any = json.loads(text)
    if not isinstance(table, dict) or not {"images", "annotations"} <= set(table):
        return None
    called = {each["id"]: str(each["name"]) for each in table.get("categories", ())}
    images = {each["id"]: str(each["file_name"]) for each in table["images"]}
    marks = {
        str(each["file_name"]): Drawn([], _stated(each.get("width"), each.get("height"))) for each in table["images"]
    }
    for each in table["annotations"]:
        left, top, width, height = map(float, each["bbox"])
        name = called.get(each["category_id"], str(each["category_id"]))
        marks[images[each["image_id"]]].boxes.append(Marked(name, Box(left, top, left + width, top + height)))
    return marks


def _voc(text: str) -> dict[str, Drawn] | None:
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
    return {_SELF: Drawn(marks, _stated(table.findtext("size/width"), table.findtext("size/height")))}


def _stated(width: Any, height: Any) -> tuple[int, int] | None:
    """Returns the size of an image as a file has it; None where it is left open, as 0 or not at all."""
    size = int(width or 0), int(height or 0)
    return size if min(size) > 0 else None


_EDGES: Final = ("xmin", "ymin", "xmax", "ymax")
_READERS: Final[dict[str, Callable[[str], dict[str, Drawn] | None]]] = {
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
                names: Any = user_text(root / file).split("\n")
            elif file.suffix.lower() in (".yaml", ".yml"):
                # The loader of plain texts: references to references of a few bytes would fill the memory.
                names = (yaml.load(user_text(root / file), yaml.BaseLoader) or {})["names"]
            else:
                continue
            pairs = names.items() if isinstance(names, dict) else zip(map(str, range(len(names))), names, strict=True)
            found[file] = {number: name.strip() for number, name in pairs if isinstance(name, str)}
        except (yaml.YAMLError, DataError, LookupError, TypeError, ValueError, OSError, RecursionError):
            continue
    return found


def _called(boxes: list[Marked], file: Path, names: dict[Path, dict[str, str]]) -> list[Marked]:
    """Returns boxes under the names of the nearest file of names, above or beside theirs; without one, as they are.

    Raises:
        DataError: two files of names are as near, and name a box differently.
    """
    near = [each for each in names if each.parent in file.parents]
    nearest = [each for each in near if len(each.parts) == max(len(one.parts) for one in near)]
    called = []
    for box in boxes:
        known = {names[each][box.name].casefold(): each for each in nearest if names[each].get(box.name)}
        if len(known) > 1:
            files, words = " and ".join(f"'{each.as_posix()}'" for each in known.values()), " and ".join(known)
            raise DataError(f"{files} call the boxes of number {box.name} {words}: correct or remove one.")
        called.append(box._replace(name=next((names[each][box.name] for each in known.values()), box.name)))
    return called


def _size(path: Path) -> tuple[int, int] | None:
    """Returns the width and height that an image declares; None if it cannot be read, which its decoding will tell."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.size
    except Exception:  # Pillow's readers raise whatever they trip over
        return None


def _in_pixels(boxes: list[Marked], size: tuple[int, int]) -> list[Marked]:
    """Returns boxes that are shares of an image in its pixels."""
    return [each._replace(box=Box(*(a * b for a, b in zip(each.box, size * 2, strict=True)))) for each in boxes]
