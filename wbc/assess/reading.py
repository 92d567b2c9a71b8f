"""What a laboratory brings, a folder or a table, becomes its cells; nothing is decoded."""

import logging
from collections.abc import Mapping
from typing import Final

from wbc.assess.folder import read_folder
from wbc.assess.slides import Slides
from wbc.assess.table import read_table
from wbc.data.catalog import FOLDER, find_domain
from wbc.errors import DataError, shown

TABLE: Final = (".csv", ".tsv", ".txt")
_log = logging.getLogger(__name__)


def read_slides(text: str, mapping: Mapping[str, int]) -> Slides:
    """Returns the cells of a folder or table; nothing is decoded.

    Raises:
        DataError: a crop is part of the name, there is no such folder or table, it holds no image, a file or label of
            the table is none, or boxes cannot be read.
    """
    domain = find_domain(f"{FOLDER}{text.removeprefix(FOLDER)}")
    path = domain.path
    if domain.crop < 1:
        raise DataError(f"'{text}': here the crop is an option of its own: --crop {domain.crop:g}.")
    assert path is not None
    named = Slides(
        name=domain.slug.removeprefix("folder_"), title=shown(path.name), cells=(), taken_for=(), left_out={}
    )
    if path.is_file():
        if path.suffix.lower() not in TABLE:
            raise DataError(f"'{path}' is one file: name a folder of images, or a CSV of path, label, slide, patient.")
        return read_table(path, named, mapping)
    if not path.is_dir():
        raise DataError(f"there is no folder or table '{path}'.")
    slides = read_folder(path, named, mapping)
    if slides.found:
        _log.info("%s: %s", slides.title, slides.found)
    return slides
