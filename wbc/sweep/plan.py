"""What a plan comes to before anything runs: which of its cells are done, which are under way, which are left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from wbc.config import RunConfig
from wbc.data.images import Listing, list_images
from wbc.identity import trained_as, wanted_scores
from wbc.inputs import Inputs, list_inputs, weights_key
from wbc.outcome import Outcome
from wbc.surroundings import data_dir
from wbc.tracking import schema
from wbc.tracking.read import StoredRun
from wbc.tracking.whole import state
from wbc.training.pretrain import standing_weights

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
    test_images: int = 0
    """Of the splits that adaptations are scored on; 0 if one is not prepared."""


def survey(configs: Sequence[RunConfig], records: Iterable[StoredRun]) -> list[Cell]:
    """Returns how each run of a plan stands by the store's records, given the newest first; makes and fetches nothing.

    A run whose images or weights are not here has no identity and cannot be found: it counts as to run.
    """
    found: dict[str, list[StoredRun]] = {}
    for record in records:
        found.setdefault(str(record.trained_as), []).append(record)
    look = cache(lambda split: list_images(split, data_dir=data_dir()))  # runs share images and weights
    weights = {key: standing_weights(run) for key, run in {weights_key(run): run for run in configs}.items()}
    return [_cell(run, list_inputs(run, look), weights[weights_key(run)], found) for run in configs]


def _cell(
    config: RunConfig,
    inputs: Inputs[Listing] | None,
    weights: tuple[bool, Path | None],
    found: dict[str, list[StoredRun]],
) -> Cell:
    """Returns how a run stands, given its images and weights, if they are here, and the store's runs by identity."""
    identity = trained_as(config, inputs.train, weights[1]) if inputs and weights[0] else None
    outcome = record = standing = None
    if inputs and identity:
        scores = wanted_scores(identity, inputs, config)
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
        test_images=sum(len(test.labels) for test in inputs.tests if test.name not in inputs.held) if inputs else 0,
    )
