"""The page to label cells on: their pictures, and what somebody sees; it saves the table that `assess` reads."""

import hashlib
from typing import Final

import pandas as pd

from wbc.assess.gallery import jpeg
from wbc.assess.page import template
from wbc.assess.sheet import DRAWN, REST
from wbc.assess.slides import Slides
from wbc.cells import CLASSES
from wbc.data.decode import map_images

SIZE_PX: Final = 128


def label_page(slides: Slides, ordered: list[tuple[int, str]], table: pd.DataFrame, command: str) -> str:
    """Returns the page with the cells to label first; `command` reads back what it saves, which is all of `table`."""
    shown = [slides.cells[row] for row, why in ordered if why != REST]
    return template("label.html.jinja").render(
        title=slides.title,
        drawn=min(DRAWN, len(shown)),
        classes=CLASSES,
        command=command,
        jpegs=list(map_images(lambda cell: jpeg(cell, SIZE_PX), shown, f"{slides.title}: pictures to label")),
        columns=list(table.columns),
        rows=table.to_numpy().tolist(),
        digest=hashlib.sha256(table.to_csv().encode()).hexdigest(),
    )
