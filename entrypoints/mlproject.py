"""Writes MLproject from the options of wbc.config: `python -m entrypoints.mlproject`, or `make mlproject`."""

import dataclasses
import re
import textwrap
from pathlib import Path
from typing import Any, Final

from wbc.assess.options import AssessConfig, ExportConfig
from wbc.config import (
    AuditConfig,
    EvaluateConfig,
    PrepareConfig,
    ReportConfig,
    ReproduceConfig,
    TrainConfig,
    TuneConfig,
)

ENTRIES: Final[dict[str, type[Any]]] = {
    "prepare": PrepareConfig,
    "audit": AuditConfig,
    "train": TrainConfig,
    "tune": TuneConfig,
    "evaluate": EvaluateConfig,
    "reproduce": ReproduceConfig,
    "report": ReportConfig,
    "assess": AssessConfig,
    "export": ExportConfig,
}
_FILE: Final = Path(__file__).parents[1] / "MLproject"
_HEAD: Final = """\
# Made by `make mlproject` from the options in wbc/config.py. `auto` leaves a choice to the study.
name: wbc-benchmark

conda_env: conda.yaml

entry_points:
"""


def render() -> str:
    """Returns the text of MLproject: an entry point for each class of options, a parameter for each field."""
    return _HEAD + "".join(map(_entry, ENTRIES))


def _entry(name: str) -> str:
    defaults = {field.name: _text(field.default) for field in dataclasses.fields(ENTRIES[name])}
    parameters = "".join(f"      {key}: {{type: string, default: {value}}}\n" for key, value in defaults.items())
    command = " ".join([f"python3 -m entrypoints.{name}", *(f"--{key} {{{key}}}" for key in defaults)])
    lines = textwrap.fill(
        command, 110, initial_indent=" " * 6, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False
    )
    return f"  {name}:\n    parameters:\n{parameters}    command: >-\n{lines}\n"


def _text(default: object) -> str:
    words = {None: "auto", True: "'on'", False: "'off'"}  # YAML would read a bare on as true
    if default is None or isinstance(default, bool):
        return words[default]
    plain = not isinstance(default, str) or re.fullmatch(r"[A-Za-z][\w-]*", default)  # YAML would end a text at a comma
    return str(default) if plain else f"'{default}'"


if __name__ == "__main__":
    _FILE.write_text(render(), encoding="utf-8")
