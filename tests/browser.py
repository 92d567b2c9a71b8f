"""A page in a real browser: its size and colours, and what axe-core finds wrong with it."""

from typing import Final

from selenium import webdriver
from selenium_axe_python import Axe

_WCAG: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""The rules of WCAG 2.2, levels A and AA, and what axe-core advises beside them."""


def screen(browser: webdriver.Chrome, width_px: int, height_px: int, scheme: str = "light") -> None:
    """Makes pages this large, in light or dark colours."""
    size = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def violations(browser: webdriver.Chrome) -> list[str]:
    """Returns the rules that the page breaks once all of it is unfolded, each with an element that does."""
    browser.execute_script("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    browser.set_script_timeout(120)  # seconds
    axe = Axe(browser)
    axe.inject()
    found = axe.run(options={"runOnly": {"type": "tag", "values": _WCAG}, "resultTypes": ["violations"]})
    assert len(found["passes"]) > 10
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]
