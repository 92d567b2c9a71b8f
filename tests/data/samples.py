"""Small images, archives and domains, made in code."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from wbc.data.domain import Archive, Domain
from wbc.data.layouts import read_split_folders


def image_bytes(seed: int = 0, size: tuple[int, int] = (12, 10), kind: str = "PNG") -> bytes:
    """An image, width × height, whose bytes differ from seed to seed."""
    width, height = size
    pixels = bytes((seed * 37 + place * (1 + seed % 7)) % 256 for place in range(3 * width * height))
    stream = io.BytesIO()
    Image.frombytes("RGB", size, pixels).save(stream, kind)
    return stream.getvalue()


def images(*paths: str) -> dict[str, bytes]:
    """An image for each path, of the kind that its suffix says."""
    kinds = {"jpg": "JPEG", "png": "PNG", "bmp": "BMP"}
    return {path: image_bytes(seed, kind=kinds[path.rsplit(".", 1)[-1]]) for seed, path in enumerate(paths)}


def write_tree(root: Path, files: Mapping[str, bytes]) -> Path:
    """Writes the files below `root`."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return stream.getvalue()


def rar_bytes(files: Mapping[str, bytes]) -> bytes:
    """A rar of format 1.5 with stored files."""

    def block(kind: int, flags: int, body: bytes, content: bytes = b"") -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head + content

    result = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for path, content in files.items():
        name, size, crc = path.replace("/", "\\").encode(), len(content), zlib.crc32(content)
        body = struct.pack("<IIBIIBBHI", size, size, 3, crc, 0x5A210000, 20, 0x30, len(name), 0o100644) + name
        result += block(0x74, 0x8000, body, content)
    return result + block(0x7B, 0x4000, b"")


def field_bytes(size: tuple[int, int], boxes: Mapping[tuple[int, int, int, int], tuple[int, int, int]]) -> bytes:
    """A grey field, width × height, with a coloured rectangle in each box: left, top, right, bottom."""
    field = Image.new("RGB", size, (200, 200, 200))
    for box, colour in boxes.items():
        field.paste(colour, box)
    stream = io.BytesIO()
    field.save(stream, "BMP")
    return stream.getvalue()


def chula_fields() -> dict[str, bytes]:
    """Fields and boxes as chula has them: a cell at an edge, one within, a tiny box, and a box without its field."""
    top = "WBC_Dataset-4575/WBC_Samples"
    field = field_bytes((144, 90), {(0, 40, 20, 60): (200, 0, 0), (60, 20, 80, 50): (0, 0, 200)})
    return {
        f"{top}/train/images/E-11_0001.bmp": field,
        f"{top}/train/labels/E-11_0001.txt": b"1 0.069444 0.555556 0.138889 0.222222\n",
        f"{top}/valid/images/L-8_0730.bmp": field,
        f"{top}/valid/labels/L-8_0730.txt": b"0 0.486111 0.388889 0.138889 0.333333\n3 0.5 0.5 0.013889 0.055556\n\n",
        f"{top}/train/labels/M-3B_0480.txt": b"4 0.5 0.5 0.2 0.2\n",
        "WBC_Dataset-4575/other.bmp": field,
    }


def lisc_fields() -> dict[str, bytes]:
    """Fields and masks as LISC has them: two cells and a speck, a mask of half the size, `mixt`, and a lost mask."""
    black = (0, 0, 0)
    masks, fields = "LISC Database/Ground Truth Segmentation", "LISC Database/Main Dataset"
    boxes = {(10, 10, 30, 30): (250, 250, 250), (60, 20, 80, 50): (128, 128, 128)}
    field = field_bytes((144, 90), boxes)
    two = Image.open(
        io.BytesIO(field_bytes((144, 90), {(0, 0, 144, 90): black, **boxes, (100, 80, 102, 82): (255, 0, 0)}))
    )
    stream = io.BytesIO()
    two.save(stream, "BMP")
    return {
        f"{fields}/mono/1.bmp": field,
        f"{masks}/mono/areaforexpert1/1_expert.bmp": stream.getvalue(),
        f"{fields}/eosi/2.bmp": field,
        f"{masks}/eosi/areaforexpert1/2_expert.bmp": field_bytes(
            (72, 45), {(0, 0, 72, 45): black, (5, 5, 15, 15): (255, 255, 255)}
        ),
        f"{fields}/mixt/3.bmp": field,
        f"{fields}/Baso/4.bmp": field,
    }


def tiff_bytes(bits: int, mode: str = "RGB", pages: int = 1) -> bytes:
    """A TIFF of 12 × 10 pixels: 8 bits in a mode, or grey of 16 bits whose high byte counts the pixels."""
    numbers = np.arange(120, dtype=np.uint16).reshape(10, 12)
    image = Image.fromarray(numbers * 256 + 7) if bits > 8 else Image.fromarray(numbers.astype(np.uint8)).convert(mode)
    stream = io.BytesIO()
    image.save(stream, "TIFF", save_all=pages > 1, append_images=[image] * (pages - 1))
    return stream.getvalue()


CELLS = images("all/Neut/1.png", "all/Neut/2.png", "all/Lymph/1.png")
"""What `cells_domain` expects."""


def cells_domain(url: str = "http://127.0.0.1:9/cells.zip", **changes: object) -> Domain:
    """A downloaded domain of two neutrophils and one lymphocyte, in `all/<Class>/<image>` of `cells.zip`."""
    fields: dict[str, object] = {
        "key": "cells",
        "title": "Cells",
        "read": read_split_folders,
        "archives": (Archive(folder="all", urls=(url,), about_mb=3),),
        "counts": {"all": (0, 0, 1, 0, 2)},
        "licence": "None.",
        "citation": "None.",
        "page": "http://127.0.0.1:9",
    }
    return Domain(**(fields | changes))  # type: ignore[arg-type]
