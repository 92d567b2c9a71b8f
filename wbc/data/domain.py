"""What the catalogue says about a domain: where it comes from, how it is read, what is known of it."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from wbc.errors import ConfigError

NOT_STATED: Final = "not stated"
_LONGEST: Final = 40
Counts = tuple[int, int, int, int, int]
"""Images of each class, in the order of `wbc.cells.CLASSES`."""


class Entry(NamedTuple):
    """One image as a layout lists it."""

    path: str
    """Relative to the domain's image root, with forward slashes."""
    label: int
    split: str


Reader = Callable[[Path], list[Entry]]
"""Lists the images below an image root."""
Cut = Callable[[Path], None]
"""Makes single cells, of 8 bits, of what archives were unpacked to below a folder, in their place (`wbc.data.cut`)."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One file. It has addresses (`urls`, tried in this order), an id on Google Drive, or is fetched `by_hand`."""

    folder: str
    """Where below the image root it is extracted; a split's name if the archive is one split."""
    urls: tuple[str, ...] = ()
    drive_id: str | None = None
    by_hand: str = ""
    """How a person gets the file: a sentence; needed where there is no address."""
    name: str | None = None
    """What the file is called here, where its address does not end so; its kind is found by its first bytes."""
    members: str = ""
    """Pattern of the members of a zip or tar that are unpacked, found anywhere in their names; empty: all."""
    in_parts: bool = False
    """Whether only these members of a zip are downloaded, by range requests: for archives of tens of GB."""
    about_mb: int | None = None
    """Size in MB as others quote it: for the reader of an error, not checked."""
    sha256: str | None = None
    """Published by the host, so checked. None: recorded when first used, checked from then on."""
    shared_with: str | None = None
    """Another domain that is cut from the same archive: its folder on a mirror is looked into as well."""

    @property
    def basename(self) -> str:
        """The file's name, on a mirror and below `archives/`."""
        return self.name or unquote(urlsplit(self.urls[0]).path).rsplit("/", 1)[-1]

    @property
    def origin(self) -> str:
        """The address of record; empty if there is none."""
        drive = f"https://drive.google.com/uc?id={self.drive_id}" if self.drive_id else ""
        return self.urls[0] if self.urls else drive


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What is known of how a lab's images came about: its own words or its paper's, else "not stated"."""

    creator: str = NOT_STATED
    published: str = NOT_STATED
    """The year."""
    site: str = NOT_STATED
    patients: str = NOT_STATED
    stain: str = NOT_STATED
    microscope: str = NOT_STATED
    camera: str = NOT_STATED
    magnification: str = NOT_STATED
    labelled_by: str = NOT_STATED
    faults: str = NOT_STATED
    """Known faults of the files."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Images from one laboratory: downloaded (`archives`), drawn (`staining`) or somebody's folder (`path`)."""

    key: str
    title: str
    read: Reader
    counts: Mapping[str, Counts | int]
    """Images per split that must be there, by class where that is known. Empty: not checked; the one split is "all"."""
    licence: str
    citation: str
    page: str
    """Where a human reads about the set, and downloads it by hand."""
    archives: tuple[Archive, ...] = ()
    staining: str | None = None
    path: Path | None = None
    total: Counts | None = None
    """Images per class over all splits, where those of each split are not known."""
    cut: Cut | None = None
    """Makes cells of the archives' images; None: they are cells already."""
    sheet: Sheet = Sheet()
    dropped: str = "nothing"
    """What is in the files and not in the benchmark, and why."""
    caution: str = ""
    """What a reader of the scores must know."""
    crop: float = 1.0
    """The share of each side of an image that is taken, from the centre: above 0, at most 1, which is all of it."""
    crop_reason: str = ""
    """Why, and how it was chosen; no score of any model may be among the grounds."""
    pictures: bool = False
    """Whether its licence lets a report show its cells. "Free to use" without more lets nobody hand them on."""
    train_split: str | None = None
    """The split meant when the domain is named as a source; None: a source must name its split."""
    contents: str = ""
    """The SHA-256 of all images with their labels (`wbc.data.manifest.digest`), whatever the archive is packed like.
    Empty: nobody who wrote this catalogue had the files; then the archives' SHA-256 are recorded when first used.
    """
    group: str = ""
    """Pattern at the start of a file's name that says the slide or field, whose images stay together. Empty: none.
    """

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise ConfigError(f"{self.key}: crop={self.crop:g}: must be above 0 and at most 1, the whole image.")

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits, in the catalogue's order."""
        return tuple(self.counts) or ("all",)

    @property
    def class_counts(self) -> dict[str, Counts]:
        """The counts of the splits whose classes are known."""
        return {split: each for split, each in self.counts.items() if not isinstance(each, int)}

    @property
    def parts(self) -> tuple[str, ...]:
        """What the catalogue's domain of one split is cut into, so that it can be trained on and tested: see `divide`.

        Its one split, "all", stays whole beside them.
        """
        return ("train", "test") if self.path is None and self.splits == ("all",) else ()

    def home_of(self, split: str) -> str:
        """Returns the split that is scored at home by a run that trains on `split`."""
        return "test" if split in self.parts else self.test_splits[0]

    @property
    def test_splits(self) -> tuple[str, ...]:
        """The splits meant when the domain is named as a target: all but the training split, or the only one."""
        return tuple(split for split in self.splits if split != self.train_split) or self.splits

    @property
    def slug(self) -> str:
        """The domain's name in letters, digits, _ and -, as metrics and files carry it; at most 57 characters.

        A folder's is its last part and a hash of its path and crop, so that no two folders share a name.
        """
        if self.path is None:
            return self.key
        plain = unicodedata.normalize("NFKD", self.path.name).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_")[:_LONGEST]
        seen = str(self.path) + (f"?crop={self.crop:g}" if self.crop < 1 else "")
        return "_".join(filter(None, ["folder", base, hashlib.sha256(seen.encode()).hexdigest()[:8]]))

    def group_of(self, path: str) -> str:
        """Returns the name that an image shares with all others of its slide; its own path where none is known."""
        found = re.match(self.group, path.rsplit("/", 1)[-1]) if self.group else None
        return found[0] if found else path

    def origin(self, split: str) -> str:
        """Returns the address or path that a split came from."""
        if self.path is not None:
            return str(self.path)
        if self.staining is not None:
            return f"drawn by wbc.data.drawn.smears, staining {self.staining}"
        own = next((archive for archive in self.archives if archive.folder == split), self.archives[0])
        return own.origin or self.page
