"""What is left of a cell, by the checkpoint that it was interrupted after."""

from collections.abc import Callable

import pytest

from wbc.config import RunConfig
from wbc.sweep.forecast import epochs_left
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
