"""The picture of MLflow's page in docs/tracking.md: `python -m benchmarks.screenshot`, some minutes on two cores.

It trains thin models on drawn cells in a folder of its own, serves their store, and opens in Chromium the first view
that the server names. It needs Debian's chromium and chromium-driver.
"""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

ROOT: Final = Path(__file__).parents[1]
_PICTURE: Final = ROOT / "docs" / "images" / "mlflow-runs.png"
_STUDY: Final = ("--models", "resnet50,resnet50_gn,resnet50_frozenbn,vgg16,vgg16_bn", "--seeds", "0,1,2")
_PORT: Final = 5017
_WIDTH_PX, _HEIGHT_PX = 1500, 860
_COLOURS: Final = 64
_WAIT_S: Final = 300.0
_CHARTS: Final = (
    "return [...document.querySelectorAll('.js-plotly-plot')].filter(each => each.querySelector('.point')).length"
)
"""How many charts are drawn."""


def main() -> None:
    """Trains, serves, opens the view by model and keeps its picture."""
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "WBC_DATA_DIR": f"{folder}/data",
            "PYTHONPATH": str(ROOT),
        }
        study = [sys.executable, "-m", "entrypoints.reproduce", *_STUDY]
        subprocess.run(study, cwd=folder, env=env, check=True)
        with served(_PORT, Path(folder), env) as addresses, browser() as chromium:
            png = picture(chromium, addresses[0])
    _PICTURE.parent.mkdir(exist_ok=True)
    _PICTURE.write_bytes(png)
    print(f"{_PICTURE}: {len(png) / 1024:.0f} KiB")


@contextmanager
def served(port: int, folder: Path, env: dict[str, str]) -> Iterator[list[str]]:
    """Yields the addresses that `make server` prints for a store, once it answers; it is over as the block ends."""
    command = [sys.executable, "-m", "entrypoints.server", "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        env = {**env, "PYTHONPATH": str(ROOT)}
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + _WAIT_S
        while not _answers(port):
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "server.log").read_text())
            time.sleep(0.2)
        yield re.findall(r"^Open (\S+)", (folder / "server.log").read_text(), re.MULTILINE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        server.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health") as answer:
        return bool(answer.status == 200)
    return False


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Yields a headless Chromium; raises a RuntimeError where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        raise RuntimeError("no chromium with chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--window-size={_WIDTH_PX},{_HEIGHT_PX}")
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


def open_view(chromium: webdriver.Chrome, address: str, charts: int) -> None:
    """Opens a view of MLflow's page and returns once so many charts are drawn; the page's own assistant stays shut."""
    chromium.get(address.partition("#")[0] + "health")
    chromium.execute_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    chromium.get(address)
    WebDriverWait(chromium, _WAIT_S).until(lambda page: page.execute_script(_CHARTS) >= charts)


def picture(chromium: webdriver.Chrome, address: str) -> bytes:
    """Returns the picture of a view as a PNG of few colours."""
    open_view(chromium, address, charts=3)
    small = io.BytesIO()
    page = Image.open(io.BytesIO(chromium.get_screenshot_as_png())).convert("RGB")
    page.quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    main()
