"""Images as a run takes them: a split's, or those of several labs behind each other."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Int64

from wbc.cells import CLASSES
from wbc.data.cache import Geometry, PixelCache, load_cache
from wbc.data.catalog import find_domain
from wbc.data.divide import TEST_SHARE, choose, with_copies
from wbc.data.domain import Domain
from wbc.data.manifest import digest
from wbc.data.prepare import image_root, standing_manifest, use_images
from wbc.data.splits import Split
from wbc.errors import unknown

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Images without their pixels."""

    name: str
    """As metrics carry it: "raabin_test_b"."""
    ids: tuple[str, ...]
    """Each image's path below the domain's image root."""
    labels: Int64[np.ndarray, " n"]
    """0 to 4, in the order of `wbc.cells.CLASSES`."""
    contents: tuple[str, ...]
    """SHA-256 of each image's file, in hexadecimal; where the domain is cropped, @ and the crop follow."""
    groups: tuple[str, ...]
    """What each image shares with those that must stay together with it: its slide where known, else its id."""
    digest: str
    """SHA-256, in hexadecimal, over ids, labels and contents."""

    @property
    def counts(self) -> str:
        """How many images there are of each class, in words."""
        each = zip(CLASSES, np.bincount(self.labels, minlength=len(CLASSES)), strict=True)
        return f"{len(self.labels)} images: {', '.join(f'{name} {count}' for name, count in each)}"

    @property
    def guessing(self) -> float:
        """The share of the largest class: the accuracy of always saying that class, in [0, 1]."""
        return float(np.bincount(self.labels).max() / len(self.labels))


@dataclass(frozen=True, kw_only=True)
class Images(Listing):
    """Images in memory-mapped form."""

    labs: Int64[np.ndarray, " n"]
    """The index of each image's lab; 0 where there is one."""
    pixels: PixelCache
    origin: str
    """The address or path they came from."""


Part = TypeVar("Part", bound=Listing)


def load_images(split: Split, geometry: Geometry, *, data_dir: Path) -> Images:
    """Returns a split's images at a geometry; prepares what is missing first.

    Raises:
        DataError: The domain cannot be prepared.
    """
    domain = find_domain(split.key)
    if split.split in domain.parts:
        return _part(load_images(replace(split, split="all"), geometry, data_dir=data_dir), split)
    if split.split not in domain.splits:
        raise unknown(f"split of {domain.key}", split.split, (*domain.splits, *domain.parts))
    home, geometry = data_dir / domain.slug, geometry.cropped(domain.crop)

    def load(rows: pd.DataFrame) -> tuple[pd.DataFrame, PixelCache]:
        return rows, load_cache(home, geometry, rows, image_root(domain, home), split.split)

    rows, pixels = use_images(domain, load, data_dir=data_dir)
    listing = _list(rows, domain, split)
    _log.info("%s: %s", listing.name, listing.counts)
    _warn_of_two_labels(listing)
    labs = np.zeros(len(pixels), np.int64)
    return Images(**vars(listing), labs=labs, pixels=pixels, origin=domain.origin(split.split))


def list_images(split: Split, *, data_dir: Path) -> Listing | None:
    """Returns what is known of a split that is ready, None if it is not; prepares nothing."""
    domain = find_domain(split.key)
    rows = standing_manifest(domain, data_dir / domain.slug)
    if rows is None:
        return None
    if split.split in domain.parts:
        return _part(_list(rows, domain, replace(split, split="all")), split)
    return _list(rows, domain, split)


def pick(images: Part, rows: Int64[np.ndarray, " picked"], name: str) -> Part:
    """Returns the images of these rows, in this order, under a name; no pixel is copied."""
    columns = {field: tuple(getattr(images, field)[row] for row in rows) for field in ("ids", "groups", "contents")}
    table = {"path": columns["ids"], "label": images.labels[rows], "split": "", "sha256": columns["contents"]}
    changes: dict[str, Any] = columns | {"labels": images.labels[rows], "digest": digest(pd.DataFrame(table))}
    if isinstance(images, Images):
        changes |= {"labs": images.labs[rows], "pixels": images.pixels.pick(rows)}
    return replace(images, name=name, **changes)


def join(parts: Sequence[Images]) -> Images:
    """Returns the images of several labs, one lab behind the other; no pixel is copied. One part stays as it is.

    Ids and groups get the name of their part in front, and `labs` says which part each image is of.
    """
    if len(parts) == 1:
        return parts[0]
    return Images(
        name="+".join(part.name for part in parts),
        ids=tuple(f"{part.name}/{each}" for part in parts for each in part.ids),
        labels=np.concatenate([part.labels for part in parts]),
        contents=tuple(each for part in parts for each in part.contents),
        groups=tuple(f"{part.name}/{each}" for part in parts for each in part.groups),
        digest=hashlib.sha256("\n".join(part.digest for part in parts).encode()).hexdigest(),
        labs=np.repeat(np.arange(len(parts)), [len(part.ids) for part in parts]),
        pixels=PixelCache.join([part.pixels for part in parts]),
        origin=", ".join(dict.fromkeys(part.origin for part in parts)),
    )


def shared_images(train: Iterable[Listing], test: Listing) -> int:
    """Returns how many images of `test` are, byte for byte, among those of `train`."""
    known = {content.partition("@")[0] for part in train for content in part.contents}
    return sum(content.partition("@")[0] in known for content in test.contents)


def _part(whole: Part, split: Split) -> Part:
    """Returns the training or test part of a domain of one split; copies of an image are in one of them."""
    test = choose(with_copies(whole.groups, whole.contents), whole.labels, TEST_SHARE)
    return pick(whole, np.flatnonzero(test == (split.split == "test")), split.name)


def _warn_of_two_labels(images: Listing) -> None:
    labels: dict[str, set[int]] = {}
    for content, label in zip(images.contents, images.labels, strict=True):
        labels.setdefault(content, set()).add(int(label))
    twice = [row for row, content in enumerate(images.contents) if len(labels[content]) > 1]
    if twice:
        same = [images.ids[row] for row in twice if images.contents[row] == images.contents[twice[0]]]
        _log.warning(
            "%s: %d images have a copy under another label, such as '%s'", images.name, len(twice), "' and '".join(same)
        )


def _list(rows: pd.DataFrame, domain: Domain, split: Split) -> Listing:
    rows = rows[rows["split"] == split.split]
    if domain.crop < 1:  # what is seen of an image is part of what it is known by
        rows = rows.assign(sha256=rows["sha256"] + f"@{domain.crop:g}")
    return Listing(
        name=split.name,
        ids=tuple(rows["path"]),
        labels=rows["label"].to_numpy(np.int64),
        contents=tuple(rows["sha256"]),
        groups=tuple(map(domain.group_of, rows["path"])),
        digest=digest(rows),
    )
