"""What an audit finds in images and labels; each finding is a note with the images that it is of."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool

from wbc.audit.copies import same_look, same_pixels
from wbc.audit.measures import Measures
from wbc.cells import CLASSES
from wbc.data.images import Listing
from wbc.data.splits import Split

Kind = Literal["same file", "same pixels", "same look", "blank", "blurred", "cut off", "confounded", "contradicted"]
COPIES: Final[tuple[Kind, ...]] = ("same file", "same pixels", "same look")
BLANK_LEVELS: Final = 16
"""An image whose grey levels range less, of 255, is blank. The least in the public labs here is 65."""
BLURRED: Final = 0.25
"""An image of less than this share of its split's median sharpness is blurred."""
STRIP: Final = 0.05
"""From this share of a side on, what is of one colour and no part of the picture is a finding."""
TOUCH: Final = 0.3
"""Where the nucleus covers this share of a side, the cell is cut off there."""
TELLS: Final = 0.9
"""A class is confounded if this share of its images has a mark, and this share of the other images has it not."""
FEWEST: Final = 10
"""A class and a mark of fewer images say nothing."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that a finding is of."""

    split: Split
    path: str
    """Below its domain's image root."""
    label: int
    content: str
    """SHA-256 of its file."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One note: what was found, of which split, and the images that show it."""

    kind: Kind
    splits: tuple[str, ...]
    """The names of one split or two."""
    detail: str
    images: tuple[Image, ...] = ()
    """Two of a pair, one else; none where a whole class is meant."""
    distance: int | None = None
    """Of two that look the same: how many signs of 255 differ."""

    @property
    def two_labels(self) -> bool:
        """Whether it is of a pair that has two labels."""
        return self.kind in COPIES and len({image.label for image in self.images}) > 1

    @property
    def scope(self) -> str:
        """Where the images of a pair are: within a split, in two splits of a lab, or in two labs; empty for others."""
        if self.kind not in COPIES:
            return ""
        first, second = (image.split for image in self.images)
        return "within a split" if first == second else "one lab" if first.key == second.key else "two labs"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A split with what was measured of its images."""

    split: Split
    listing: Listing
    measures: Sequence[Measures]
    sizes: Sequence[tuple[int, int]]
    """Width and height of each image in pixels."""
    slides: bool
    """Whether file names tell the slide."""

    def image(self, row: int) -> Image:
        """Returns an image of the split."""
        listing = self.listing
        content = listing.contents[row].partition("@")[0]
        return Image(split=self.split, path=listing.ids[row], label=int(listing.labels[row]), content=content)

    @property
    def blank(self) -> Bool[np.ndarray, " n"]:
        """Which images show nothing."""
        return np.array([each.contrast < BLANK_LEVELS for each in self.measures], bool)

    @property
    def sharpness(self) -> float:
        """The median over its images that are not blank; 0 where all are."""
        shown = [each.sharpness for each, blank in zip(self.measures, self.blank, strict=True) if not blank]
        return float(np.median(shown)) if shown else 0.0


def find_copies(parts: Sequence[Part]) -> list[Finding]:
    """Returns the pairs of images that are the same file, have the same pixels or look the same, two labels first."""
    images = [part.image(row) for part in parts for row in range(len(part.listing.ids))]
    splits = np.repeat(np.arange(len(parts)), [len(part.listing.ids) for part in parts])
    measures = [each for part in parts for each in part.measures]
    pixels = [each.pixels for each in measures]
    found = [
        _copy("same file" if images[a].content == images[b].content else "same pixels", images[a], images[b])
        for a, b in same_pixels(pixels, splits).itertuples(index=False)
    ]
    blank = np.concatenate([part.blank for part in parts])
    first = ~pd.DataFrame({"pixels": pixels, "split": splits}).duplicated().to_numpy()
    rows = np.flatnonzero(first & ~blank)
    looks = np.array([measures[row].look for row in rows], bool).reshape(len(rows), *measures[0].look.shape)
    for a, b, distance in same_look(looks, splits[rows]).itertuples(index=False):
        if pixels[rows[a]] != pixels[rows[b]]:
            pair = _copy("same look", images[rows[a]], images[rows[b]])
            found.append(replace(pair, distance=int(distance), detail=f"{distance} of 255 signs differ"))
    order = {scope: place for place, scope in enumerate(("one lab", "two labs", "within a split"))}
    return sorted(found, key=lambda each: (not each.two_labels, order[each.scope], each.distance or 0))


def _copy(kind: Kind, a: Image, b: Image) -> Finding:
    splits = tuple(dict.fromkeys((a.split.name, b.split.name)))
    detail = "equal byte by byte" if kind == "same file" else "equal pixels in files that differ"
    return Finding(kind=kind, splits=splits, images=(a, b), detail=detail)


def find_poor(part: Part) -> Iterator[Finding]:
    """Yields a finding for each image that is blank, blurred or cut off; one may be two of them."""
    name, usual = (part.split.name,), part.sharpness
    for row, (each, blank) in enumerate(zip(part.measures, part.blank, strict=True)):
        images = (part.image(row),)
        if blank:
            detail = f"its grey levels range over {each.contrast:.0f} of 255"
            yield Finding(kind="blank", splits=name, images=images, detail=detail)
            continue
        if each.sharpness < BLURRED * usual:
            detail = f"{100 * each.sharpness / usual:.0f} % of the split's median sharpness"
            yield Finding(kind="blurred", splits=name, images=images, detail=detail)
        if each.strip >= STRIP:
            detail = f"{100 * each.strip:.0f} % of a side is of one colour"
            yield Finding(kind="cut off", splits=name, images=images, detail=detail)
        elif each.touch >= TOUCH:
            detail = f"the nucleus covers {100 * each.touch:.0f} % of one side"
            yield Finding(kind="cut off", splits=name, images=images, detail=detail)


def find_confounded(part: Part) -> Iterator[Finding]:
    """Yields a finding for each class that something else than the cell tells: name, slide, file type or size."""
    marks = {
        "file name": [name_pattern(path) for path in part.listing.ids],
        "file type": [PurePosixPath(path).suffix.lower() for path in part.listing.ids],
        "size": [f"{width} × {height}" for width, height in part.sizes],
    }
    if part.slides:
        marks["slide"] = list(part.listing.groups)
    for mark, values in marks.items():
        yield from _confounded(part, mark, values)


def name_pattern(path: str) -> str:
    """Returns what a file's name has beside its numbers: `BA_#` of `BA_1223.jpg`, `#-#-#-#_#_#` of a slide's image."""
    return re.sub(r"\d+", "#", PurePosixPath(path).stem)


def _confounded(part: Part, mark: str, values: Sequence[str]) -> Iterator[Finding]:
    counts = pd.crosstab(np.array(values), part.listing.labels)
    if len(counts.columns) < 2:
        return
    sizes = counts.sum(axis=1)
    for label in map(int, counts.columns):
        of_class = counts[label]
        telling = of_class[(of_class >= TELLS * sizes) & (sizes >= FEWEST)]
        total, told, marked = int(of_class.sum()), int(telling.sum()), int(sizes[telling.index].sum())
        others = len(values) - total
        if total >= FEWEST and told >= TELLS * total and marked - told <= (1 - TELLS) * others:
            named = ", ".join(map(str, telling.sort_values(ascending=False).index[:3]))
            more = f" and {len(telling) - 3} more" if len(telling) > 3 else ""
            detail = (
                f"{told} of {total} {CLASSES[label]} images have {mark} {named}{more}, as have {marked - told} of the "
                f"{others} others"
            )
            yield Finding(kind="confounded", splits=(part.split.name,), detail=detail)
