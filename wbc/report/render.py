"""A table as it is read, and its three forms: LaTeX with booktabs, Markdown, and CSV with every number in full."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from wbc.report.statistics import ALPHA

NOTHING: Final = "–"
_FORMULA: Final = re.compile(r"[=+@-](?![\d.]*$)")
_TEX: Final = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"},
    **{">": r"\textgreater{}", "±": r"$\pm$", "−": "$-$", "–": "--", "✓": r"$\checkmark$", "×": r"$\times$"},
    **{"→": r"$\rightarrow$", "'": "'", "≥": r"$\geq$", "≤": r"$\leq$", "≈": r"$\approx$", "|": r"\textbar{}"},
    **{"∞": r"$\infty$", "…": r"\ldots{}", "’": "'", "“": "``", "”": "''", "‡": r"$\ddagger$"},
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One value as it is printed."""

    text: str
    second: str = ""
    """A second line, set smaller: the interval over seeds and images."""
    bold: bool = False
    sort: float | None = None
    """What a column is sorted by; None: the text."""
    key: str = ""
    """Of a cell that names an arm: what commands and CSV files call it."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with its caption; rows of one group stand together."""

    name: str
    """The file's name, without suffix."""
    title: str
    note: str
    """How to read it: n, seeds, tests."""
    header: tuple[str, ...]
    groups: tuple[tuple[tuple[Cell, ...], ...], ...]
    left: int
    """How many columns, from the first, hold text, set flush left."""
    data: pd.DataFrame
    """The same numbers in full, a row for each observation."""
    appendix: bool = False
    """Whether a printed report has it at its end."""
    wide: int | None = None
    """The column whose text is long enough to be broken into lines."""


def cells(*values: str | Cell) -> tuple[Cell, ...]:
    """Returns a row; plain strings become cells."""
    return tuple(value if isinstance(value, Cell) else Cell(text=value) for value in values)


def percent(value: float) -> str:
    """Returns a share in percent to two decimals, and a dash for one that is not defined."""
    return NOTHING if np.isnan(value) else f"{100 * value:.2f}"


def p_value(p: float) -> str:
    """Returns a p to three decimals: "0.045", "< 0.001", and "< 0.05" where these would be 0.050 of a smaller one."""
    if np.isnan(p):
        return NOTHING
    if p < 0.001:
        return "< 0.001"
    text = f"{p:.3f}"
    return "< 0.05" if text == "0.050" and p < ALPHA else text


def tex_escape(text: str) -> str:
    """Returns text as LaTeX prints it, on one line; a question mark for letters that its Latin fonts have not."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return "".join(_TEX.get(character, character if ord(character) < 0x180 else "?") for character in line)


def to_tex(table: Table) -> str:
    r"""Returns a `tabular` to be read in by \input; it needs the packages booktabs and amssymb."""
    columns = ["l"] * table.left + ["r"] * (len(table.header) - table.left)
    if table.wide is not None:
        columns[table.wide] = r"p{0.42\linewidth}"
    lines = [
        "% needs \\usepackage{booktabs,amssymb}",
        f"\\begin{{tabular}}{{@{{}}{''.join(columns)}@{{}}}}",
        r"\toprule",
    ]
    lines.append(_tex_row(map(tex_escape, table.header)))
    for group in table.groups:
        lines.append(r"\midrule")
        for row in group:
            texts = [tex_escape(cell.text) for cell in row]
            texts = [f"\\textbf{{{text}}}" if cell.bold else text for cell, text in zip(row, texts, strict=True)]
            lines.append(_tex_row(texts))
            if any(cell.second for cell in row):
                small = [f"{{\\scriptsize {tex_escape(cell.second)}}}" if cell.second else "" for cell in row]
                lines.append(_tex_row(small))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _tex_row(cells: Iterable[str]) -> str:
    r"""Returns a line of a tabular; "{}" keeps a [ or * at its beginning from the \\ before it, which would take it."""
    line = " & ".join(cells)
    return f"{'{}' * line.startswith(('[', '*'))}{line} \\\\"


def to_markdown(table: Table) -> str:
    """Returns the table with its title and note."""
    alignment = ["---"] * table.left + ["---:"] * (len(table.header) - table.left)
    lines = [f"**{table.title}**", "", _pipes(table.header), _pipes(alignment)]
    for group in table.groups:
        for row in group:
            texts = [_markdown(cell.text) for cell in row]
            texts = [f"**{text}**" if cell.bold else text for cell, text in zip(row, texts, strict=True)]
            lines.append(
                _pipes([f"{t}<br>{_markdown(c.second)}" if c.second else t for c, t in zip(row, texts, strict=True)])
            )
    return "\n".join([*lines, "", table.note, ""])


def write_table(table: Table, folder: Path) -> None:
    """Writes `<name>.tex`, `.md` and `.csv`."""
    (folder / f"{table.name}.tex").write_text(to_tex(table), encoding="utf-8")
    (folder / f"{table.name}.md").write_text(to_markdown(table), encoding="utf-8")
    inert(table.data).to_csv(folder / f"{table.name}.csv", index=False, float_format="%.6g", lineterminator="\n")


def inert(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table of which a spreadsheet takes no text for a formula: such a one begins with an apostrophe."""
    return table.map(lambda value: f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value)


def _pipes(values: "tuple[str, ...] | list[str]") -> str:
    return f"| {' | '.join(values)} |"


def _markdown(text: str) -> str:
    return re.sub(r"([|*_<`\\])", r"\\\1", text)
