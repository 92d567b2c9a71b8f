"""The page of an assessment: one HTML file that opens from disk, and a PDF of two pages where LaTeX is there."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2

from wbc.assess.gallery import Tile
from wbc.assess.sheet import PAGE
from wbc.assess.verdict import Verdict
from wbc.cells import CLASSES
from wbc.report.latex import compile_document
from wbc.report.render import Table, tex_escape, write_table
from wbc.report.style import Plot, save

NO_DEVICE: Final = (
    "This is research software and no medical device. "
    "It must not be used for diagnosis, or for any decision about a patient."
)
MOST_ROWS: Final = 14
"""A table of more rows is not printed: the page and a CSV have it."""
_TEMPLATES: Final = Path(__file__).parent / "templates"
_LATEX: Final = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One section of the page: a heading, a sentence or two, and what they rest on."""

    title: str
    words: str
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    printed: bool = True
    """Whether the PDF has it."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """All that the page says."""

    title: str
    verdict: Verdict
    warnings: tuple[str, ...]
    parts: tuple[Part, ...]
    tiles: tuple[Tile, ...]
    taken_for: tuple[tuple[str, str, int], ...]
    found: str
    """What boxes there were, in a sentence; empty: none."""
    left_out: str
    how_to_map: str
    """The option that would map names that were left out; empty: none was."""
    rules: tuple[str, ...]
    next_steps: tuple[tuple[str, str], ...]
    """What to do next: words, and the command."""
    about: Mapping[str, str]
    """What was done, for whoever does it again."""


def write_figures(parts: Assessment, folder: Path) -> None:
    """Writes the figures and tables into `figures/` and `tables/` below a folder."""
    for name in ("figures", "tables"):
        (folder / name).mkdir()
    for part in parts.parts:
        for plot in part.plots:
            if plot.figure:
                save(plot.figure, folder / "figures", plot.name)
        for table in part.tables:
            write_table(table, folder / "tables")


def template(name: str) -> jinja2.Template:
    """Returns a template of HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(name)


def render(assessment: Assessment, folder: Path, *, cells: bool) -> str:
    """Returns the page; the figures are read from `folder`. Without `cells` it has no thumbnail and no file's name."""
    return template("assess.html.jinja").render(
        it=assessment,
        tiles=assessment.tiles if cells else (),
        cells=cells,
        label_page=PAGE,
        classes=CLASSES,
        no_device=NO_DEVICE,
        picture=lambda plot: base64.b64encode((folder / "figures" / f"{plot.name}.png").read_bytes()).decode(),
    )


def write_pdf(assessment: Assessment, folder: Path) -> str | None:
    """Writes `report.tex`, and `report.pdf` where LaTeX is installed; returns why there is none, else None."""
    options: dict[str, Any] = {"autoescape": False, "trim_blocks": True, "lstrip_blocks": True, **_LATEX}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), undefined=jinja2.StrictUndefined, **options
    )
    environment.filters["tex"] = tex_escape
    text = environment.get_template("assess.tex.jinja").render(
        it=assessment,
        printed=[part for part in assessment.parts if part.printed],
        most_rows=MOST_ROWS,
        no_device=NO_DEVICE,
    )
    (folder / "report.tex").write_text(text, encoding="utf-8")
    return compile_document(folder)
