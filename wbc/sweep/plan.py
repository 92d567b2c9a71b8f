"""What a plan comes to before anything runs: which of its cells are done, which are under way, which are left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from wbc.config import RunConfig
from wbc.data.images import Listing, list_images
from wbc.data.splits import Split
from wbc.errors import WeightsError
from wbc.identity import trained_as, wanted_scores
from wbc.inputs import list_inputs, weights_key
from wbc.scoring import Outcome
from wbc.surroundings import data_dir
from wbc.tracking import schema
from wbc.tracking.read import StoredRun
from wbc.tracking.whole import state
from wbc.training.pretrain import starting_weights

_RANKS: Final = ("done", "running", "interrupted")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A run of the plan and how it stands."""

    config: RunConfig
    trained_as: str | None
    """None if its images or weights are not here yet."""
    state: Literal["done", "running", "interrupted", "to run"]
    record: StoredRun | None
    """What the store has of it."""
    outcome: Outcome | None
    """What it came to, if it is done."""
    train_images: int | None
    """None if the source is not prepared."""


def survey(configs: Sequence[RunConfig], records: Iterable[StoredRun]) -> list[Cell]:
    """Returns how each run of a plan stands by the store's records, given the newest first; makes and fetches nothing.

    A run whose images or weights are not here has no identity and cannot be found: it counts as to run.
    """
    found: dict[str, list[StoredRun]] = {}
    for record in records:
        found.setdefault(str(record.trained_as), []).append(record)
    look = _Look()
    return [_cell(config, look, found) for config in configs]


class _Look:
    """Images and weights that runs share, each looked up once."""

    def __init__(self) -> None:
        self.listing = cache(_listing)
        self._weights: dict[tuple[object, ...], tuple[bool, Path | None]] = {}

    def weights(self, config: RunConfig) -> tuple[bool, Path | None]:
        """Returns whether the weights that a run starts from are here, and their file, if they are in one."""
        key = weights_key(config)
        if key not in self._weights:
            try:
                self._weights[key] = True, starting_weights(config, make=False)
            except WeightsError:
                self._weights[key] = False, None
        return self._weights[key]


def _listing(split: Split) -> Listing | None:
    return list_images(split, data_dir=data_dir())


def _cell(config: RunConfig, look: _Look, found: dict[str, list[StoredRun]]) -> Cell:
    inputs, (here, weights) = list_inputs(config, look.listing), look.weights(config)
    identity = trained_as(config, inputs.train, weights) if inputs and here else None
    outcome = record = standing = None
    if inputs and identity:
        scores = wanted_scores(identity, inputs.tests, config)
        stands = [(state(run, scores), run) for run in found.get(identity, [])]
        standing, record = min(stands, key=lambda pair: _RANKS.index(pair[0]), default=(None, None))
    if record and inputs and standing == "done":
        outcome = Outcome(
            run_id=record.id,
            config=config,
            accuracies={test.name: record.metrics[schema.score(test.name, "accuracy")] for test in inputs.tests},
            guessing={test.name: test.guessing for test in inputs.tests},
            done_already=True,
        )
    return Cell(
        config=config,
        trained_as=identity,
        state=standing or "to run",
        record=record,
        outcome=outcome,
        train_images=sum(len(part.labels) for part in inputs.train) if inputs else None,
    )
