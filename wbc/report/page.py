"""`report.html`: tables, figures and the provenance of every number in one file that opens from disk."""

import base64
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import jinja2
from markupsafe import Markup, escape
from PIL import Image

from wbc.report.names import spoken
from wbc.report.parts import Parts
from wbc.report.render import Table
from wbc.report.study import ScoredRun, Study
from wbc.tracking.read import StoredDataset, StoredRun
from wbc.words import number_of


def write_page(study: Study, parts: Parts, folder: Path) -> None:
    """Writes `report.html` of a study and what was made of it; pictures are read from `figures/` below `folder`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("report.html.jinja").render(
        study=study,
        parts=parts,
        picture=lambda plot: _embedded(folder / "figures" / f"{plot.name}.png"),
        base64=lambda content: base64.b64encode(content).decode(),
        row_header=_row_header,
        spoken=spoken,
        number_of=number_of,
        breakable=_breakable,
        unbroken=_unbroken,
        skipped=_skipped,
        anchors={name: re.sub(r"\W", "-", name) for name in (study.label(run.arm) for run in study.runs)},
        datasets=_datasets(study.runs),
        environment=_environment(study.runs),
        link=_link,
        sort_key=_sort_key,
        moment=_moment,
    )
    (folder / "report.html").write_text(text, encoding="utf-8")


def _embedded(path: Path) -> str:
    """Returns a picture for use within a page: with 256 colours it takes a third of the room."""
    small = io.BytesIO()
    picture = Image.open(path, formats=["PNG"]).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(small, "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def _sort_key(value: float | None) -> str | None:
    """Returns a number as JavaScript reads it; None for one that is not there or not defined."""
    if value is None or math.isnan(value):
        return None
    return repr(value) if math.isfinite(value) else f"{'-' * (value < 0)}Infinity"


def _row_header(table: Table) -> int:
    """Returns the column that names a table's rows: the first that has a heading."""
    return next((place for place, heading in enumerate(table.header[: table.left]) if heading), 0)


def _skipped(table: Table) -> int:
    """Returns how many columns the page leaves out: the first, of the paper's rows, where no row is the paper's."""
    indexed = any(row[0].text for group in table.groups for row in group)
    return int(table.left > 1 and not table.header[0] and not indexed)


def _breakable(text: str) -> Markup:
    """Returns a heading that narrow screens break after an underscore, and not within "(n = 257)"."""
    return Markup(escape(text.replace("(n = ", "(n\u00a0=\u00a0")).replace("_", Markup("_<wbr>")))


def _unbroken(text: str) -> str:
    """Returns a sentence whose lines end neither before "%" nor within "p = 0.045"."""
    return re.sub(r"(?<=\d) (?=%)|(?<=\bp) (?=[=<])|(?<=\bp [=<]) (?=\d)", "\u00a0", text)


def _link(run: StoredRun) -> Markup:
    code = Markup("<code>{}</code>").format(run.id)
    return Markup('<a href="{}">{}</a>').format(run.link, code) if run.link else code


def _moment(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC") if moment else "–"


def _datasets(runs: Iterable[ScoredRun]) -> list[dict[str, str]]:
    found = {(each.name, each.digest): each for run in runs for each in run.stored.datasets}
    return [
        {"name": each.name, "context": each.context, "digest": each.digest, "origin": _origin(each)}
        for _, each in sorted(found.items())
    ]


def _origin(dataset: StoredDataset) -> str:
    """Returns where a data set is from: an address as it is, of a path its last part alone."""
    try:
        source = json.loads(dataset.origin)
    except ValueError:
        source = dataset.origin
    origin = str(source.get("url") or source.get("uri") or source) if isinstance(source, dict) else str(source)
    return f"folder {Path(origin).name}" if origin.startswith(("/", "file:")) else origin


def _environment(runs: Sequence[ScoredRun]) -> dict[str, str]:
    """Returns what the runs ran on, each value once."""
    values: dict[str, list[str]] = {}
    for run in runs:
        libraries = ", ".join(f"{name} {version}" for name, version in (run.environment.get("libraries") or {}).items())
        for name, value in {
            **run.environment,
            "libraries": libraries,
            "gpus": ", ".join(run.environment.get("gpus") or []),
        }.items():
            text = str(value) if value not in (None, "") else "none"
            if text not in values.setdefault(name, []):
                values[name].append(text)
    return {name: "; ".join(texts) for name, texts in values.items()}
