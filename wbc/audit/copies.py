"""Copies among images: those of the same pixels, and those that look the same, also turned or mirrored.

Two images look the same if at most `MOST_COARSE` of the 63 signs of their lowest 8 × 8 frequencies differ and at most
`MOST` of all 255. The distance is the least over the eight ways to turn and mirror one of them.

Of the four public labs with a mirror here (3,251 images, 5.3 million pairs) 16 pairs come to 41 or less, and show the
same cell. The next come to 61 or more, and those looked at show different cells. Images saved again as JPEG (quality 75
and 30), at half the size, brighter or turned come to 21 at most. Of images that lost 2 % at each side 98 % come to 48
or less; of those that lost 5 % next to none do.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64, UInt64

from wbc.data.decode import WORKERS
from wbc.terminal import progress

MOST: Final = 48
MOST_COARSE: Final = 12
_WAYS: Final = 8
_ROWS: Final = 128
_COLUMNS: Final = 4096
"""A block of _ROWS × _COLUMNS pairs fits the cache of a core."""
_MANY: Final = 1_000_000
"""More pairs than these are not kept: where most images look the same, the nearest are chosen as they come."""
_NONE: Final = pd.DataFrame({"a": [], "b": [], "distance": []}, dtype=np.int64)


def same_pixels(digests: Sequence[str], splits: Int64[np.ndarray, " n"]) -> pd.DataFrame:
    """Returns pairs of images whose decoded pixels are the same: columns a and b, row numbers, a below b.

    Of a group of equal images each is paired, of every split, with the first there, if that is before it.
    """
    groups = pd.Series(np.arange(len(digests))).groupby(np.asarray(digests), sort=False).indices
    pairs = []
    for rows in (rows for rows in groups.values() if len(rows) > 1):
        firsts = {int(splits[row]): int(row) for row in reversed(rows)}
        pairs += [(a, int(b)) for b in rows for a in firsts.values() if a < b]
    return pd.DataFrame(sorted(pairs), columns=["a", "b"], dtype=np.int64)


def same_look(looks: Bool[np.ndarray, "n 16 16"], splits: Int64[np.ndarray, " n"]) -> pd.DataFrame:
    """Returns pairs of images that look the same: columns a and b, row numbers, a below b, and distance, 0 to `MOST`.

    Each image is paired, of every split, with the one before it that it is most like: at most a pair for each image
    and split. All pairs are compared, block by block; memory grows with the number of images, time with its square.
    """
    words = _words(looks)
    starts = range(0, len(looks), _ROWS)
    found = [_NONE]
    with progress("comparing images", len(looks), "images") as advance, ThreadPoolExecutor(WORKERS) as pool:
        for pairs in pool.map(lambda start: _compare(words, start, splits), starts):
            found.append(pairs)
            advance(_ROWS)
    return _nearest(pd.concat(found), splits)


def _compare(words: UInt64[np.ndarray, "8 n 4"], start: int, splits: Int64[np.ndarray, " n"]) -> pd.DataFrame:
    """Returns the pairs whose second image is among `_ROWS` from `start` on, and whose first is before it."""
    rows = words[0, start : start + _ROWS]
    end = start + len(rows)
    pairs = _NONE
    waiting: list[Int64[np.ndarray, "k 3"]] = []
    for column in range(0, end, _COLUMNS):
        for turned in words[:, column : min(column + _COLUMNS, end)]:
            found = _near(rows, turned) + np.array([column, start, 0])
            waiting.append(found[found[:, 0] < found[:, 1]])
        if sum(map(len, waiting)) > _MANY or column + _COLUMNS >= end:
            found = pd.DataFrame(np.concatenate(waiting), columns=_NONE.columns)
            pairs, waiting = _nearest(pd.concat([pairs, found]), splits), []
    return pairs


def _near(rows: UInt64[np.ndarray, "rows 4"], columns: UInt64[np.ndarray, "columns 4"]) -> Int64[np.ndarray, "k 3"]:
    """Returns column, row and distance of the pairs that look the same."""
    coarse = np.bitwise_count(rows[:, None, 0] ^ columns[None, :, 0])
    row, column = np.divmod(np.flatnonzero(coarse <= MOST_COARSE), len(columns))
    distance = np.bitwise_count(rows[row] ^ columns[column]).sum(axis=1, dtype=np.int64)
    near: Int64[np.ndarray, "k 3"] = np.stack([column, row, distance], axis=1)[distance <= MOST]
    return near


def _nearest(pairs: pd.DataFrame, splits: Int64[np.ndarray, " n"]) -> pd.DataFrame:
    """Returns of each second image and split of the first the pair of the least distance, the first if several are."""
    of = splits[pairs["a"].to_numpy()]
    ordered = pairs.assign(of=of).sort_values(["b", "of", "distance", "a"])
    return ordered.drop_duplicates(["b", "of"]).drop(columns="of").sort_values(["distance", "a", "b"])


def _words(looks: Bool[np.ndarray, "n 16 16"]) -> UInt64[np.ndarray, "8 n 4"]:
    """Returns the looks in all eight positions as four words each, of which the first has the lowest frequencies."""
    odd = np.arange(looks.shape[-1]) % 2 == 1
    words = np.empty((_WAYS, len(looks), 4), np.uint64)
    for way in range(_WAYS):
        look = looks.swapaxes(1, 2) if way & 4 else looks
        flip = (odd[:, None] & bool(way & 1)) ^ (odd[None, :] & bool(way & 2))
        words[way] = _packed(look ^ flip)
    return words


def _packed(looks: Bool[np.ndarray, "n 16 16"]) -> UInt64[np.ndarray, "n 4"]:
    half = looks.shape[-1] // 2
    quarters = looks.reshape(-1, 2, half, 2, half).swapaxes(2, 3).reshape(-1, 4, half * half)
    return np.ascontiguousarray(np.packbits(quarters, axis=2)).view(np.uint64)[..., 0]
