"""What is left of a cell, by the checkpoint that it was interrupted after."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from wbc.config import RunConfig
from wbc.sweep.forecast import Rate, _adapting, epochs_left, rate_key
from wbc.sweep.plan import Cell
from wbc.tracking.read import StoredRun


@pytest.mark.parametrize(
    ("tags", "left"),
    [
        ({}, 30),
        ({"checkpoint": "checkpoint/epoch_0012.pt"}, 18),
        ({"checkpoint": "checkpoint/final.pt"}, 0),
    ],
)
def test_epochs_after_the_last_checkpoint_are_left(
    small_config: Callable[..., RunConfig], tags: dict[str, str], left: int
) -> None:
    record = StoredRun(
        id="a",
        name="b",
        status="KILLED",
        tags=tags,
        metrics={},
        started=None,
        ended=None,
        datasets=(),
        artifact_uri="",
        link=None,
    )
    cell = Cell(
        config=small_config(epochs=30),
        trained_as="b",
        state="interrupted",
        record=record,
        outcome=None,
        train_images=30,
    )
    assert epochs_left(cell) == left


def test_what_adaptations_add_is_told_by_the_rate_of_scoring(small_config: Callable[..., RunConfig]) -> None:
    """Of both models em adds no pass and adabn+em shares that of adabn; frozen batch norm takes 2 + 8, group norm 8."""
    models = ("resnet50_frozenbn", "resnet50_gn")
    cells = [
        Cell(
            config=small_config(model=model, adapt="adabn,adabn+em,em,flips"),
            trained_as=None,
            state="to run",
            record=None,
            outcome=None,
            train_images=30,
            test_images=300,
        )
        for model in models
    ]
    rates = {rate_key(cells[0].config): Rate(images_per_s=1.0, runs=1, scored_per_s=10.0)}
    told = "Adaptations add 5,400 forward passes of an image, in 2 of them"
    assert _adapting(cells, {"cpu": rates}) == [f"{told}: about 5 min more for 1 of those."]
    assert _adapting(cells, {"cpu": {}})[0].startswith(f"{told}; how fast images are scored is not known")
    assert _adapting([replace(cells[0], config=small_config(adapt="em"))], {"cpu": rates}) == []
