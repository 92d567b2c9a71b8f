"""The studies: arms × seeds at one size, each row with the claim it examines, its command, cost and expectation.

A user's study is a .toml file of the same fields: docs/studies.md has a commented example.
"""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from wbc.arms import PLAIN, Arm, parse_arm
from wbc.config import PlanConfig, RunConfig, TrainConfig, adaptation_names, numbers, split_names
from wbc.data.splits import expand_targets, lab_of, parse_sources, split_list
from wbc.errors import ConfigError, unknown
from wbc.methods.catalog import ADAPTATIONS, METHODS, PLAIN_SCORE, find_adaptation, find_method
from wbc.models.catalog import PAPER_ROWS, find_model
from wbc.settings import Settings
from wbc.study_files import read_study_file

_SUFFIX: Final = ".toml"
_MOST_SEEDS: Final = 1000
_OF_ONE_LAB: Final = tuple(name for name, row in METHODS.items() if row.labs == 1)
_LABS: Final = ("pbc2500", "bccd:train", "tecom:train", "cellavision:train")
"""What the study of labs trains on: each alone, then all but one."""


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

    def domains(self) -> tuple[str, ...]:
        """Returns the keys of the domains that the study's runs need."""
        splits = [*(part for source in self.sources for part in split_list(source)), *self.targets]
        return tuple(dict.fromkeys(map(lab_of, splits)))


STUDIES: Final = {
    "demo": Study(
        claim="The whole path works: train, score, report. Its cells are drawings and say nothing about blood.",
        command="make reproduce",
        cost="9 minutes of CPU time, about 5 on two fast cores; nothing to download",
        expect="every model learns at home; scores away are of drawings and rank no models",
        sources=("smears_source",),
        targets=("smears_target",),
        seeds=3,
        scale="tiny",
        pretrained="patterns",
        image_size=40,
        epochs=12,
        batch_size=32,
        lr=2e-3,  # thin layers with little pretraining need larger steps than the paper's 1e-4
    ),
    "cells": Study(
        claim="On photographs, with ImageNet weights: what live batch norm does on another lab's cells.",
        command="make reproduce PROFILE=cells",
        cost="23 minutes of CPU time, 13 minutes on two cores; 50 MB of images",
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
        cost="130 minutes of CPU time, so 65 to 90 minutes on two cores; 50 MB of images",
        expect="no way to train is told from plain training away; AdaBN mixed, +19 points on bccd for live batch norm",
        sources=("pbc2500",),
        targets=("bccd", "tecom", "cellavision"),
        models=("lite0", "lite0_frozenbn_last16", "squeezenet"),
        methods=_OF_ONE_LAB,
        adapt=tuple(name for name in ADAPTATIONS if name != PLAIN_SCORE),
        seeds=3,
        image_size=64,
        validation=0.2,
        epochs=3,
        batch_size=32,
        lr=3e-4,
        checkpoint_every=1,
        runs_gb=4,
    ),
    "labs": Study(
        claim="Several labs, or a better method: which helps more on the cells of a lab that was left out.",
        command="make reproduce PROFILE=labs",
        cost="96 minutes of CPU time, so 50 to 80 minutes on two cores; 50 MB of images",
        expect="a lab left out: +7 points from more labs, +3 from the best method; four labs do not tell them apart",
        sources=(*_LABS, *(",".join(three) for three in reversed([*combinations(_LABS, len(_LABS) - 1)]))),
        targets=("pbc2500", "bccd", "tecom", "cellavision"),
        models=("lite0", "lite0_frozenbn_last16"),
        methods=("erm", "colour_jitter", "by_lab", "by_lab+coral", "by_lab+group_dro", "by_lab+v_rex"),
        seeds=3,
        image_size=64,
        epochs=3,
        visits=960,  # 30 steps an epoch from whatever lab: small labs' images come again, and no arm trains longer
        batch_size=32,
        lr=3e-4,
        checkpoint_every=3,
        runs_gb=6,
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
        return read_study_file(Path(name), Study, STUDIES)
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
    for name, several in (("model", "make reproduce takes several as MODELS"), ("method", "join several by +")):
        if re.search(r"[\s,]", getattr(options, name).strip()):
            raise ConfigError(f"{name}={getattr(options, name)}: a run has one {name}: {several}.")
    _refuse_second_method([options.model], [options.method])
    sources = tuple(split_list(options.source or study.sources[0]))
    arm = parse_arm(options.model.strip(), sources, options.method.strip())
    targets = tuple(split_list(options.targets)) if options.targets else study.targets
    adapt = study.adapt if options.adapt is None else adaptation_names(options.adapt)
    return _configure(arm, options.seed, study_name(options.profile), targets, adapt, _settings(study, options))


def plan(options: PlanConfig) -> list[RunConfig]:
    """Returns the runs of a study that `options` choose, all arms of the first seed first; the same on every machine.

    A study of several sources scores no arm on what it was trained on, nor on a whole lab of which it trained on a
    part: that lab's own test part is its home. Methods of several labs train on sources of several labs alone.
    """
    study = find_study(options.profile)
    settings = _settings(study, options)
    return [
        _configure(arm, seed, study_name(options.profile), _targets(study, arm), study.adapt, settings)
        for seed in (numbers("seeds", options.seeds) if options.seeds else range(study.seeds))
        for arm in plan_arms(options)
    ]


def plan_arms(options: PlanConfig) -> list[Arm]:
    """Returns the arms of a study that `options` choose, each once."""
    study = find_study(options.profile)
    models = split_names(options.models) if options.models else study.models
    methods = split_names(options.methods) if options.methods else study.methods
    if options.methods:
        _refuse_second_method(models, methods)
    arms = [
        parse_arm(model, tuple(source.split(",")), method)
        for source in study.sources
        for method in methods
        for model in models
    ]
    suited = [arm for arm in arms if _labs_lacking(arm) is None]
    for arm in arms:
        if arm.method not in {each.method for each in suited}:
            raise ConfigError(f"{_labs_lacking(arm)}")
    return list(dict.fromkeys(suited))


def _refuse_second_method(models: Sequence[str], methods: Sequence[str]) -> None:
    """Raises a ConfigError if a model names its method, as MODEL+METHOD, and another one is asked for beside it."""
    for model in models:
        named = parse_arm(model, ()).method
        other = [method for method in methods if method not in (PLAIN, named)]
        if named != PLAIN and other:
            raise ConfigError(
                f"model {model} names its method, so {other[0]} would not be used: leave out one of them."
            )


def _settings(study: Study, options: TrainConfig | PlanConfig) -> dict[str, Any]:
    """Returns the settings of a study, with those that the options give in their place."""
    names = [field.name for field in dataclasses.fields(Settings)]
    given = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    return {name: getattr(study, name) for name in names} | given


def _targets(study: Study, arm: Arm) -> tuple[str, ...]:
    if len(study.sources) == 1:
        return study.targets
    sources = parse_sources(",".join(arm.sources))
    return tuple(
        target
        for target in study.targets
        if not any(split.overlaps(source) for split in expand_targets(target) for source in sources)
    )


def _labs_lacking(arm: Arm) -> str | None:
    """Returns why an arm's method cannot train on its sources, or None where it can."""
    labs, needed = {lab_of(source) for source in arm.sources}, find_method(arm.method).labs
    if len(labs) >= needed:
        return None
    return (
        f"method '{arm.method}' compares labs and needs {needed} or more, and {','.join(arm.sources)} is of one: "
        "name sources of several, such as pbc2500,bccd:train."
    )


def _configure(
    arm: Arm, seed: int, profile: str, targets: Sequence[str], adapt: Sequence[str], settings: dict[str, Any]
) -> RunConfig:
    find_model(arm.model)
    if reason := _labs_lacking(arm):
        raise ConfigError(reason)
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
