"""The public archives themselves, where WBC_MIRROR names a folder of them."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import Resize

from wbc.data.cache import Geometry
from wbc.data.catalog import DOMAINS, find_domain
from wbc.data.images import load_images
from wbc.data.manifest import count_classes
from wbc.data.prepare import prepare
from wbc.data.splits import expand_targets

MIRROR = Path(os.environ.get("WBC_MIRROR", "no-mirror")).resolve()


@pytest.fixture(autouse=True)
def _mirror(_local: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", str(MIRROR))


def _served(key: str) -> pytest.MarkDecorator:
    path = MIRROR / key / DOMAINS[key].archives[0].basename
    return pytest.mark.skipif(not path.is_file(), reason=f"no mirror with the archive of {key}; set WBC_MIRROR")


@pytest.mark.parametrize("key", [pytest.param(key, marks=_served(key)) for key in ("pbc2500", "bccd", "tecom")])
def test_counts_are_the_catalogues(key: str, tmp_path: Path) -> None:
    rows = prepare(find_domain(key), None, data_dir=tmp_path)
    assert {split: count_classes(rows, split) for split in DOMAINS[key].splits} == DOMAINS[key].counts


@_served("bccd")
def test_pixels_are_torchvisions(tmp_path: Path) -> None:
    loaded = load_images(expand_targets("bccd")[0], Geometry("short_side", 64), data_dir=tmp_path)
    for number in (0, 100, 350):
        image = Image.open(tmp_path / "bccd/images" / loaded.ids[number]).convert("RGB")
        assert np.array_equal(loaded.pixels[number], np.asarray(Resize(64)(image)))
