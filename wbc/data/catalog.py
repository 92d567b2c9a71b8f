"""The benchmark's domains, each with what is known of it, and the look-up by name.

Counts are in the order Basophil, Eosinophil, Lymphocyte, Monocyte, Neutrophil.
"""

from pathlib import Path
from typing import Final

from wbc.data.disk import is_text
from wbc.data.domain import Domain, Sheet
from wbc.data.further_labs import FURTHER_LABS
from wbc.data.labs import LABS
from wbc.data.layouts import read_class_folders, read_split_folders
from wbc.errors import ConfigError, unknown
from wbc.surroundings import expanded

SMEAR_SIZE_PX: Final = 64
_DRAWN: Final = Sheet(creator="This project", published="2026", site="none: drawn by code", patients="none")
FOLDER: Final = "folder:"
_CROP: Final = "?crop="
_SMEARS: Final = (
    Domain(
        key="smears_source",
        title="Drawn smears, source staining",
        read=read_split_folders,
        staining="source",
        # Near Raabin's proportions, with enough of the rare classes to learn from.
        counts={"train": (100, 165, 375, 140, 720), "test": (10, 26, 72, 22, 170)},
        train_split="train",
        pictures=True,
        licence="MIT, as this project, whose code draws them.",
        citation="Drawings, no patient's cells: wbc/data/drawn/smears.py.",
        page="wbc/data/drawn/smears.py",
        caution="Drawings: scores say that the code works, nothing about blood.",
        sheet=_DRAWN,
    ),
    Domain(
        key="smears_target",
        title="Drawn smears, target staining",
        read=read_split_folders,
        staining="target",
        counts={"all": (55, 39, 59, 48, 56)},  # LISC's
        pictures=True,
        licence="MIT, as this project, whose code draws them.",
        citation="Drawings, no patient's cells: wbc/data/drawn/smears.py.",
        page="wbc/data/drawn/smears.py",
        caution="Drawings: scores say that the code works, nothing about blood.",
        sheet=_DRAWN,
    ),
)
DOMAINS: Final[dict[str, Domain]] = {domain.key: domain for domain in (*LABS, *FURTHER_LABS, *_SMEARS)}


def find_domain(key: str) -> Domain:
    """Returns the domain of a key: a row of `DOMAINS`, or `folder:PATH[?crop=SHARE]` for a tree of <Class>/<image>.

    Raises:
        ConfigError: No such domain, of which the message names the nearest one, or no such crop.
    """
    if key.startswith(FOLDER):
        return _folder_domain(key.removeprefix(FOLDER))
    if "/" in key or (key not in DOMAINS and key and Path(key).is_dir()):
        raise ConfigError(f"unknown domain '{key}': a folder of images is written folder:{key}.")
    if key not in DOMAINS:
        raise unknown("domain", key, [*DOMAINS, "folder:PATH"])
    return DOMAINS[key]


def _folder_domain(text: str) -> Domain:
    if not text.strip():
        raise ConfigError("'folder:' names no folder; write folder:PATH, where PATH holds a folder for each class.")
    text, cropped, share = text.partition(_CROP)
    try:
        crop = float(share) if cropped else 1.0
    except ValueError:
        raise ConfigError(f"'{FOLDER}{text}{_CROP}{share}': crop must be a number, such as {_CROP}0.6.") from None
    path = expanded(text).resolve() if is_text(text) else Path(text)
    if not is_text(str(path)):
        raise ConfigError(f"the path {str(path)!a} is not UTF-8, or holds a control character: rename the folder.")
    return Domain(
        key=f"{FOLDER}{path}" + (f"{_CROP}{crop:g}" if crop != 1 else ""),
        crop=crop,
        crop_reason="Chosen by the user." if cropped else "",
        title=f"Images in {path}",
        read=read_class_folders,
        path=path,
        counts={},
        train_split="all",
        pictures=True,
        licence="Not known: a folder of the user's.",
        citation="Not known: a folder of the user's.",
        page=str(path),
        dropped="Folders that are no class's.",
    )
