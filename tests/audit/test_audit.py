"""The command: what it prints, writes and logs; bad input ends in one line."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from selenium import webdriver

from entrypoints.audit import audit
from entrypoints.command import main
from tests.browser import screen, violations
from wbc.audit.audit import write_audit
from wbc.audit.findings import Finding, Image
from wbc.audit.page import Section
from wbc.config import AuditConfig
from wbc.data.catalog import DOMAINS, find_domain
from wbc.data.splits import Split

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(slides: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Returns a function that runs the command in this process: exit code, stdout, and the last line of stderr."""

    def call(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["entrypoints.audit", *options])
        with pytest.raises(SystemExit) as ended:
            main(AuditConfig, audit)
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        return int(ended.value.code or 0), output.out, (output.err.splitlines() or [""])[-1]

    return call


def plant(slides: Path) -> None:
    cell = min((slides / "Monocyte").iterdir())
    (slides / "Neutrophil" / "<b>copy.png").write_bytes(cell.read_bytes())


def test_findings_are_printed_written_and_logged_with_exit_code_0(run: Run, slides: Path) -> None:
    plant(slides)
    code, out, _ = run("--domains", f"folder:{slides}", "--output", "found")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("61 images of folder_slides_")
    assert lines[1] == "1 pair: same file, within a split, two labels"
    assert lines[2].startswith("labels not judged: no two models of study demo were scored on folder_slides_")
    assert lines[-1] == f"{Path('found').resolve()}/audit.html"
    page = Path("found/audit.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "&lt;b&gt;copy.png" in page
    assert not re.search(r'(?:src|href)="(?!data:|findings\.csv)', page)
    (logged,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert (logged.data.tags["kind"], logged.info.status) == ("audit", "FINISHED")
    assert logged.info.run_name.startswith("audit/folder_slides_")
    assert {each.path for each in mlflow.MlflowClient().list_artifacts(logged.info.run_id)} == {
        "audit.html",
        "findings.csv",
    }


def test_cells_that_no_licence_shows_are_named_by_digest(
    run: Run, slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(slides)
    monkeypatch.setitem(DOMAINS, "hidden", replace(find_domain(f"folder:{slides}"), key="hidden", pictures=False))
    assert run("--domains", "hidden")[0] == 0
    page = Path("reports/audit/audit.html").read_text()
    assert "data:image/jpeg" not in page
    assert len(re.findall("<code>[0-9a-f]{16}</code>", page)) == 2


def test_of_more_findings_than_fit_those_with_pictures_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wbc.audit.page.MOST_SHOWN", 2)
    splits = [Split("tecom", "all"), Split("tecom", "all"), Split("bccd", "all")]
    images = [Image(split=split, path=f"{number}.bmp", label=0, content="") for number, split in enumerate(splits)]
    found = [Finding(kind="blank", splits=(each.split.name,), images=(each,), detail="") for each in images]
    assert [each.images[0].path for each in Section("", "", tuple(found)).shown] == ["2.bmp", "0.bmp"]
    assert Section("", "", tuple(found[:2])).shown == tuple(found[:2])


def spoil(slides: Path) -> None:
    (slides / "Monocyte" / "cut.png").write_bytes(min((slides / "Monocyte").iterdir()).read_bytes()[:200])


def crowd(slides: Path) -> None:
    (slides.parent / "reports" / "audit").mkdir(parents=True)
    (slides.parent / "reports" / "audit" / "notes.txt").touch()


def test_drawn_image_that_is_spoilt_is_drawn_again_and_audited(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(DOMAINS["smears_target"], counts={"all": (2, 2, 2, 2, 2)})
    monkeypatch.setitem(DOMAINS, "smears_target", few)
    options = AuditConfig(domains="smears_target")
    _, lines = write_audit(options)
    image = store / "data/smears_target/images/all/Basophil/0000.png"
    for damage in (image.unlink, lambda: image.write_bytes(b"")):
        damage()
        assert write_audit(options)[1] == lines
        assert image.stat().st_size


@pytest.mark.parametrize(
    ("domains", "prepare", "message"),
    [
        ("bcd", None, "unknown domain 'bcd'; did you mean 'bccd'"),
        ("folder:gone", None, "there is no folder"),
        ("folder:empty", lambda slides: (slides.parent / "empty").mkdir(), "no folder of"),
        ("folder:slides", spoil, "1 unusable image(s): 'Monocyte/cut.png'"),
        ("folder:slides", crowd, "holds 'notes.txt'"),
    ],
)
def test_bad_input_ends_in_one_line(
    run: Run, slides: Path, domains: str, prepare: Callable[[Path], object] | None, message: str
) -> None:
    if prepare:
        prepare(slides)
    code, out, line = run("--domains", domains)
    assert (code, out) == (2, "")
    assert line.startswith("error: ")
    assert message in line
    assert not mlflow.search_runs(search_all_experiments=True, output_format="list")


def test_page_meets_wcag(run: Run, slides: Path, browser: webdriver.Chrome) -> None:
    plant(slides)
    run("--domains", f"folder:{slides}", "--output", "found")
    for width_px, scheme in ((1280, "light"), (390, "dark")):
        screen(browser, width_px, 844, scheme)
        browser.get(Path("found/audit.html").absolute().as_uri())
        assert violations(browser) == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width_px
