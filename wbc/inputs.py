"""What a run takes: the splits it trains on and is scored on, their images, and the weights it starts from."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal

from wbc.cells import CLASSES
from wbc.config import RunConfig
from wbc.data.cache import Geometry
from wbc.data.catalog import find_domain
from wbc.data.corrupt import corrupted
from wbc.data.hold_out import hold_out
from wbc.data.images import Images, Listing, Part, join, list_images, load_images, shared_images
from wbc.data.splits import Split, expand_targets, parse_sources
from wbc.errors import ConfigError
from wbc.models.catalog import find_model
from wbc.recipes import RECIPES
from wbc.settings import Settings
from wbc.surroundings import data_dir

Role = Literal["home", "away"]
"""What a split that is scored is to a run: of a lab that it was trained on, or of another."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Inputs(Generic[Part]):
    """A run's images, or what is known of them."""

    train: Sequence[Part]
    """Of each lab trained on, in order."""
    tests: Sequence[Part]
    """What is scored: held-out parts, also corrupted, and test splits of the labs trained on, then the targets."""
    homes: frozenset[str]
    """The names of those in `tests` that are of a lab trained on."""
    held: frozenset[str] = frozenset()
    """The names of those in `homes` that were held out of training: as they are, and corrupted."""

    def role(self, test: Listing) -> Role:
        """Returns what a split that is scored is to the run."""
        return "home" if test.name in self.homes else "away"


def splits_of(config: RunConfig) -> tuple[tuple[Split, ...], list[Split], list[Split]]:
    """Returns the splits to train on, the test splits of the same labs, and the targets.

    Raises:
        ConfigError: a split is not known, or a target is trained on.
    """
    sources = parse_sources(config.source)
    own = [Split(source.key, find_domain(source.key).home_of(source.split)) for source in sources]
    homes = [split for split in dict.fromkeys(own) if not any(map(split.overlaps, sources))]
    targets = expand_targets(",".join(config.targets)) if config.targets else ()
    for target in targets:
        source = next(filter(target.overlaps, sources), None)
        if source:
            what = "is" if target == source else f"overlaps {source}, which is"
            raise ConfigError(f"target {target} {what} what the model trains on: name another target or split.")
    return sources, homes, [target for target in targets if target not in homes]


def load_inputs(config: RunConfig) -> Inputs[Images]:
    """Returns a run's images; prepares what is missing first.

    Raises:
        DataError: a domain cannot be prepared.
    """
    inputs = _collect(config, lambda split: load_images(split, geometry(config), data_dir=data_dir()))
    _warn_of_shared(inputs.train, inputs.tests)
    absent = [
        name for label, name in enumerate(CLASSES) if not any((part.labels == label).any() for part in inputs.train)
    ]
    if absent:
        _log.warning("%s: no training image of %s, which the model cannot learn", config.source, ", ".join(absent))
    return inputs


def load_targets(config: RunConfig, targets: str | None) -> Inputs[Images]:
    """Returns the images that a trained run is scored on: `targets`, by commas, or those of the run.

    Raises:
        ConfigError: a split is not known, or was trained on.
        DataError: a domain cannot be prepared.
    """
    sources, homes, own = splits_of(replace(config, targets=(targets,)) if targets else config)
    chosen = [split for split in homes if split in expand_targets(targets)] + own if targets else homes + own
    tests = [load_images(split, geometry(config), data_dir=data_dir()) for split in chosen]
    trained_on = [listing for split in sources if (listing := list_images(split, data_dir=data_dir()))]
    _warn_of_shared(trained_on, tests)
    return Inputs(train=[], tests=tests, homes=frozenset(split.name for split in homes))


def load_train(config: RunConfig) -> Images:
    """Returns the images that a run trains on, those of several labs behind each other; prepares what is missing."""
    sources, _, _ = splits_of(config)
    parts = [load_images(split, geometry(config), data_dir=data_dir()) for split in sources]
    return join([hold_out(part, config.validation)[0] if config.validation else part for part in parts])


def list_inputs(config: RunConfig, look: Callable[[Split], Listing | None] | None = None) -> Inputs[Listing] | None:
    """Returns what is known of a run's images, None if one of its splits is not ready; prepares nothing.

    `look` finds a split's listing; given, several runs look each split up once.
    """
    sources, homes, targets = splits_of(config)
    look = look or (lambda split: list_images(split, data_dir=data_dir()))
    found = {split: look(split) for split in (*sources, *homes, *targets)}
    ready = {split: listing for split, listing in found.items() if listing is not None}
    return _collect(config, ready.__getitem__) if len(ready) == len(found) else None


def geometry(settings: Settings) -> Geometry:
    """Returns how the images of a run, or of a study's, are stored in the pixel cache."""
    return RECIPES[settings.recipe].geometry(settings.image_size)


def weights_key(config: RunConfig) -> tuple[object, ...]:
    """Returns what decides which file of weights a run starts from."""
    seed = config.seed if config.pretrained == "patterns" else None  # each seed learns patterns of its draw
    return find_model(config.model).backbone, config.scale, config.pretrained, config.image_size, seed


def _warn_of_shared(train: Sequence[Listing], tests: Sequence[Listing]) -> None:
    """Says of each split that is scored how many of its images were trained on."""
    for test in tests:
        shared = shared_images(train, test)
        if shared:
            _log.warning(
                "%s: %d of its %d images are among the training images; its score says nothing of other images",
                *(test.name, shared, len(test.ids)),
            )


def _collect(config: RunConfig, load: Callable[[Split], Part]) -> Inputs[Part]:
    sources, homes, targets = splits_of(config)
    train: list[Part] = [load(source) for source in sources]
    held: list[Part] = []
    if config.validation:
        pairs = [hold_out(part, config.validation) for part in train]
        train, held = [part for part, _ in pairs], [part for _, kept in pairs for part in (kept, corrupted(kept))]
    own = [*held, *(load(split) for split in homes)]
    return Inputs(
        train=train,
        tests=[*own, *(load(split) for split in targets)],
        homes=frozenset(part.name for part in own),
        held=frozenset(part.name for part in held),
    )
