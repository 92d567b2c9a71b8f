"""Imports point one way, as the design says; reading the store takes no torch, and tracking alone knows MLflow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A module may import those of its own rank and of the ranks after it; wbc itself and its surroundings come last.
RANKS = (
    ("entrypoints",),
    ("wbc.sweep", "wbc.assess", "wbc.doctor", "wbc.store_check", "wbc.audit"),
    ("wbc.report", "wbc.analysis"),
    ("wbc.run", "wbc.scoring", "wbc.inputs", "wbc.identity", "wbc.serving", "wbc.studies", "wbc.study_files"),
    ("wbc.tracking",),
    ("wbc.training",),
    ("wbc.methods",),
    ("wbc.data", "wbc.models", "wbc.evaluation", "wbc.recipes", "wbc.outcome"),
    ("wbc.config", "wbc.settings", "wbc.seeding", "wbc.environment", "wbc.compute", "wbc.processes"),
    ("wbc.cells", "wbc.errors", "wbc.arms", "wbc.code"),
)
MODULES = sorted(file for folder in ("wbc", "entrypoints") for file in (ROOT / folder).rglob("*.py"))


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def rank_of(module: str) -> int:
    for rank, prefixes in enumerate(RANKS):
        if any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes):
            return rank
    return len(RANKS)


def imports_of(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_imports_point_one_way(file: Path) -> None:
    own = rank_of(name_of(file))
    upward = {module for module in imports_of(file) if module.split(".")[0] in ("wbc", "entrypoints")}
    assert not {module for module in upward if rank_of(module) < own}


def test_only_tracking_imports_mlflow() -> None:
    users = {name_of(file) for file in MODULES if any(module.split(".")[0] == "mlflow" for module in imports_of(file))}
    assert {name.rpartition(".")[0] for name in users} == {"wbc.tracking"}


def test_kit_of_reports_knows_no_report() -> None:
    kit = [file for file in MODULES if file.parent == ROOT / "wbc" / "report"]
    assert {file.name for file in kit} >= {"query.py", "study.py", "report.py"}
    assert not {module for file in kit for module in imports_of(file) if module.startswith("wbc.report.paper")}


@pytest.mark.parametrize(
    "modules",
    ["wbc.report.paper.contents, wbc.report.report", "wbc.sweep.reproduce, wbc.sweep.runners.local", "wbc.store_check"],
)
def test_what_only_reads_the_store_does_not_import_torch(modules: str) -> None:
    script = f"import sys, {modules}; print({{'torch', 'timm', 'torchvision'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT).stdout == "set()\n"
