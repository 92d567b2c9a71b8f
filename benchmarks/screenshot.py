"""The picture of MLflow's page in docs/tracking.md: `python -m benchmarks.screenshot`, a minute on two cores.

It fills a store with the runs of the committed report on photographs: their settings, scores and main figures, as
`merits.csv` has them. It serves that store, and opens in Chromium the first view that the server names. The picture
keeps the digest of the file, by which a test knows a picture of other results. It needs Debian's chromium and
chromium-driver.
"""

import io
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import mlflow
import pandas as pd
from mlflow.entities import Metric
from PIL import Image, PngImagePlugin
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from wbc.config import TrainConfig
from wbc.data.fetch.checksums import file_sha256
from wbc.studies import resolve
from wbc.tracking import schema
from wbc.tracking.claims import create_run
from wbc.tracking.store import connect
from wbc.tracking.training_log import log_settings
from wbc.tracking.views import prepare_views

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = ROOT / "docs" / "images" / "mlflow-runs.png"
RESULTS: Final = ROOT / "paper_artifacts" / "cells" / "tables" / "merits.csv"
SOURCE: Final = "Source"
"""Text of the picture: the SHA-256 of the results."""
_STUDY: Final = "cells"
_HOME: Final = "pbc2500_test"
_PORT: Final = 5017
_WIDTH_PX, _HEIGHT_PX = 1500, 860
_COLOURS: Final = 64
_WAIT_S: Final = 300.0
_CHARTS: Final = (
    "return [...document.querySelectorAll('.js-plotly-plot')].filter(each => each.querySelector('.point')).length"
)
"""How many charts are drawn."""


def main() -> None:
    """Fills a store, serves it, opens the view by model and keeps its picture."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        fill_store()
        with served(_PORT, Path(folder), dict(os.environ)) as addresses, browser() as chromium:
            png = picture(chromium, addresses[0])
    PICTURE.write_bytes(png)
    print(f"{PICTURE}: {len(png) / 1024:.0f} KiB")


def fill_store() -> None:
    """Adds the runs of the committed results to the store in use: complete, and without checkpoints or predictions."""
    experiment_id, client, now_ms = connect(), mlflow.MlflowClient(), int(1000 * time.time())
    for _, scores in pd.read_csv(RESULTS).groupby("run"):
        model, seed = str(scores["model"].iloc[0]), int(scores["seed"].iloc[0])
        config = resolve(TrainConfig(profile=_STUDY, model=model, seed=seed, device="cpu"))
        run_id = create_run(experiment_id, config.name, {schema.COMPLETE: "true"})
        log_settings(run_id, config)
        accuracies = dict(zip(scores["domain"], scores["accuracy"], strict=True))
        figures = {schema.score(domain, "accuracy"): value for domain, value in accuracies.items()}
        figures[schema.AT_HOME] = accuracies.pop(_HOME)
        figures[schema.AWAY] = statistics.fmean(accuracies.values())
        figures[schema.DROP] = figures[schema.AT_HOME] - figures[schema.AWAY]
        client.log_batch(run_id, [Metric(name, value, now_ms, 0) for name, value in figures.items()])
        client.set_terminated(run_id)
    prepare_views(experiment_id, _STUDY)


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
    text = PngImagePlugin.PngInfo()
    text.add_text(SOURCE, file_sha256(RESULTS))
    page.quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "png", optimize=True, pnginfo=text)
    return small.getvalue()


if __name__ == "__main__":
    main()
