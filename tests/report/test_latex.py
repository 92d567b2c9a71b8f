"""LaTeX, really compiled. Skips where Debian's texlive-latex-recommended (pdflatex) is not installed."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tests.report.conftest import WRONG, LogRun
from wbc.config import ReportConfig
from wbc.report.latex import compile_document
from wbc.report.paper.contents import PAPER
from wbc.report.render import inert, tex_escape
from wbc.report.report import write_report

needs_latex = pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex (texlive-latex-recommended)")
NASTY = "timm:[9cm]*a_b&c%d#e$f{g}~h^i\\j<k>l|m"


def compile_text(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "test.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "test.tex"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)


@needs_latex
def test_report_compiles_whatever_a_model_is_called(log_run: LogRun, options: ReportConfig) -> None:
    for model in ("resnet50", "vgg16", NASTY):
        for seed in (0, 1):
            log_run(model, seed, WRONG["resnet50", seed], fingerprint=f"{len(model)}-{seed}")
    folder = write_report(replace(options, models=None), PAPER)
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert {path.name for path in folder.iterdir()} == {
        *("report.html", "report.tex", "report.pdf", "numbers.tex", "tables", "figures")
    }
    for table in sorted((folder / "tables").glob("*.tex")):
        text = (
            rf"\documentclass{{article}}\usepackage{{booktabs,amssymb}}\begin{{document}}\input{{tables/{table.stem}}}"
        )
        result = compile_text(text + r"\end{document}", folder)
        assert result.returncode == 0, (table.name, result.stdout[-2000:])


@needs_latex
def test_numbers_are_macros_and_an_unknown_one_stops_latex(
    golden_runs: dict[tuple[str, int], str], options: ReportConfig
) -> None:
    folder = write_report(options, PAPER)
    text = r"\documentclass{article}\input{numbers}\begin{document}\typeout{got:\wbc{%s}}\end{document}"
    assert "got:30.00" in compile_text(text % "resnet50/smears_target/accuracy", folder).stdout
    assert "got:65.00" in compile_text(text % "resnet50/drop", folder).stdout
    result = compile_text(
        r"\documentclass{article}\input{numbers}\begin{document}\wbc{resnet51/drop}\end{document}", folder
    )
    assert result.returncode != 0
    assert "numbers.tex has no number resnet51/drop" in result.stdout


def test_without_latex_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install latexmk" in (compile_document(tmp_path) or "")


@needs_latex
def test_latex_that_stops_leaves_no_pdf_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "report.tex").write_text(r"\documentclass{article}\begin{document}\undefinedmacro\end{document}")
    assert "Undefined control sequence" in (compile_document(tmp_path) or "")
    assert [path.name for path in tmp_path.iterdir()] == ["report.tex"]


def test_name_is_no_formula_when_a_spreadsheet_opens_the_table() -> None:
    names = ['=HYPERLINK("x")', "+1+2", "-a", "@sum", "-0.5", "a=b", ""]
    shown = inert(pd.DataFrame({"name": names, "value": [-1.0] * len(names)}))
    assert list(shown["name"]) == ['\'=HYPERLINK("x")', "'+1+2", "'-a", "'@sum", "-0.5", "a=b", ""]
    assert set(shown["value"]) == {-1.0}


def test_escape_leaves_no_special_character_bare() -> None:
    assert tex_escape("50 % of a_b & c ± 1") == r"50 \% of a\_b \& c $\pm$ 1"


def test_name_from_the_store_is_text_when_latex_reads_it(log_run: LogRun, options: ReportConfig) -> None:
    names = [r"\input{/etc/hostname}", r"\immediate\write18{touch made}", "a\n\nb\\par", "^^5cinput"]
    for seed in (0, 1):
        log_run("resnet50", seed, WRONG["resnet50", seed], fingerprint=f"plain-{seed}")
        for index, name in enumerate(names):
            log_run(f"timm:{name}", seed, WRONG["resnet50", seed], fingerprint=f"odd-{index}-{seed}")
    for seed, name in enumerate(names):
        mlflow.MlflowClient().set_tag(log_run("vgg16", seed, WRONG["resnet50", seed % 2]), "mlflow.runName", name)
    folder = write_report(replace(options, models=None), PAPER)
    sources = list(folder.rglob("*.tex"))
    assert len(sources) > 4
    for path in sources:
        text = path.read_text()
        for raw in (r"\input{/", r"\write18", r"\immediate", r"b\par", "^^5c"):
            assert raw not in text, path
