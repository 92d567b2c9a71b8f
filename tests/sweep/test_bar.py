"""The time that the rest of a sweep takes: by measured rates at first, then by the sweep's pace."""

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from wbc.config import ReproduceConfig, RunConfig
from wbc.sweep.bar import Bar
from wbc.sweep.forecast import Rate, Rates, rate_key
from wbc.sweep.plan import Cell
from wbc.sweep.runners.base import Results, Runner

CLOCK = [0.0]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, which passes when the test says so."""
    CLOCK[0] = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: CLOCK[0])
    return CLOCK


class Place(Runner):
    """A place that runs nothing and learns the weights of `learns`."""

    learns: Sequence[RunConfig] = ()

    def to_learn(self, configs: Sequence[RunConfig]) -> list[RunConfig]:
        return list(self.learns)

    def run(self, configs: Sequence[RunConfig]) -> Results:
        yield from ()


def cell(config: RunConfig, state: str = "to run") -> Cell:
    return Cell(config=config, trained_as=None, state=state, record=None, outcome=None, train_images=100)  # type: ignore[arg-type]


def test_runs_weigh_by_measured_rates_and_the_pace_corrects_them(
    small_config: Callable[..., RunConfig], clock: list[float]
) -> None:
    slow, fast = (small_config(model=model, epochs=9) for model in ("resnet50", "vgg16"))
    rates = {
        "cpu": {rate_key(config): Rate(images_per_s=rate, runs=1) for config, rate in ((slow, 10.0), (fast, 40.0))}
    }
    place = Place(ReproduceConfig())
    bar = Bar([cell(slow), cell(fast), cell(replace(slow, seed=1), "done")], rates, place)
    assert (bar.ended, bar.total) == (1, 3)
    assert bar.seconds_left() == 125  # ten epochs of 100 images, one of them for scoring: 100 s and 25 s
    place.trained[slow] = ctypes.c_double(0)
    clock[0] += 30  # workers start
    assert str(bar) == "2 min left"
    place.trained[slow].value = 3
    assert bar.seconds_left() == (125 - 30) * 60 / (30 + 60)
    clock[0] += 60  # twice as slow as measured, since the three epochs were done
    place.trained[slow].value = 6
    assert bar.share() == 60 / 125
    assert bar.seconds_left() == (125 - 60) * (60 + 60) / (60 + 60)
    bar.end(slow)
    bar.end(fast)
    assert (bar.ended, bar.share(), bar.seconds_left()) == (3, 1, 0)


def test_sweep_without_measured_rates_waits_for_its_pace_and_counts_the_weights_to_learn(
    small_config: Callable[..., RunConfig], clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wbc.sweep.bar.IMAGES", 3000)
    first, second = small_config(epochs=269), small_config(epochs=269, seed=1)
    place = Place(ReproduceConfig())
    place.learns = [first]
    bar = Bar([cell(first), cell(second)], {"cpu": Rates()}, place)  # 9,000 and twice 27,000 images
    assert str(bar) == "weights 0 of 1, starting"
    place.learned[first] = ctypes.c_double(0.3)
    assert str(bar) == "weights 0 of 1, under way"
    clock[0] += 18
    place.learned[first].value = 3
    assert bar.seconds_left() == 6 * 18
    place.trained[first], place.trained[second] = ctypes.c_double(90), ctypes.c_double(90)
    clock[0] += 36
    assert bar.seconds_left() == pytest.approx(36 * 54 / 27)


def test_place_that_reports_only_the_end_of_runs_has_a_pace_from_the_first_on(
    small_config: Callable[..., RunConfig], clock: list[float]
) -> None:
    configs = [small_config(seed=seed) for seed in range(4)]
    bar = Bar([cell(config) for config in configs], {"cpu": {}}, Place(ReproduceConfig()))
    clock[0] += 20
    assert str(bar) == "starting"
    bar.end(configs[0])
    assert bar.seconds_left() == 60
