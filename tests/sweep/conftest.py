"""What tests of sweeps share: the demo as a study of seconds, and workers that need not import PyTorch anew."""

import dataclasses
from collections.abc import Callable

import pytest

from tests.forks import fork_workers
from tests.report.conftest import QUICK
from wbc.config import RunConfig
from wbc.settings import Settings
from wbc.studies import STUDIES, Study


@pytest.fixture
def small_study(small_config: Callable[..., RunConfig], no_latex: None, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The demo, replaced by two seeds of one quick model on small folders; its report is Table 4."""
    config = small_config()
    settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(Settings)}
    settings |= {"epochs": 1, "warmup_epochs": None}
    study = Study(sources=config.arm.sources, targets=config.targets, seeds=2, models=("resnet50",), **settings)
    monkeypatch.setitem(STUDIES, "demo", study)
    monkeypatch.setattr("wbc.report.paper.contents.contents_of", lambda _: QUICK)
    fork_workers(monkeypatch)
    return study
