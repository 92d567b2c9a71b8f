"""What a laboratory's names of classes mean: its own mapping first, then the common spellings."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from wbc.cells import CLASSES, class_index
from wbc.config import split_names
from wbc.errors import ConfigError
from wbc.report.study import typed

UNLABELLED = -1
"""The label of a cell that has none."""
_NONE = "none"
_ANY_CELL: Final = re.compile(r"(wbcs?|white[\s_-]?blood[\s_-]?cells?|leu[ck]o[cz]yt\w{0,3}|cells?)")
"""What a box is called where nobody has said which white blood cell it holds."""


def read_mapping(text: str | None) -> dict[str, int]:
    """Returns what `--classes` says: by a name in small letters its class, or UNLABELLED for "none".

    Raises:
        ConfigError: an item is not NAME=CLASS, its class is not known, or a name stands for two classes.
    """
    mapping: dict[str, int] = {}
    for item in split_names(text) if text else ():
        name, equals, value = item.rpartition("=")
        label = UNLABELLED if value.strip().lower() == _NONE else class_index(value)
        if not (equals and name.strip()) or label is None:
            raise ConfigError(
                f"classes={item}: write NAME=CLASS, such as Segs=Neutrophil; CLASS is one of {', '.join(CLASSES)}, or "
                f"{_NONE} for cells without a label."
            )
        if mapping.setdefault(_key(name), label) != label:
            raise ConfigError(f"classes={text}: '{name.strip()}' stands for two classes: name it once.")
    return mapping


def label_of(name: str, mapping: Mapping[str, int]) -> int | None:
    """Returns the class that a name means, UNLABELLED where the mapping says so; None for a name that means none."""
    return mapping.get(_key(name), class_index(name))


def label_of_box(name: str, mapping: Mapping[str, int]) -> int | None:
    """Returns the class that a box's name means, UNLABELLED for any white blood cell; None for a name of others."""
    label = label_of(name, mapping)
    return UNLABELLED if label is None and _ANY_CELL.fullmatch(_key(name)) else label


def how_to_map(names: Iterable[str]) -> str:
    """Returns the variable of `make assess` that would give names a class; one with a comma cannot be given one."""
    return typed("CLASSES", ",".join(f"{name}=CLASS" for name in names if "," not in name))


def _key(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())  # macOS parts letters from their accents
