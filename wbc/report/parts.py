"""What a report is made of, once it is made: the result in words, what stands first, the rest, and what is lacking."""

from dataclasses import dataclass

from wbc.report.render import Table
from wbc.report.style import Plot


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A table or figure that is not made, and why."""

    name: str
    why: str
    """The end of a sentence: "there are fewer than five seeds"."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The result in words."""

    title: str
    """What the report is of."""
    sentences: tuple[str, ...]
    """What came out, one for each lab."""
    paragraphs: tuple[str, ...] = ()
    """What came out of methods and adaptations, or of more labs."""
    warning: str = ""
    """What must be known before anything else is read; empty: nothing."""
    caveats: tuple[str, ...] = ()
    """What limits the result."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image of a gallery."""

    jpeg: bytes
    lines: tuple[str, ...]
    """What stands below it."""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Images on the page, which PDF and LaTeX leave out."""

    name: str
    title: str
    note: str
    """How to read it, and whose images they are."""
    groups: tuple[tuple[str, tuple[Tile, ...]], ...]
    """Images that stand together, each group with its heading."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A report's tables and figures, made and written."""

    headline: Headline
    first: tuple[Table | Plot, ...]
    """What a reader sees below the headline."""
    tables: tuple[Table, ...]
    """All others, in order."""
    plots: tuple[Plot, ...]
    """All others, in order."""
    galleries: tuple[Gallery, ...]
    not_run: tuple[str, ...]
    """Sentences on what is lacking, and why."""
