"""Drawn cells in folders, and their measures."""

import csv
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wbc.audit.audit import write_audit
from wbc.audit.findings import Part
from wbc.audit.measures import measure
from wbc.config import AuditConfig
from wbc.data.drawn.smears import write_smears
from wbc.data.images import Listing
from wbc.data.splits import Split

EACH = 12
"""Cells of each class."""


@pytest.fixture(scope="session")
def drawn(shared: Callable[..., Path]) -> Path:
    """A folder of drawn cells, `<Class>/<image>`, no two alike."""
    return shared("audited", lambda folder: write_smears(folder, "source", {"all": (EACH,) * 5}, 64, 1)) / "all"


@pytest.fixture
def slides(drawn: Path, store: Path) -> Path:
    """A copy of the drawn cells, to be spoilt, beside a store and a data folder."""
    return Path(shutil.copytree(drawn, store / "slides"))


@pytest.fixture
def found(slides: Path) -> Callable[[], list[dict[str, str]]]:
    """Returns a function that audits the copy and returns the rows of its CSV."""

    def audit() -> list[dict[str, str]]:
        folder, _ = write_audit(AuditConfig(domains=f"folder:{slides}"))
        with (folder / "findings.csv").open(newline="") as handle:
            return list(csv.DictReader(handle))

    return audit


def part_of(split: Split, files: list[Path], labels: list[int], *, slides: bool = False) -> Part:
    """Returns a split of these files."""
    images = [Image.open(file).convert("RGB") for file in files]
    names = tuple(f"{split.split}/{file.name}" for file in files)
    return Part(
        split=split,
        listing=Listing(
            name=split.name,
            ids=names,
            labels=np.array(labels, np.int64),
            contents=tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files),
            groups=tuple(name.partition("_")[0] for name in names),
            digest="0" * 64,
        ),
        measures=[measure(image) for image in images],
        sizes=[image.size for image in images],
        slides=slides,
    )
