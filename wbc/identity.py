"""What a run and a score are known by: `trained_as` holds all that decides the weights, and nothing else.

A new row, metric, target, adaptation, wording or refactoring changes neither. A change to what an epoch computes does:
it raises `TRAINING_VERSION`, which a test of golden losses demands.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from wbc.code import library_versions
from wbc.config import RunConfig
from wbc.data.fetch.checksums import file_sha256
from wbc.data.images import Listing, Part
from wbc.inputs import Inputs
from wbc.methods.catalog import PLAIN_SCORE, find_method, unsuited
from wbc.models.catalog import find_backbone, find_model
from wbc.recipes import RECIPES
from wbc.settings import settings_for
from wbc.tracking.schema import score_name

TRAINING_VERSION: Final = 1
"""Part of what a run is trained as: raised by a change of the code that moves a loss, as the golden test finds."""
SCORING_VERSION: Final = 1
"""Part of what a score is scored as: raised by a change of the code that moves a score, as the golden test finds."""


def trained_as(config: RunConfig, train: Sequence[Listing], weights: Path | None) -> str:
    """Returns the identity of a run's weights, 32 hexadecimal digits.

    It is made of the rows of model, method and recipe, the settings that decide training, and the seed. It is also made
    of the contents of each lab's training images, in order, and of the starting weights (None: random ones). The
    versions of the libraries that compute, and `TRAINING_VERSION`, are in it too.
    """
    return _digest(
        {
            "model": _row(find_model(config.model), "index", "title"),
            "backbone": _backbone(config),
            "method": _row(find_method(config.method), "title", "access", "evens", "labs"),
            "recipe": _row(RECIPES[config.recipe]),
            "settings": {
                name: value for name in settings_for("trains") if (value := getattr(config, name)) is not None
            },
            "seed": config.seed,
            "images": [listing.digest for listing in train],
            "weights": _sha256(weights, weights.stat().st_mtime_ns) if weights else None,
            "libraries": {name: version for name, version in library_versions().items() if name != "mlflow"},
            "version": TRAINING_VERSION,
        }
    )


def scored_as(trained: str, split: Listing, adaptation: str = PLAIN_SCORE) -> str:
    """Returns the identity of a score: a run, the contents of a split, and how the model was adapted to it."""
    parts = {"trained": trained, "images": split.digest, "adaptation": adaptation, "version": SCORING_VERSION}
    return _digest(parts)


def wanted_scores(identity: str, inputs: Inputs[Part], config: RunConfig) -> dict[str, str]:
    """Returns what a run should be scored as, by the name of each score: plain, and under each of its adaptations.

    An adaptation that does not suit the model is left out. Images held out of training are scored plain alone.
    """
    rows = suited(config, config.adapt)
    pairs = [(test, row) for test in inputs.tests for row in (PLAIN_SCORE, *rows)]
    return {
        score_name(test.name, row): scored_as(identity, test, row)
        for test, row in pairs
        if row == PLAIN_SCORE or test.name not in inputs.held
    }


def suited(config: RunConfig, adaptations: Iterable[str]) -> list[str]:
    """Returns those of the adaptations that work for a run's model."""
    return [each for each in adaptations if unsuited(each, find_model(config.model).norm) is None]


def _row(row: Any, *words: str) -> dict[str, Any]:
    """Returns the fields of a catalogue's row without those that are only words."""
    return {name: value for name, value in dataclasses.asdict(row).items() if name not in words}


def _backbone(config: RunConfig) -> dict[str, Any]:
    """Returns the network that a row names, at the run's scale; what the other scale is made of has no part in it."""
    backbone = find_backbone(find_model(config.model).backbone)
    keywords = backbone.full if config.scale == "full" else backbone.tiny
    return {"library": backbone.library, "name": backbone.name, "weights": backbone.weights, "keywords": keywords}


def _digest(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _sha256(path: Path, _modified_ns: int) -> str:
    return file_sha256(path)
