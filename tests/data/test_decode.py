import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wbc.data.decode import decode
from wbc.errors import DataError


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_decode_gives_rgb_as_pillow_converts_it(tmp_path: Path, mode: str) -> None:
    image = Image.linear_gradient("L").convert(mode)
    image.save(tmp_path / "image.png")
    assert np.array_equal(np.asarray(decode(tmp_path / "image.png")[0]), np.asarray(image.convert("RGB")))


def test_decode_refuses_more_than_8_bits(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "image.png")
    with pytest.raises(DataError, match="of pixel format I;16; 8 bits per channel are taken"):
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
