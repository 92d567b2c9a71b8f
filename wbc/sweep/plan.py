"""What a plan comes to before anything runs: which of its cells are done, which are under way, which are left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from wbc.config import RunConfig, data_dir
from wbc.data.prepare import Listing, list_images
from wbc.data.splits import Reference
from wbc.errors import WeightsError
from wbc.models.catalog import find_model
from wbc.run import Outcome, fingerprint, references
from wbc.tracking.sweeps import Record
from wbc.training.pretrain import starting_weights

_RANKS: Final = ("done", "running", "interrupted")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A run of the plan and how it stands."""

    config: RunConfig
    fingerprint: str | None
    """None if its images or weights are not here yet."""
    state: Literal["done", "running", "interrupted", "to run"]
    record: Record | None
    """What the store has of it."""
    outcome: Outcome | None
    """What it came to, if it is done."""
    train_images: int | None
    """None if the source is not prepared."""


def survey(configs: Sequence[RunConfig], records: Iterable[Record]) -> list[Cell]:
    """Returns how each run of a plan stands by the store's records, given the newest first; makes and fetches nothing.

    A run without a fingerprint cannot be found: it counts as to run.
    """
    found: dict[str, Record] = {}
    for record in records:
        known = found.get(record.fingerprint)
        if known is None or _RANKS.index(record.state) < _RANKS.index(known.state):
            found[record.fingerprint] = record
    inputs = _Inputs()
    return [_cell(config, inputs, found) for config in configs]


class _Inputs:
    """Images and weights that runs share, each looked up once."""

    def __init__(self) -> None:
        self._splits: dict[tuple[str, tuple[str, ...]], list[Reference]] = {}
        self._listings: dict[Reference, Listing | None] = {}
        self._weights: dict[tuple[object, ...], tuple[bool, Path | None]] = {}

    def images(self, config: RunConfig) -> list[Listing] | None:
        """Returns the split to train on and those to score, or None if one of them is not ready."""
        key = (config.source, config.targets)
        if key not in self._splits:
            train, tests = references(config)
            self._splits[key] = [train, *tests]
        for reference in self._splits[key]:
            if reference not in self._listings:
                self._listings[reference] = list_images(reference, data_dir=data_dir())
        listings = [self._listings[reference] for reference in self._splits[key]]
        return [listing for listing in listings if listing] if all(listings) else None

    def fingerprint(self, config: RunConfig, images: list[Listing]) -> str | None:
        """Returns the run's fingerprint, or None if its weights are not here."""
        key = (find_model(config.model).backbone, config.scale, config.pretrained, config.image_size, config.seed)
        if key not in self._weights:
            try:
                self._weights[key] = True, starting_weights(config, make=False)
            except WeightsError:
                self._weights[key] = False, None
        here, path = self._weights[key]
        return fingerprint(config, images, path) if here else None


def _cell(config: RunConfig, inputs: _Inputs, found: dict[str, Record]) -> Cell:
    images = inputs.images(config)
    identity = inputs.fingerprint(config, images) if images else None
    record = found.get(identity) if identity else None
    outcome = None
    if record and images and record.state == "done":
        outcome = Outcome(
            run_id=record.run_id,
            config=config,
            accuracies={test.name: record.metrics[f"test/{test.name}/accuracy"] for test in images[1:]},
            guessing={test.name: test.guessing for test in images[1:]},
            done_already=True,
        )
    return Cell(
        config=config,
        fingerprint=identity,
        state=record.state if record else "to run",
        record=record,
        outcome=outcome,
        train_images=len(images[0].labels) if images else None,
    )
