"""`report.html` in a real browser. Skips where Debian's chromium and chromium-driver are not installed."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.browser import screen, violations
from tests.report.conftest import AWAY, HOME, LogRun
from wbc.config import ReportConfig
from wbc.report.paper.contents import PAPER
from wbc.report.report import write_report

NASTY = "timm:<b>a&b</b>"
A4_PX = 703
"""A4's 210 mm less two margins of 12, at 96 pixels an inch."""
CONTRASTS = """
  function channel(v) { v /= 255; return v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); }
  function light(rgb) { return 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]); }
  function numbers(colour) { return colour.match(/[\\d.]+/g).map(Number); }
  function ground(node) {
    for (; node; node = node.parentElement) {
      var colour = numbers(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) { return colour; }
    }
    return [255, 255, 255];
  }
  document.querySelectorAll('details').forEach(function (part) { part.open = true; });
  return Array.from(document.querySelectorAll('body *')).filter(function (node) {
    return Array.from(node.childNodes).some(function (each) { return each.nodeType === 3 && each.data.trim(); })
      && node.tagName !== 'SCRIPT';
  }).map(function (node) {
    var a = light(numbers(getComputedStyle(node).color)), b = light(ground(node));
    return {text: node.textContent.slice(0, 30), ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)};
  });
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page is kept for all tests of this file: it takes seconds to make."""
    return tmp_path_factory.mktemp("page") / "report"


@pytest.fixture
def page(browser: webdriver.Chrome, log_run: LogRun, options: ReportConfig, no_latex: None, kept: Path) -> Path:
    """The page of three models, one of which has a name that is HTML."""
    if not kept.exists():
        for model, wrong in (("resnet50", 6), ("resnet50_gn", 1), (NASTY, 3)):
            for seed in (0, 1):
                log_run(model, seed, {HOME: [], AWAY: list(range(wrong))}, fingerprint=f"{len(model)}-{seed}")
        shutil.copytree(write_report(replace(options, models=None), PAPER), kept)
    return kept / "report.html"


BROKEN = """
  document.querySelectorAll('details').forEach(function (part) { part.open = true; });
  var broken = [];
  document.querySelectorAll('th, td:not(.wide)').forEach(function (cell) {
    var walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (var text; (text = walker.nextNode());) {
      if (text.parentElement.closest('code')) { continue; }
      for (var word of text.data.matchAll(/[\\p{L}\\d]+/gu)) {
        var range = document.createRange();
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        if (new Set(Array.from(range.getClientRects()).map(rect => rect.top)).size > 1) { broken.push(word[0]); }
      }
    }
  });
  return broken;
"""
"""The words of tables that are broken into two lines, but for digests and long texts."""


def visible(element: WebElement) -> bool:
    """Returns whether an element is shown: within a closed fold it takes room and is not."""
    script = "return arguments[0].checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})"
    return bool(element.parent.execute_script(script, element))


def column(browser: webdriver.Chrome, table: str, place: int) -> list[str]:
    cells = browser.find_elements(By.CSS_SELECTOR, f"#{table} tbody tr > :nth-child({place})")
    return [cell.text.split("\n")[0] for cell in cells]


def test_page_sorts_by_a_click_logs_no_error_and_needs_nothing_from_elsewhere(
    browser: webdriver.Chrome, page: Path
) -> None:
    browser.get(page.as_uri())
    assert column(browser, "table4", 4)[:3] == ["40.00 (40.00–40.00)", "missing", "90.00 (90.00–90.00)"]
    heading = browser.find_element(By.CSS_SELECTOR, "#table4 th:nth-child(4) button")
    heading.click()
    rising = [float(score.split()[0]) for score in column(browser, "table4", 4) if score != "missing"]
    assert rising == sorted(rising)
    heading.click()
    falling = [float(score.split()[0]) for score in column(browser, "table4", 4) if score != "missing"]
    assert falling == sorted(falling, reverse=True)
    browser.find_element(By.CSS_SELECTOR, "#table4 th:nth-child(2) button").click()
    names = column(browser, "table4", 2)
    assert names.index("<b>a&b</b>") < names.index("ResNet50, batch norm") < names.index("ResNet50, group norm")
    assert browser.get_log("browser") == []
    pictures = browser.find_elements(By.TAG_NAME, "img")
    assert len(pictures) == 12
    assert all(browser.execute_script("return arguments[0].naturalWidth", picture) > 100 for picture in pictures)
    text = page.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#|tables/)', text)
    assert "<b>a&b</b>" not in text


def test_first_screen_shows_the_result_and_the_rest_is_folded(browser: webdriver.Chrome, page: Path) -> None:
    screen(browser, 1280, 800)
    browser.get(page.as_uri())
    for wanted in ("#warning", ".result", "#fig4_home_away img", "#table4 tbody tr"):
        top = browser.execute_script("return document.querySelector(arguments[0]).getBoundingClientRect().top", wanted)
        assert 0 <= top < 500, wanted
    shown = [table.get_attribute("id") for table in browser.find_elements(By.TAG_NAME, "table") if visible(table)]
    assert shown == ["table4"]


def test_link_into_a_folded_part_opens_it(browser: webdriver.Chrome, page: Path) -> None:
    browser.get(page.as_uri())
    assert not visible(browser.find_element(By.ID, "run-list"))
    browser.find_element(By.CSS_SELECTOR, "#table4 tbody th a").click()
    assert visible(browser.find_element(By.ID, "run-list"))


def test_narrow_screen_does_not_scroll_sideways_and_breaks_no_word(browser: webdriver.Chrome, page: Path) -> None:
    screen(browser, 390, 844)
    browser.get(page.as_uri())
    assert browser.execute_script(BROKEN) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert browser.execute_script("return document.querySelector('#table4').getBoundingClientRect().right") <= 390


def test_print_on_a4_cuts_no_column_and_has_what_is_folded(browser: webdriver.Chrome, page: Path) -> None:
    screen(browser, A4_PX, 1000)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.get(page.as_uri())
    tables = browser.find_elements(By.TAG_NAME, "table")
    assert len(tables) > 5
    for table in tables:
        assert visible(table), table.get_attribute("id")
        assert table.rect["width"] > 50
        assert table.rect["x"] + table.rect["width"] <= A4_PX, table.get_attribute("id")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= A4_PX
    assert browser.execute_script(BROKEN) == []


def test_print_repeats_the_words_of_a_head_and_leaves_none_alone_at_the_foot(
    browser: webdriver.Chrome, page: Path
) -> None:
    """Chromium leaves boxes within a head empty where it repeats it, such as those of buttons."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.get(page.as_uri())
    style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    assert browser.execute_script(style, "#merits thead button", "display") == "contents"
    assert browser.execute_script(style, "#merits thead", "breakAfter") == "avoid"
    assert browser.execute_script(style, "#merits thead", "display") == "table-header-group"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_a_contrast_of_four_and_a_half(browser: webdriver.Chrome, page: Path, scheme: str) -> None:
    """Also of text that scrolls out of sight, which axe-core leaves undecided."""
    screen(browser, 1280, 800, scheme)
    browser.get(page.as_uri())
    found = browser.execute_script(CONTRASTS)
    assert len(found) > 100
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert [each for each in found if each["ratio"] < 4.5] == []


@pytest.mark.parametrize(("width_px", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_page_meets_wcag(browser: webdriver.Chrome, page: Path, width_px: int, scheme: str) -> None:
    screen(browser, width_px, 844, scheme)
    browser.get(page.as_uri())
    assert violations(browser) == []


def test_page_has_landmarks_row_headers_and_names_for_what_takes_focus(browser: webdriver.Chrome, page: Path) -> None:
    browser.get(page.as_uri())
    for landmark in ("main", "header", "nav[aria-label]", "h1"):
        assert len(browser.find_elements(By.CSS_SELECTOR, landmark)) == 1, landmark
    rows = browser.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert len(rows) > 20
    assert len(browser.find_elements(By.CSS_SELECTOR, "tbody th[scope=row]")) == len(rows)
    assert not browser.find_elements(By.CSS_SELECTOR, "thead th:not([scope=col])")
    for nameless in ("img:not([alt])", "img[alt='']", "[tabindex]:not([aria-label])", "button:empty", "a:empty"):
        assert not browser.find_elements(By.CSS_SELECTOR, nameless), nameless
    ids = [each.get_attribute("id") for each in browser.find_elements(By.CSS_SELECTOR, "[id]")]
    assert len(ids) == len(set(ids))
