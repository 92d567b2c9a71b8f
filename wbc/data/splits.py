"""Names of splits as a user types them: "raabin:test_b", "bccd", "folder:PATH"."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbc.data.catalog import DOMAINS, FOLDER, find_domain
from wbc.data.domain import Domain
from wbc.errors import ConfigError, unknown

_LONGEST: Final = 256
"""No file's name has so many letters."""


@dataclass(frozen=True)
class Split:
    """One split of one domain."""

    key: str
    """A row of `DOMAINS`, or folder: and an absolute path."""
    split: str

    @property
    def name(self) -> str:
        """The split's name in metrics and files, no other's: "raabin_test_b", "bccd", "folder_<last part>_<hash>"."""
        slug = find_domain(self.key).slug
        return slug if self.split == "all" else f"{slug}_{self.split}"

    def overlaps(self, other: "Split") -> bool:
        """Returns whether both hold the same images, or one holds a part of the other: `bccd` holds `bccd:train`."""
        return self.key == other.key and (self.split == other.split or "all" in (self.split, other.split))

    def __str__(self) -> str:
        return self.key if self.split == "all" else f"{self.key}:{self.split}"


def split_list(text: str) -> list[str]:
    """Returns the items of a list of domains or splits by commas or spaces; a folder's path may hold both.

    A comma or space in a path parts two items only before `folder:` or a catalogue key.
    """
    # A folder without `folder:`, whose name may have spaces: whoever looks it up says how to write it.
    if not text.startswith(FOLDER) and len(text) < _LONGEST and Path(text).is_dir():
        return [text]
    first, *rest = re.split(r"(\s*,\s*|\s+)", text.strip())
    items = [first]
    for gap, part in zip(rest[::2], rest[1::2], strict=True):
        if items[-1].startswith(FOLDER) and part.partition(":")[0] not in DOMAINS and not part.startswith(FOLDER):
            items[-1] += gap + part
        else:
            items.append(part)
    return items


def lab_of(text: str) -> str:
    """Returns the lab of a split as it is typed: its domain's key, or the folder."""
    return text if text.startswith(FOLDER) else text.partition(":")[0]


def split_named(name: str, further: Iterable[Split] = ()) -> Split | None:
    """Returns the split that goes by a name in metrics and files: of the catalogue, or a further one; None for none."""
    own = [Split(row.key, split) for row in DOMAINS.values() for split in (*row.splits, *row.parts)]
    return next((each for each in (*own, *further) if each.name == name), None)


def parse_source(text: str) -> Split:
    """Returns the split to train on: the one that `text` names, or the domain's training split.

    Raises:
        ConfigError: An unknown domain or split, or a domain that is meant for testing only.
    """
    domain, split = _parse(text)
    split = split or domain.train_split
    if split is None:
        raise ConfigError(
            f"'{domain.key}' is meant for testing and has no training split; to train on it all the same, name the "
            f"split: {', '.join(f'{domain.key}:{each}' for each in (*domain.splits, *domain.parts))}."
        )
    return Split(domain.key, split)


def parse_sources(text: str) -> tuple[Split, ...]:
    """Returns the splits to train on that a comma-separated list names, in its order.

    Raises:
        ConfigError: As for `parse_source`; an empty list or item, or a split that is named twice.
    """
    return _each_once("sources", text, [parse_source(item) for item in _items("sources", text)])


def expand_targets(text: str) -> tuple[Split, ...]:
    """Returns the splits that a comma-separated list names, in its order; a bare domain stands for its test splits.

    Raises:
        ConfigError: An empty list or item, an unknown domain or split, or a split that is named twice.
    """
    splits: list[Split] = []
    for item in _items("targets", text):
        domain, split = _parse(item)
        splits += [Split(domain.key, each) for each in ([split] if split else domain.test_splits)]
    return _each_once("targets", text, splits)


def _items(kind: str, text: str) -> list[str]:
    items = split_list(text)
    if not all(items):
        raise ConfigError(f"empty name among the {kind} '{text}'; write for example 'raabin:test_a,lisc'.")
    return items


def _each_once(kind: str, text: str, splits: list[Split]) -> tuple[Split, ...]:
    twice = next((split for split in splits if splits.count(split) > 1), None)
    if twice:
        raise ConfigError(f"the {kind} '{text}' name {twice} twice: name each split once.")
    return tuple(splits)


def _parse(text: str) -> tuple[Domain, str | None]:
    text = text.strip()
    if text.startswith(FOLDER):  # the whole rest is the path
        return find_domain(text), None
    key, colon, split = text.partition(":")
    domain = find_domain(key)
    known = (*domain.splits, *domain.parts)
    if colon and split not in known:
        raise unknown(f"split of {key}", split, known)
    return domain, split if colon else None
