import ast
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import wbc
from wbc.data.decode import FORMATS, MOST_BYTES, decode
from wbc.errors import DataError


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_decode_gives_rgb_as_pillow_converts_it(tmp_path: Path, mode: str) -> None:
    image = Image.linear_gradient("L").convert(mode)
    image.save(tmp_path / "image.png")
    assert np.array_equal(np.asarray(decode(tmp_path / "image.png")[0]), np.asarray(image.convert("RGB")))


def test_decode_refuses_more_than_8_bits(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "image.png")
    with pytest.raises(DataError, match="of pixel format I;16, 16 bits; 8 bits per channel are taken: convert it"):
        decode(tmp_path / "image.png")


def test_decode_leaves_an_exif_orientation_alone(tmp_path: Path) -> None:
    image, exif = Image.new("RGB", (8, 4)), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "image.jpg", exif=exif)
    assert decode(tmp_path / "image.jpg")[0].size == (8, 4)


def test_decode_refuses_a_size_bomb(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "image.png").write_bytes(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    with pytest.raises(DataError, match="decompression bomb"):
        decode(tmp_path / "image.png")


def _png(bits: int, width: int, height: int) -> bytes:
    """A PNG of RGB zeros."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    rows = zlib.compress(bytes(height * (1 + 3 * width * bits // 8)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _tiff16() -> bytes:
    """A TIFF of 2 × 2 RGB pixels of 16 bits."""
    fields = [
        (256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 128), (277, 3, 1, 3), (278, 3, 1, 2), (279, 4, 1, 24),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *each) for each in fields)
    return (
        b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4) + struct.pack("<HHH", 16, 16, 16) + bytes(24)
    )


@pytest.mark.parametrize("content", [_png(16, 4, 4), _tiff16()], ids=["png", "tiff"])
def test_decode_refuses_colours_of_16_bits_that_pillow_would_cut(tmp_path: Path, content: bytes) -> None:
    assert Image.open(io.BytesIO(content)).convert("RGB").mode == "RGB"
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(DataError, match="of pixel format RGB, 16 bits; 8 bits per channel are taken"):
        decode(tmp_path / "image")


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP"])
def test_decode_refuses_several_images_in_one_file(tmp_path: Path, kind: str) -> None:
    pages = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    pages[0].save(tmp_path / "image", kind, save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="several images in one file: save each page or frame to a file"):
        decode(tmp_path / "image")


@pytest.mark.parametrize("kind", FORMATS)
def test_decode_reads_each_format_that_it_names(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (8, 4), "red").save(tmp_path / "image", kind)
    assert decode(tmp_path / "image")[0].size == (8, 4)


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "PPM", "SGI"])
def test_decode_opens_no_other_format_whatever_the_file_is_called(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (16, 16), "red").save(tmp_path / "image.png", kind)
    with pytest.raises(DataError, match="not an image"):
        decode(tmp_path / "image.png")


def test_decode_refuses_a_declared_size_beyond_the_bound_with_the_number(tmp_path: Path) -> None:
    content = bytearray(_png(8, 8000, 1))
    content[20:24] = struct.pack(">I", 8000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(DataError, match="8000 × 8000 pixels; at most 40,000,000 are decoded"):
        decode(tmp_path / "image")


def test_decode_reads_no_file_beyond_the_bound(tmp_path: Path) -> None:
    with (tmp_path / "image").open("wb") as handle:
        handle.truncate(MOST_BYTES + 1)  # takes no room on the disk
    with pytest.raises(DataError, match="a file of 268,435,457 bytes; at most 268,435,456 are read"):
        decode(tmp_path / "image")


def test_each_image_is_opened_with_the_formats_that_it_may_have() -> None:
    calls = [
        (file.name, call)
        for file in Path(wbc.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Image.open"
    ]
    assert len(calls) >= 5
    assert [name for name, call in calls if not any(each.arg == "formats" for each in call.keywords)] == []
