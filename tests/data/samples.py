"""Small images, archives and domains, made in code."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

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
