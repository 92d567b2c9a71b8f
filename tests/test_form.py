"""Files and functions of the package stay short."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "wbc").rglob("*.py"))


def body_lines(function: ast.FunctionDef) -> int:
    """Returns the lines of a function below its signature and docstring."""
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    return statements[-1].end_lineno - statements[0].lineno + 1 if statements else 0  # type: ignore[operator]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_file_and_its_functions_are_short(file: Path) -> None:
    text = file.read_text()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert text.count("\n") <= 300
    assert not [(each.name, body_lines(each)) for each in functions if body_lines(each) > 40]
