"""The names of tags, metrics and artifacts stand in one module."""

import re
from pathlib import Path

import wbc

WBC = Path(wbc.__file__).parent
NAMES = r"accuracy/|test/|train/|scored_as\.|sha256\.|checkpoint/|predictions/|embeddings/|samples/|confusion/|claim\."


def test_names_are_spelled_in_the_schema_alone() -> None:
    literal = re.compile(rf"""f?["']({NAMES}|(config|environment)\.json["'])""")
    found = {
        f"{file.relative_to(WBC)}: {match[0]}"
        for file in WBC.rglob("*.py")
        for match in literal.finditer(file.read_text())
    }
    assert {line.partition(":")[0] for line in found} == {"tracking/schema.py"}, found
