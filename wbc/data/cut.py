"""Cells cut out of fields by boxes or masks, and images brought to 8 bits: what archives hold that are not cells yet.

A cut is a square and keeps its pixels, so that no cell is stretched. Files are written as BMP: the same bytes whatever
library compresses elsewhere.
"""

import io
import logging
import re
import shutil
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from scipy import ndimage

from wbc.cells import CLASSES, class_index
from wbc.data.decode import decode, decode_deep, map_images
from wbc.data.layouts import SUFFIXES, find, is_visible
from wbc.errors import DataError

CUT_VERSION: Final = 1
"""Goes up with each change to the pixels that are cut: cells are then cut again."""
MARGIN: Final = 1.6
"""The side of a cut over the longer side of the box: a cell fills about 0.6 of it."""
LEAST_BOX_PX: Final = 8
"""A box with a shorter longer side holds no cell."""
_LEAST_PART: Final = 0.1
"""Of the area of a mask's largest part; what is smaller is a speck, not a cell."""
_CHULA: Final = (4, 1, 0, 2, 3)
"""The class for each number in the boxes of chula: Neutrophil, Eosinophil, Basophil, Lymphocyte, Monocyte."""
_log = logging.getLogger(__name__)


class Box(NamedTuple):
    """A box on an image, in pixels from its left top corner; right and bottom are the first beyond it."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def longer_px(self) -> float:
        """The longer side."""
        return float(max(self.right - self.left, self.bottom - self.top))


def square_crop(
    image: UInt8[np.ndarray, "height width channels"], box: Box, margin: float = MARGIN
) -> UInt8[np.ndarray, "side side channels"]:
    """Returns the square around a box, a view: its side is `margin` times the box's longer side, in whole pixels.

    At an edge the square is shifted into the image. It is at most as large as the image's shorter side.

    Raises:
        DataError: No part of the box lies on the image, or it has no extent.
    """
    height, width = image.shape[:2]
    inside = box.right > 0 and box.bottom > 0 and box.left < width and box.top < height
    if not (inside and box.left < box.right and box.top < box.bottom and np.isfinite(box).all()):
        raise DataError(f"the box {tuple(round(edge, 1) for edge in box)} lies on no part of {width} × {height} pixels")
    side = max(1, min(round(margin * box.longer_px), height, width))
    left, top = (
        min(max(round((low + high - side) / 2), 0), whole - side)
        for low, high, whole in ((box.left, box.right, width), (box.top, box.bottom, height))
    )
    return image[top : top + side, left : left + side]


def yolo_boxes(text: str, width: int, height: int) -> list[tuple[int, Box]]:
    """Returns number and box of each line `<class> <x> <y> <width> <height>`: centre and size as shares of the image.

    Raises:
        DataError: A line is another.
    """
    boxes = []
    for line in filter(str.strip, text.splitlines()):
        try:
            number, x, y, across, down = line.split()[:5]
            middle, size = np.array([float(x), float(y)]), np.array([float(across), float(down)])
            low, high = (middle - size / 2) * (width, height), (middle + size / 2) * (width, height)
            boxes.append((int(number), Box(*map(float, low), *map(float, high))))
        except ValueError as error:
            raise DataError(f"the line '{line}' is not '<class> <x> <y> <width> <height>'") from error
    return boxes


def mask_boxes(mask: np.ndarray) -> list[Box]:
    """Returns the box of each connected part of a mask, height × width, that is not zero; specks are left out."""
    parts, _ = ndimage.label(mask != 0, structure=np.ones((3, 3)))
    areas = np.bincount(parts.ravel())[1:]
    places = ndimage.find_objects(parts)
    return [
        Box(across.start, down.start, across.stop, down.stop)
        for (down, across), area in zip(places, areas, strict=True)
        if area >= _LEAST_PART * areas.max()
    ]


def as_bmp(cell: Image.Image) -> bytes:
    """Returns the content of the file that a cut cell becomes."""
    content = io.BytesIO()
    cell.save(content, "bmp")
    return content.getvalue()


def cut_chula(root: Path) -> None:
    """Cuts `{train,valid}/images/<field>` by the boxes of `{train,valid}/labels/<field>.txt`, into `all/<Class>/`.

    Left out and counted in the log: boxes whose field is not there, and boxes too small to hold a cell.
    """
    samples = find(root, "WBC_Samples")
    lacking = tiny = 0
    for part in ("train", "valid"):
        fields = {path.stem: path for path in sorted((samples / part / "images").glob("*")) if _is_image(path, root)}
        for table in sorted((samples / part / "labels").glob("*.txt")):
            text = table.read_text(encoding="utf-8-sig")
            if table.stem not in fields:
                lacking += len(yolo_boxes(text, 1, 1))
                continue
            pixels = _pixels(fields[table.stem])
            for place, (number, box) in enumerate(yolo_boxes(text, pixels.shape[1], pixels.shape[0])):
                if not 0 <= number < len(_CHULA):
                    raise DataError(f"'{table.name}' has the class {number}; known are 0 to {len(_CHULA) - 1}.")
                if box.longer_px < LEAST_BOX_PX:
                    tiny += 1
                    continue
                _write(root, _CHULA[number], f"{part}_{table.stem}_{place}", square_crop(pixels, box))
    _keep_cells(root)
    _log.info("left out: %d boxes without their field, %d too small to hold a cell", lacking, tiny)


def cut_lisc(root: Path) -> None:
    """Cuts `Main Dataset/<class>/<n>.bmp` by the first expert's masks of the same number, into `all/<Class>/`.

    A mask of another size than its field is brought to it by the nearest pixel. Each connected part is a cell. Left out
    and counted in the log: the folder `mixt`, whose cells are of several classes, and fields without a mask.
    """
    fields, masks = find(root, "Main Dataset"), find(root, "Ground Truth Segmentation")
    lacking, folders = 0, {folder: class_index(folder.name) for folder in sorted(fields.iterdir()) if folder.is_dir()}
    for folder, label in folders.items():
        if label is None:
            continue
        for field in sorted(path for path in folder.iterdir() if _is_image(path, root)):
            mask = masks / folder.name / "areaforexpert1" / f"{field.stem}_expert.bmp"
            if not mask.is_file():
                lacking += 1
                continue
            pixels = _pixels(field)
            shown = decode(mask)[0].convert("L").resize(pixels.shape[1::-1], Image.Resampling.NEAREST)
            for place, box in enumerate(mask_boxes(np.asarray(shown))):
                _write(root, label, f"{folder.name}_{field.stem}_{place}", square_crop(pixels, box))
    _keep_cells(root)
    unknown = ", ".join(folder.name for folder, label in folders.items() if label is None)
    _log.info("left out: %d fields without a mask; the folders %s", lacking, unknown or "none")


def to_eight_bits(root: Path) -> None:
    """Puts a BMP in place of each TIFF below a folder that is read in no other way: 16 bits a channel, several pages.

    Raises:
        DataError: One of them does not decode.
    """
    images = [path for path in sorted(root.rglob("*")) if re.fullmatch(r"\.tiff?", path.suffix, re.IGNORECASE)]
    images = [path for path in images if path.is_file() and is_visible(path, root)]
    changed = sum(map_images(_flatten, images, "bringing images to 8 bits"))
    if changed:
        _log.info("%d of %d TIFFs brought to 8 bits: first page, high byte of each channel", changed, len(images))


def _flatten(path: Path) -> bool:
    try:
        decode(path)
    except DataError:
        decode_deep(path).save(path.with_suffix(".bmp"))
        path.unlink()
        return True
    return False


def _is_image(path: Path, root: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and is_visible(path, root)


def _pixels(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    try:
        return np.asarray(decode(path)[0])
    except DataError as error:
        raise DataError(f"'{path.name}' cannot be read: {error}.") from error


def _write(root: Path, label: int, name: str, pixels: UInt8[np.ndarray, "side side 3"]) -> None:
    folder = root / "all" / CLASSES[label]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.bmp").write_bytes(as_bmp(Image.fromarray(pixels)))


def _keep_cells(root: Path) -> None:
    """Removes what the cells were cut from; the archive has it still."""
    for folder in [child for child in root.iterdir() if child.name != "all"]:
        shutil.rmtree(folder)
