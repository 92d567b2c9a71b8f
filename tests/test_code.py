import ast
import re
import subprocess
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.forks import run_anew
from wbc import code
from wbc.code import code_version, git_commit, serving_requirements

ROOT = Path(__file__).parents[1]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_git_commit_is_that_of_the_checkout() -> None:
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    assert (git_commit() or "").removesuffix("+") == done.stdout.strip()


def test_code_version_ignores_comments_and_docstrings_and_sees_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.py").write_text("def f():\n    return 1\n")
    monkeypatch.setattr(code, "PACKAGE", tmp_path)
    first = code_version.__wrapped__(("models",))
    (tmp_path / "models" / "a.py").write_text('"""What."""\ndef f():\n    """Why."""\n    return  1  # because\n')
    assert code_version.__wrapped__(("models",)) == first
    (tmp_path / "models" / "a.py").write_text("def f():\n    return 2\n")
    assert code_version.__wrapped__(("models",)) != first


def test_serving_requirements_cover_what_the_served_model_imports() -> None:
    script = "import sys, wbc.serving; print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'wbc'))"
    files = run_anew(ROOT, "-c", script).stdout.split()
    nodes = [node for file in files for node in ast.walk(ast.parse(Path(file).read_text()))]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    known = packages_distributions()
    needed = {normal(name) for module in imported for name in known.get(module.split(".")[0], [])}
    assert files
    assert needed <= {normal(requirement.split("==")[0]) for requirement in serving_requirements()}
