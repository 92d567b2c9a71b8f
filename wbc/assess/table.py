"""The cells of a table: path, and where they are known label, slide, patient, and the box of a cell on its field."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from wbc.assess.names import UNLABELLED, how_to_map, label_of
from wbc.assess.slides import RANDOM, Cell, Slides, listed, said
from wbc.cells import CLASSES
from wbc.data.cut import Box
from wbc.data.disk import user_text
from wbc.errors import DataError
from wbc.words import number_of

_NAMED: Final = 5


def read_table(path: Path, named: Slides, mapping: Mapping[str, int]) -> Slides:
    """Returns `named` with the cells that a table lists.

    Raises:
        DataError: it lists none, a file that is not there, or a label or box that is none.
    """
    cells, missing, strange, taken = [], list[str](), Counter[str](), Counter[tuple[str, str]]()
    for row in _rows(path):
        label = label_of(row["label"], mapping) if row["label"] else UNLABELLED
        file = path.parent / row["path"]
        if label is None:
            strange[row["label"]] += 1
        elif not file.is_file():
            missing.append(row["path"])
        else:
            if row["label"]:
                taken[row["label"], said(label)] += 1
            box, name = _box(row["box"], path), " ".join([row["path"], *row["box"].split()])
            cells.append(Cell(file, name, label, row["slide"], row["patient"], row["draw"] or RANDOM, box))
    if strange:
        names = list(strange)[:_NAMED]
        raise DataError(
            f"'{path}' has {number_of(strange.total(), 'row')} with a label that is no class: "
            f"{', '.join(map(repr, names))}. Write one of {', '.join(CLASSES)}, leave it empty, or "
            f"add {how_to_map(names)}."
        )
    if missing:
        raise DataError(
            f"'{path}' has {number_of(len(missing), 'row')} without its file, such as '{missing[0]}': paths are "
            "absolute, or start from the table's folder."
        )
    if not cells:
        raise DataError(f"'{path}' lists no image.")
    cells.sort(key=lambda cell: cell.path)  # those of a field follow each other
    return replace(named, cells=tuple(cells), taken_for=listed(taken), left_out={})


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Yields the rows of a table of commas, semicolons or tabs, with the columns that are read, whatever their case."""
    columns = ("path", "label", "slide", "patient", "box", "draw")
    try:
        text = user_text(path)
        mark = max(",;\t", key=text.partition("\n")[0].count)
        reader = csv.DictReader(io.StringIO(text), delimiter=mark)
        reader.fieldnames = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        if "path" not in reader.fieldnames:
            raise DataError(f"'{path}' has no column 'path' in its first line; known columns: {', '.join(columns)}.")
        twice = next((name for name in columns if reader.fieldnames.count(name) > 1), None)
        if twice:
            raise DataError(f"'{path}' has the column '{twice}' twice: keep the one that you mean.")
        for row in reader:
            if any(row.get(None) or ()):
                raise DataError(
                    f"'{path}' has more cells than columns in the row of '{row['path']}': quote its commas."
                )
            if (row["path"] or "").strip():
                yield {name: (row.get(name) or "").strip() for name in columns}
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' is no CSV in UTF-8: save it again as such.") from error


def _box(text: str, table: Path) -> Box | None:
    if not text:
        return None
    try:
        left, top, right, bottom = map(float, text.split())
    except ValueError:
        raise DataError(f"'{table}' has the box '{text}': write left, top, right and bottom in pixels.") from None
    return Box(left, top, right, bottom)
