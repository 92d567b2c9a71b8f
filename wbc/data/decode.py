"""From an image file to 8-bit RGB, and a pool of threads to do that for thousands (Pillow decodes outside the GIL)."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from PIL import Image, UnidentifiedImageError

from wbc.data.fetch.progress import progress
from wbc.errors import DataError
from wbc.processes import cores

WORKERS: Final = min(8, cores())
_CHUNK: Final = 256
_EIGHT_BIT_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})
Item = TypeVar("Item")
Result = TypeVar("Result")


def decode(path: Path) -> tuple[Image.Image, str]:
    """Returns the whole image as 8-bit RGB, and the SHA-256 of its file.

    Grey and palette images are converted and an alpha channel is dropped, as torchvision's `ImageFolder` does. An EXIF
    orientation is not applied, as there: cells have no upright position.

    Raises:
        DataError: Empty, cut off, damaged, no image, or of more than 8 bits per channel.
    """
    content = path.read_bytes()
    if not content:
        raise DataError("an empty file")
    try:
        with Image.open(io.BytesIO(content)) as image:
            mode = image.mode
            rgb = image.convert("RGB") if mode in _EIGHT_BIT_MODES else None
    except (
        Exception
    ) as error:  # Pillow's decoders raise whatever they trip over: OSError, SyntaxError, struct.error, ...
        raise DataError(_reason(error)) from error
    if rgb is None:
        raise DataError(f"of pixel format {mode}; 8 bits per channel are taken")
    return rgb, hashlib.sha256(content).hexdigest()


def map_images(function: Callable[[Item], Result], items: Sequence[Item], what: str) -> Iterator[Result]:
    """Yields `function(item)` in order, computed by a pool of threads, with a progress bar; holds few results."""
    with progress(what, len(items), "images") as advance, ThreadPoolExecutor(WORKERS) as pool:
        for at in range(0, len(items), _CHUNK):
            for result in pool.map(function, items[at : at + _CHUNK]):
                advance(1)
                yield result


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its text names a buffer in memory
        return "not an image, or cut off in its header"
    return str(error) or type(error).__name__
