"""`report.html` in a real browser. Skips where Debian's chromium and chromium-driver are not installed."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.report.conftest import AWAY, HOME, LogRun
from wbc.config import ReportConfig
from wbc.report.paper.contents import PAPER
from wbc.report.report import write_report

NASTY = "timm:<b>a&b</b>"


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium that keeps what pages log."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no chromium with chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def page(log_run: LogRun, options: ReportConfig, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page of three models, one of which has a name that is HTML."""
    for model, wrong in (("resnet50", 6), ("resnet50_gn", 1), (NASTY, 3)):
        for seed in (0, 1):
            log_run(model, seed, {HOME: [], AWAY: list(range(wrong))}, fingerprint=f"{len(model)}-{seed}")
    chromium = shutil.which("chromium")
    monkeypatch.setenv("PATH", str(Path(chromium).parent) if chromium else "")
    return write_report(replace(options, models=None), PAPER) / "report.html"


def column(browser: webdriver.Chrome, table: str, place: int) -> list[str]:
    cells = browser.find_elements(By.CSS_SELECTOR, f"#{table} tbody td:nth-child({place})")
    return [cell.text.split("\n")[0] for cell in cells]


def test_page_sorts_by_a_click_logs_no_error_and_needs_nothing_from_elsewhere(
    browser: webdriver.Chrome, page: Path
) -> None:
    browser.get(page.as_uri())
    assert column(browser, "table4", 4)[:3] == ["40.00 ± 0.00", "missing", "90.00 ± 0.00"]
    heading = browser.find_element(By.CSS_SELECTOR, "#table4 th:nth-child(4) button")
    heading.click()
    rising = [float(score.split()[0]) for score in column(browser, "table4", 4) if score != "missing"]
    assert rising == sorted(rising)
    heading.click()
    falling = [float(score.split()[0]) for score in column(browser, "table4", 4) if score != "missing"]
    assert falling == sorted(falling, reverse=True)
    browser.find_element(By.CSS_SELECTOR, "#table4 th:nth-child(2) button").click()
    names = column(browser, "table4", 2)
    assert names.index("resnet50") < names.index("resnet50_gn") < names.index(NASTY)
    assert browser.get_log("browser") == []
    pictures = browser.find_elements(By.TAG_NAME, "img")
    assert len(pictures) == 9
    assert all(browser.execute_script("return arguments[0].naturalWidth", picture) > 100 for picture in pictures)
    text = page.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#|tables/)', text)
    assert "<b>a&b</b>" not in text
