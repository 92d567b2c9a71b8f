"""From an image file to 8-bit RGB, and a pool of threads to do that for thousands (Pillow decodes outside the GIL)."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from wbc.errors import DataError
from wbc.processes import cores
from wbc.terminal import progress

WORKERS: Final = min(8, cores())
FORMATS: Final = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP")
MOST_PIXELS: Final = 40_000_000
MOST_BYTES: Final = 256 << 20
_BITS_PER_SAMPLE: Final = 258  # TIFF's tag
_CHUNK: Final = 256
_EIGHT_BIT_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})
Item = TypeVar("Item")
Result = TypeVar("Result")


def decode(path: Path) -> tuple[Image.Image, str]:
    """Returns the whole image as 8-bit RGB, and the SHA-256 of its file.

    Grey and palette images are converted and an alpha channel is dropped, as torchvision's `ImageFolder` does. An EXIF
    orientation is not applied, as there: cells have no upright position.

    Raises:
        DataError: Empty, cut off, damaged, too large, no image of a known format, several images in one file, or more
            than 8 bits per channel.
    """
    size = path.stat().st_size
    if not 0 < size <= MOST_BYTES:
        raise DataError(f"a file of {size:,} bytes; at most {MOST_BYTES:,} are read" if size else "an empty file")
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            fault = _find_fault(image, content)
            rgb = None if fault else image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise whatever they trip over
        raise DataError(_reason(error)) from error
    if rgb is None:
        raise DataError(fault)
    return rgb, hashlib.sha256(content).hexdigest()


def decode_deep(path: Path) -> Image.Image:
    """Returns the first page of a TIFF as 8-bit RGB: of 16 bits, the high byte of each channel; alpha is dropped.

    For archives of which somebody knows that they use all 16 bits; `decode` refuses such files.

    Raises:
        DataError: It does not decode, is too large, or uses 12 bits or fewer of its 16.
    """
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DataError(f"{image.width} × {image.height} pixels; at most {MOST_PIXELS:,} are decoded")
            deep = _bits(image, b"") > 8
            if image.mode.startswith("I;16"):
                rgb = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
            elif image.mode in _EIGHT_BIT_MODES:  # Pillow keeps the high byte of deep colours
                rgb = image.convert("RGB")
            else:
                raise DataError(f"of pixel format {image.mode}, which has no scale of its own")
    except Exception as error:  # as in `decode`
        raise DataError(f"'{path.name}' cannot be read: {_reason(error)}.") from error
    if deep and np.asarray(rgb).max() < 1 << 4:
        raise DataError(f"'{path.name}' uses at most 12 of its 16 bits, and would be black: scale it to 0-255.")
    return rgb


def is_turned(image: Image.Image) -> bool:
    """Returns whether other programs show a decoded image turned or mirrored, by its EXIF orientation."""
    try:
        return bool(image.getexif().get(ExifTags.Base.Orientation, 1) != 1)
    except Exception:  # damaged EXIF, of which Pillow raises whatever it trips over
        return False


def decode_known(path: Path, sha256: str) -> Image.Image:
    """Returns an image of a manifest, as `decode` does.

    Raises:
        DataError: As for `decode`, or the file is not the one whose SHA-256 the manifest holds.
    """
    try:
        image, found = decode(path)
    except (DataError, OSError) as error:
        raise DataError(f"'{path}' cannot be read: {error}.") from error
    if found != sha256:
        raise DataError(
            f"'{path}' has changed since the manifest was made: prepare again, and if it is not in a folder of yours "
            "delete the file first."
        )
    return image


def map_images(function: Callable[[Item], Result], items: Sequence[Item], what: str) -> Iterator[Result]:
    """Yields `function(item)` in order, computed by a pool of threads, with a progress bar; holds few results."""
    with progress(what, len(items), "images") as advance, ThreadPoolExecutor(WORKERS) as pool:
        for at in range(0, len(items), _CHUNK):
            for result in pool.map(function, items[at : at + _CHUNK]):
                advance(1)
                yield result


def _find_fault(image: Image.Image, content: bytes) -> str:
    """Returns why an image that is not decoded yet would lose something or fill the memory; "" if it would not."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        return f"{width} × {height} pixels; at most {MOST_PIXELS:,} are decoded: crop it to its cell"
    bits = _bits(image, content)
    if bits > 8 or image.mode not in _EIGHT_BIT_MODES:
        return f"of pixel format {image.mode}, {bits} bits; 8 bits per channel are taken: convert it, scaled to 0-255"
    # The further pictures of a JPEG from a camera (MPO) are its preview.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        return "several images in one file: save each page or frame to a file"
    return ""


def _bits(image: Image.Image, content: bytes) -> int:
    """Returns the bits per channel that the file's header declares; Pillow silently keeps 8 of 16."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))))
    if image.format == "PNG":
        return content[24]
    if image.format == "JPEG2000":  # the first component, as the marker SIZ describes it
        return 1 + (content[content.index(b"\xff\x4f\xff\x51") + 42] & 0x7F)
    return 8


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its text names a buffer in memory
        return f"not an image ({', '.join(FORMATS)}), or cut off in its header"
    return str(error) or type(error).__name__
