"""The studies: arms × seeds at one size, each row with the claim it examines, its command, cost and expectation.

A user's study is a .toml file of the same fields: docs/studies.md has a commented example.
"""

import dataclasses
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from wbc.arms import PLAIN, Arm, parse_arm
from wbc.config import PlanConfig, RunConfig, TrainConfig, adaptation_names, numbers, split_names
from wbc.data.splits import split_list
from wbc.errors import ConfigError, unknown
from wbc.methods.catalog import ADAPTATIONS, METHODS, PLAIN_SCORE, find_adaptation, find_method
from wbc.models.catalog import PAPER_ROWS, find_model
from wbc.settings import Settings

_SUFFIX: Final = ".toml"
_MOST_SEEDS: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Study(Settings):
    """A claim, and the runs that examine it: each source × model × method × seed, at the same settings."""

    claim: str = ""
    command: str = ""
    cost: str = ""
    """Time, hardware and download."""
    expect: str = ""
    """What comes out, and where that is known from."""
    sources: tuple[str, ...]
    """Splits to train on; several joined by a comma are trained on together."""
    targets: tuple[str, ...]
    """Splits to score, beside each source's own test split."""
    models: tuple[str, ...] = PAPER_ROWS
    methods: tuple[str, ...] = (PLAIN,)
    adapt: tuple[str, ...] = ()
    """The adaptations that each run is scored under, beside plain; those that suit its model."""
    unadapted: tuple[str, ...] = ()
    """Methods whose runs are scored plain alone, which saves time."""
    seeds: int
    """Seeds 0 to seeds - 1."""
    data_gb: int = 1
    """Disk for archives, images and pixel caches."""
    runs_gb: int = 1
    """Disk for all runs: a full grid of nine models has 2 GB of weights, twice (checkpoint, model); embeddings."""
    features_gb: int = 0
    """Disk for what frozen layers make of the training images: 0.4 MB an image and flip of row (iii), in bf16."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.seeds <= _MOST_SEEDS:
            raise ConfigError(f"seeds={self.seeds}: must be 1 to {_MOST_SEEDS:,}: how many there are.")
        for name in self.unadapted:
            find_method(name)

    def domains(self) -> tuple[str, ...]:
        """Returns the keys of the domains that the study's runs need."""
        splits = [*(part for source in self.sources for part in split_list(source)), *self.targets]
        return tuple(dict.fromkeys(each if each.startswith("folder:") else each.split(":")[0] for each in splits))


STUDIES: Final = {
    "demo": Study(
        claim="The whole path works: train, score, report. Its cells are drawings and say nothing about blood.",
        command="make reproduce",
        cost="14 minutes of CPU time, about 8 on two cores; nothing to download",
        expect="every model learns at home; scores away are of drawings and rank no models",
        sources=("smears_source",),
        targets=("smears_target",),
        seeds=3,
        scale="tiny",
        pretrained="patterns",
        image_size=40,
        epochs=8,
        batch_size=32,
        lr=2e-3,  # thin layers with little pretraining need larger steps than the paper's 1e-4
    ),
    "cells": Study(
        claim="On photographs, with ImageNet weights: what live batch norm does on another lab's cells.",
        command="make reproduce PROFILE=cells",
        cost="52 minutes of CPU time, so 26 to 31 on two cores; 50 MB of images",
        expect="92 to 98 % at home but for the linear layer; 12 to 31 % on bccd, where one answer scores 59 %",
        sources=("pbc2500",),
        targets=("bccd", "tecom", "cellavision"),
        models=("lite0", "lite0_frozenbn", "lite0_frozenbn_last16", "lite0_last16", "lite0_head", "squeezenet"),
        seeds=5,
        image_size=96,
        epochs=3,
        batch_size=32,
        lr=3e-4,
        checkpoint_every=1,
    ),
    "methods": Study(
        claim="Which way to train, and which adaptation, helps on another lab's photographs.",
        command="make reproduce PROFILE=methods",
        cost="not measured; by the rates of cells about an hour and a half on two cores; 50 MB of images",
        expect="not run yet",
        sources=("pbc2500",),
        targets=("bccd", "tecom", "cellavision"),
        models=("lite0", "lite0_frozenbn_last16", "squeezenet"),
        methods=tuple(METHODS),
        adapt=tuple(name for name in ADAPTATIONS if name != PLAIN_SCORE),
        unadapted=tuple(name for name in METHODS if name != PLAIN),
        seeds=3,
        image_size=64,
        validation=0.2,
        epochs=3,
        batch_size=32,
        lr=3e-4,
        checkpoint_every=1,
        runs_gb=4,
    ),
    "open": Study(
        claim="The paper's nine models on images that download without a login.",
        command="make reproduce PROFILE=open",
        cost="a GPU, or days on a CPU; 60 MB of images, 1.5 GB of weights",
        expect="not run yet",
        sources=("pbc2500",),
        targets=("bccd", "tecom"),
        seeds=3,
        epochs=30,
        runs_gb=14,
        features_gb=3,
    ),
    "paper": Study(
        claim="Batch norm fails on another lab's images; group norm or frozen batch norm holds (arXiv:2303.01777).",
        command="make reproduce PROFILE=paper",
        cost="about 6 GPU-hours of an H200 in bf16; 500 MB of images, 1.5 GB of weights",
        expect="Table 4 of the paper: ResNet50 98.5 % at home and 23 % on LISC, VGG16 74 % on LISC",
        sources=("raabin",),
        targets=("raabin:test_b", "lisc", "bccd"),
        adapt=("adabn", "em"),
        seeds=10,
        precision="bf16",
        data_gb=5,
        runs_gb=50,
        features_gb=16,
    ),
}


def find_study(name: str) -> Study:
    """Returns a study by its name or its .toml file.

    Raises:
        ConfigError: there is no such study, or its file has a field or value that is not allowed.
    """
    if name.endswith(_SUFFIX):
        return _read_study(Path(name))
    if name not in STUDIES:
        raise unknown("profile", name, [*STUDIES, f"FILE{_SUFFIX}"])
    return STUDIES[name]


def study_name(profile: str) -> str:
    """Returns what a study is called in tags and folders: the row's name, or the file's without folder and suffix."""
    return Path(profile).stem if profile.endswith(_SUFFIX) else profile


def resolve(options: TrainConfig) -> RunConfig:
    """Returns the run that `options` describe, with the study's settings for `auto`.

    Raises:
        ConfigError: a name or value that is not allowed, named together with what is.
    """
    study = find_study(options.profile)
    arm = parse_arm(options.model, tuple(split_list(options.source or study.sources[0])), options.method)
    targets = tuple(split_list(options.targets)) if options.targets else study.targets
    adapt = _adapt(study, arm) if options.adapt is None else adaptation_names(options.adapt)
    return _configure(arm, options.seed, study_name(options.profile), targets, adapt, _settings(study, options))


def plan(options: PlanConfig) -> list[RunConfig]:
    """Returns the runs of a study that `options` choose, all arms of the first seed first; the same on every machine.

    A study of several sources scores no arm on what it was trained on.
    """
    study = find_study(options.profile)
    settings = _settings(study, options)
    return [
        _configure(arm, seed, study_name(options.profile), _targets(study, arm), _adapt(study, arm), settings)
        for seed in (numbers("seeds", options.seeds) if options.seeds else range(study.seeds))
        for arm in plan_arms(options)
    ]


def plan_arms(options: PlanConfig) -> list[Arm]:
    """Returns the arms of a study that `options` choose, each once."""
    study = find_study(options.profile)
    models = split_names(options.models) if options.models else study.models
    methods = split_names(options.methods) if options.methods else study.methods
    arms = [
        parse_arm(model, tuple(source.split(",")), method)
        for source in study.sources
        for method in methods
        for model in models
    ]
    return list(dict.fromkeys(arms))


def _settings(study: Study, options: TrainConfig | PlanConfig) -> dict[str, Any]:
    """Returns the settings of a study, with those that the options give in their place."""
    names = [field.name for field in dataclasses.fields(Settings)]
    given = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    return {name: getattr(study, name) for name in names} | given


def _targets(study: Study, arm: Arm) -> tuple[str, ...]:
    return tuple(target for target in study.targets if len(study.sources) == 1 or target not in arm.sources)


def _adapt(study: Study, arm: Arm) -> tuple[str, ...]:
    return () if arm.method in study.unadapted else study.adapt


def _configure(
    arm: Arm, seed: int, profile: str, targets: Sequence[str], adapt: Sequence[str], settings: dict[str, Any]
) -> RunConfig:
    find_model(arm.model)
    find_method(arm.method)
    for adaptation in adapt:
        find_adaptation(adaptation)
    if settings["warmup_epochs"] is None:  # the paper warms up for 10 of its 100 epochs
        settings = settings | {"warmup_epochs": settings["epochs"] // 10}
    return RunConfig(
        model=arm.model,
        method=arm.method,
        seed=seed,
        profile=profile,
        source=",".join(arm.sources),
        targets=tuple(targets),
        adapt=tuple(each for each in adapt if each != PLAIN_SCORE),
        **settings,
    )


def _read_study(path: Path) -> Study:
    """Returns the study that a .toml file describes, validated as options are."""
    if not re.fullmatch(r"[\w.+ -]+", path.stem):
        raise ConfigError(
            f"profile={path}: a study is called like its file: use letters, digits, spaces and _ . + - alone."
        )
    if path.stem in STUDIES:
        raise ConfigError(f"profile={path}: '{path.stem}' is a study of this project; give the file another name.")
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"profile={path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"profile={path}: is no TOML: {error}") from error
    hints = get_type_hints(Study)
    for name in fields.keys() - hints.keys():
        raise ConfigError(f"profile={path}: {unknown('field', name, hints)}")
    values = {name: _typed(path, name, value, hints[name]) for name, value in fields.items()}
    missing = [name for name in ("sources", "targets", "seeds") if name not in values]
    if missing:
        raise ConfigError(f"profile={path}: lacks {', '.join(missing)}.")
    try:
        return Study(**values)
    except ConfigError as error:
        raise ConfigError(f"profile={path}: {error}") from error


def _typed(path: Path, name: str, value: Any, hint: Any) -> Any:
    """Returns a value of a TOML file as its field has it, or raises a ConfigError that says what it must be."""
    kinds = [kind for kind in (*get_args(hint), hint) if isinstance(kind, type)] or [str]
    if get_args(hint) == (str, ...):
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            return tuple(value)
        raise ConfigError(f'profile={path}: {name}={value!r}: must be a list of names, such as ["bccd", "tecom"].')
    if float in kinds and type(value) is int:
        return float(value)
    if type(value) not in kinds:
        raise ConfigError(f"profile={path}: {name}={value!r}: must be of type {kinds[0].__name__}.")
    return value
