"""The main path: train one model on one domain, score it at home and away, everything tracked."""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch

from wbc.compute import enough_memory, place
from wbc.config import EvaluateConfig, RunConfig, data_dir
from wbc.data.cache import Geometry
from wbc.data.catalog import find_domain
from wbc.data.fetch.checksums import file_sha256
from wbc.data.prepare import Images, Listing, load_images
from wbc.data.splits import Reference, expand_targets, parse_source
from wbc.environment import code_version, library_versions
from wbc.errors import CheckpointError, ConfigError
from wbc.evaluation.metrics import score
from wbc.evaluation.predict import predict
from wbc.models.build import Classifier, build_model
from wbc.recipes import RECIPES
from wbc.tracking.runs import fetch_checkpoint, open_run, open_scoring
from wbc.tracking.store import connect, latest_run
from wbc.tracking.tracked import TrackedRun
from wbc.training.checkpoint import read_checkpoint, restore_model
from wbc.training.fit import fit
from wbc.training.pretrain import starting_weights

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to: its MLflow id, and by domain its accuracy and that of guessing, in [0, 1]."""

    run_id: str
    config: RunConfig
    accuracies: dict[str, float]
    guessing: dict[str, float]
    """The share of each domain's largest class: the accuracy of always saying that class."""
    done_already: bool

    def line(self) -> str:
        """Returns the result as one line for a terminal."""
        scores = "  ".join(
            f"{domain} {100 * accuracy:.2f} % (guessing {100 * self.guessing[domain]:.2f} %)"
            for domain, accuracy in self.accuracies.items()
        )
        already = " (done already)" if self.done_already else ""
        return f"{self.config.model}/seed{self.config.seed}  {scores}  run {self.run_id}{already}"


def train_and_score(config: RunConfig) -> Outcome:
    """Trains and scores the run that `config` describes, goes on with it where it was interrupted, or finds it done.

    Raises:
        WbcError: something the user can mend; what was saved before stays, and the same call goes on from there.
    """
    if config.scale == "tiny":  # more threads would slow thin layers down, and change the last bits of sums
        torch.set_num_threads(1)
    check_run(config)
    weights = starting_weights(config)
    model = build(config, weights)
    train, tests = load_domains(config)
    identity = fingerprint(config, [train, *tests], weights)
    with open_run(config, identity) as run:
        done_already = run.done
        if not run.done:
            run.log_start(train, tests)
            with enough_memory(config):
                fit(model, train, config, run)
                score_domains(model, [images for images in tests if not run.scored(images)], config, run)
            run.complete()
        return _outcome(run, config, tests, done_already=done_already)


def score_domains(model: Classifier, tests: Iterable[Images], config: RunConfig, run: TrackedRun) -> None:
    """Logs predictions and figures of merit on each domain."""
    for images in tests:
        predictions = predict(model, images, config)
        run.log_domain(images, predictions, score(predictions.labels, predictions.scores))


def score_run(options: EvaluateConfig, device: Literal["cpu", "cuda"]) -> Outcome:
    """Scores the model of an earlier run on further domains, logged to it; that of a checkpoint file, to a new run.

    Raises:
        CheckpointError: the checkpoint is of another model than `options.model`.
        ConfigError: a target is not known, or holds what the model was trained on.
    """
    path = Path(options.run)
    run_id = None if path.exists() or path.suffix == ".pt" else options.run
    if options.run == "latest":
        run_id = latest_run()
    targets = expand_targets(options.targets) if options.targets else None
    checkpoint = fetch_checkpoint(run_id) if run_id else read_checkpoint(path)
    if options.model not in (None, checkpoint.config.model):
        raise CheckpointError(f"{options.run} holds {checkpoint.config.model}, not {options.model}.")
    config = dataclasses.replace(checkpoint.config, device=device)
    if targets and parse_source(config.source) in targets:
        raise ConfigError(f"target {config.source} is what the model was trained on: name another target or split.")
    targets = targets or expand_targets(",".join(config.targets))
    tests = [load_images(target, geometry(config), data_dir=data_dir()) for target in targets]
    model = restore_model(checkpoint)
    with open_scoring(config, run_id) as run:
        with enough_memory(config):
            place(model, config)
            score_domains(model, tests, config, run)
        return _outcome(run, config, tests, done_already=False)


def check_run(config: RunConfig) -> None:
    """Makes sure, in no time, that the store answers and that the domains are known: before anything is downloaded.

    Raises:
        TrackingError: the store does not answer.
        ConfigError: a domain or split is not known, or a target holds what the model trains on.
    """
    references(config)
    connect()


def references(config: RunConfig) -> tuple[Reference, list[Reference]]:
    """Returns the split to train on and those to score: the source's own test split, if any, then the targets."""
    train = parse_source(config.source)
    home = [Reference(train.key, split) for split in find_domain(train.key).test_splits[:1] if split != train.split]
    targets = expand_targets(",".join(config.targets))
    if train in targets:
        raise ConfigError(f"target {train} is what the model trains on: name another target or split.")
    return train, home + [target for target in targets if target not in home]


def load_domains(config: RunConfig) -> tuple[Images, list[Images]]:
    """Returns the images of `references(config)`; prepares what is missing first."""
    train, tests = references(config)
    loaded = [load_images(reference, geometry(config), data_dir=data_dir()) for reference in (train, *tests)]
    return loaded[0], loaded[1:]


def geometry(config: RunConfig) -> Geometry:
    """Returns how the run's images are stored in the pixel cache."""
    return RECIPES[config.recipe].geometry(config.image_size)


def build(config: RunConfig, weights: Path | None) -> Classifier:
    """Returns the model before its first epoch, from a file of weights or from random ones."""
    return build_model(
        config.model,
        scale=config.scale,
        image_size=config.image_size,
        pretrained=str(weights or "none"),
        seed=config.seed,
        normalisation=RECIPES[config.recipe].normalisation,
    )


def fingerprint(config: RunConfig, images: Iterable[Listing], weights: Path | None) -> str:
    """Returns a hash of what decides the run's outcome: settings, images, weights, code and libraries.

    Images and weights count by their content, not by where they lie.
    """
    settings = dataclasses.asdict(config)
    for name in ("profile", "checkpoint_every", "source", "targets", "pretrained"):
        del settings[name]
    parts = {
        "settings": settings,
        "images": [(part.name, part.digest) for part in images],
        "weights": _sha256(weights, weights.stat().st_mtime_ns) if weights else None,
        "code": code_version(),
        "libraries": {name: version for name, version in library_versions().items() if name != "mlflow"},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _sha256(path: Path, _modified_ns: int) -> str:
    return file_sha256(path)


def _outcome(run: TrackedRun, config: RunConfig, tests: Iterable[Images], *, done_already: bool) -> Outcome:
    guessing = {images.name: images.guessing for images in tests}
    return Outcome(
        run_id=run.id,
        config=config,
        accuracies=run.accuracies(guessing),
        guessing=guessing,
        done_already=done_already,
    )
