"""What README and docs say can be typed: each command is parsed by what runs it, and pages are short and linked."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from benchmarks.bench import BenchConfig
from benchmarks.torture import TortureConfig
from entrypoints.command import main
from entrypoints.mlproject import ENTRIES
from wbc import config
from wbc.config import PlanConfig, TrainConfig
from wbc.evaluation.records import Predictions
from wbc.inputs import splits_of
from wbc.methods.catalog import ADAPTATIONS, METHODS, Adaptation, Method
from wbc.studies import plan, resolve

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").glob("*.md"))
FENCE = re.compile(r"^```([\w-]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = ("", "not-run")
"""What stands behind the fence of a block of shell lines; those of not-run are parsed alone."""
RUN = {
    ". .venv/bin/activate": (".ci/run", ". .venv/bin/activate"),
    "export MLFLOW_TRACKING_URI=http:": ("tests/test_stores.py", '"MLFLOW_TRACKING_URI", uri'),
    "make analyse": ("tests/analysis/test_analyse.py", "analyse("),
    "make assess": ("tests/assess/test_assess.py", "entrypoints.assess"),
    "make audit": ("tests/audit/test_audit.py", "entrypoints.audit"),
    "make bench": ("tests/test_bench.py", "benchmarks.bench"),
    "make check": (".ci/run", "make setup check"),
    "make data": ("tests/test_entrypoints.py", '"prepare"'),
    "make docs": (".ci/run", "check docs"),
    "make doctor": ("tests/test_doctor.py", "entrypoints.doctor"),
    "make evaluate": (".ci/run", "make evaluate"),
    "make export": ("tests/assess/test_export.py", "export("),
    "make image": (".ci/run", "make image"),
    "make repoint": ("tests/test_stores.py", "repoint"),
    "make report": ("tests/report/test_report.py", "write_report("),
    "make reproduce": (".ci/run", "make reproduce"),
    "make server": ("tests/test_entrypoints.py", '"server"'),
    "make test": (".ci/run", "make test"),
    "make train": ("tests/test_entrypoints.py", '"train"'),
    "make tune": ("tests/sweep/test_tune.py", "tune_study("),
    "mlflow run": (".ci/run", "mlflow run . -e train"),
    "python -m entrypoints.evaluate": ("tests/test_entrypoints.py", '"evaluate"'),
}
"""By how a line begins, what runs that command, perhaps smaller: a file, and what stands there."""
ELSEWHERE = re.compile(r"(?i)profile[= ](?!my-study|demo)|runner[= ]|LISC.zip")
"""What no test runs as it stands: the studies that download or need days, and other machines."""
OPTIONS: dict[str, type[Any]] = {
    **{f"entrypoints.{name}": kind for name, kind in ENTRIES.items()},
    "entrypoints.analyse": config.AnalyseConfig,
    "entrypoints.doctor": config.DoctorConfig,
    "entrypoints.repoint": config.RepointConfig,
    "entrypoints.server": config.ServerConfig,
    "benchmarks.bench": BenchConfig,
    "benchmarks.torture": TortureConfig,
}
Parse = Callable[[str, list[str]], Any]


def commands() -> list[tuple[str, str]]:
    """Returns page and command of each line of an unnamed fence, and of each command within a sentence or table."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fenced = "".join(body for language, body in FENCE.findall(text) if language in SHELL).replace("\\\n", " ")
        lines = [re.sub(r"(^|\s)#.*", "", line).rstrip() for line in fenced.splitlines()]
        lines += re.findall(r"`((?:make|mlflow run|python -m) [^`]+)`", FENCE.sub("", text))
        found += [(page.name, line) for line in lines if line]
    return found


def test_block_is_run_or_marked_as_not_run() -> None:
    for page in PAGES:
        for language, body in FENCE.findall(page.read_text(encoding="utf-8")):
            lines = body.replace("\\\n", " ").splitlines() if not language else []
            for line in (re.sub(r"\s+#.*", "", each) for each in lines if each):
                known = any(line.startswith(command) for command in RUN) and not ELSEWHERE.search(line)
                assert known, f"{page.name}: {line}: run it in a test, or write ```not-run"


@pytest.mark.parametrize(("file", "words"), RUN.values(), ids=RUN)
def test_what_runs_a_command_of_the_docs_is_there(file: str, words: str) -> None:
    assert words in (ROOT / file).read_text(encoding="utf-8")


def starting_with(*words: str) -> list[tuple[str, str]]:
    return [(page, line) for page, line in commands() if line.startswith(words)]


def variables_of(makefile: str) -> set[str]:
    return set(re.findall(r"\$[({](\w+)[)}]", makefile)) | set(re.findall(r"^(\w+) [?:]=", makefile, re.MULTILINE))


def module_and_words(line: str) -> tuple[str, list[str]] | None:
    """Returns the module that a shell line starts and the words after it."""
    found = re.search(r"python3? -m ((?:entrypoints|benchmarks)\.\w+)(.*)", line)
    return (found[1], shlex.split(found[2])) if found else None


@pytest.fixture
def parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Returns a function that parses words as a command does, beside the study that the docs show, and checks them."""
    study = next(body for language, body in FENCE.findall((ROOT / "docs/studies.md").read_text()) if language == "toml")
    (tmp_path / "my-study.toml").write_text(study)
    monkeypatch.chdir(tmp_path)

    def call(module: str, words: list[str]) -> Any:
        taken: list[Any] = []
        monkeypatch.setattr(sys, "argv", [module, *words])
        with pytest.raises(SystemExit) as ended:
            main(OPTIONS[module], taken.append)
        assert ended.value.code == 0, words
        (options,) = taken
        if isinstance(options, TrainConfig):
            splits_of(resolve(options))
        if isinstance(options, PlanConfig):
            assert plan(options)
        return options

    return call


@pytest.mark.parametrize(("page", "line"), starting_with("make "))
def test_make_command_runs_a_target_with_options_that_are_there(page: str, line: str, parse: Parse) -> None:
    words = shlex.split(line.partition(" && ")[0])[1:]
    known = variables_of((ROOT / "Makefile").read_text())
    assert {word.partition("=")[0] for word in words if "=" in word} <= known, page
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    told = subprocess.run(
        ["make", "--dry-run", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    started = [found for recipe in told.stdout.replace("\\\n", " ").splitlines() if (found := module_and_words(recipe))]
    for module, options in started:
        if module in OPTIONS:
            parse(module, options)


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page, line in commands() if "python -m entrypoints" in line]
)
def test_python_command_has_options_that_are_there(page: str, line: str, parse: Parse) -> None:
    found = module_and_words(line)
    assert found is not None, page
    parse(*found)


@pytest.mark.parametrize(("page", "line"), starting_with("mlflow run "))
def test_project_command_names_an_entry_and_its_parameters(page: str, line: str, parse: Parse) -> None:
    words = shlex.split(line)
    entry = words[words.index("-e") + 1]
    given = [word for flag, word in pairwise(words) if flag == "-P"]
    parse(f"entrypoints.{entry}", [part for each in given for part in ("--" + each).split("=", 1)])


def test_study_of_the_docs_resolves_to_its_runs(parse: Parse) -> None:
    options = parse("entrypoints.reproduce", ["--profile", "my-study.toml"])
    runs = plan(options)
    assert len(runs) == 2 * 2 * 3
    assert {run.arm.name for run in runs} == {"resnet50", "resnet50_gn", "resnet50+mixup", "resnet50_gn+mixup"}


def test_method_of_the_docs_works_in_fifteen_lines() -> None:
    function, row, *_ = (
        body for language, body in FENCE.findall((ROOT / "docs/methods.md").read_text()) if language == "python"
    )
    assert len(function.strip().splitlines()) <= 15
    names: dict[str, Any] = {}
    exec(function, names)
    changed = names["brightness"](None).apply(
        torch.full((3, 3, 2, 2), 100, dtype=torch.uint8), torch.tensor([[0.0], [0.5], [0.9]])
    )
    assert changed[:, 0, 0, 0].tolist() == pytest.approx([50, 100, 140])
    assert eval(row, {"Method": Method}).augmentation == "wbc.methods.brightness:brightness"


def test_adaptation_of_the_docs_works_in_fifteen_lines() -> None:
    *_, function, row = (
        body for language, body in FENCE.findall((ROOT / "docs/methods.md").read_text()) if language == "python"
    )
    assert len(function.strip().splitlines()) <= 15
    names: dict[str, Any] = {}
    exec(function, names)
    scores = np.array([[0.5, 0.5, 0, 0, 0], [0.6, 0.2, 0.2, 0, 0]])
    given = Predictions(domain="", ids=("a", "b"), labels=np.zeros(2, np.int64), scores=scores, embeddings=scores)
    found = names["sharper"](given, None, None).scores
    np.testing.assert_allclose(found, [[0.5, 0.5, 0, 0, 0], [9 / 11, 1 / 11, 1 / 11, 0, 0]])
    assert eval(row, {"Adaptation": Adaptation}).scores == "wbc.methods.sharper:sharper"


def test_page_of_methods_has_each_method_and_adaptation_in_a_table() -> None:
    page = (ROOT / "docs/methods.md").read_text()
    named = {name for line in page.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line)}
    assert {*METHODS, *ADAPTATIONS} <= named


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def sentences(text: str) -> list[str]:
    """Returns the sentences of a page's paragraphs and lists; code in a line counts as a word, a link as its text."""
    text = re.sub(r"<!--.*?-->", "", FENCE.sub("\n\n", text), flags=re.DOTALL)
    text = re.sub(r"^\s*(\||#|!\[).*", "", text, flags=re.MULTILINE)  # tables, headings, pictures
    text = re.sub(r"^\s*([-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "Code", text))
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text))
    return [each for one in paragraphs for each in re.split(r"(?<=[.!?])[*)\"]* (?=[*(\"]*[A-Z0-9])", one)]


def test_sentences_end_where_a_reader_sees_them_end() -> None:
    page = "# No\n\nOne 2.5 [two. Three](x.md) `four. Five`\nsix. 7 eight.\n- **Nine.** (Ten)\n\n```\nNo. No.\n```\n"
    found = ["One 2.5 two.", "Three Code six.", "7 eight.", "**Nine.", "(Ten)"]
    assert [each for each in sentences(page) if each] == found


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_no_sentence_has_more_than_25_words(page: Path) -> None:
    words = {each: len(re.findall(r"\S*\w\S*", each)) for each in sentences(page.read_text(encoding="utf-8"))}
    assert [each for each, count in words.items() if count > 25] == []


def test_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited["version"] == version
    assert headings[:2] == ["[Unreleased]", f"[{version}] - {cited['date-released']}"]


def test_links_of_the_readme_lead_to_files() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_each_page_stands_in_the_navigation() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    named = {page for entry in nav for pages in entry.values() for page in _pages(pages)}
    assert named == {page.name for page in (ROOT / "docs").glob("*.md")}


def _pages(entry: str | list[dict[str, str]]) -> list[str]:
    return [entry] if isinstance(entry, str) else [page for each in entry for page in each.values()]
