"""What each entry point can be told: a dataclass whose fields are its command-line options and MLproject parameters.

`auto` (None here) leaves a choice to the profile. `RunConfig` is what a training run comes to once nothing is `auto`.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Final, Literal

from wbc.arms import PLAIN, Arm
from wbc.errors import ConfigError, unknown

RECIPE_NAMES: Final = ("paper", "released")
LEAST_IMAGE_SIZE: Final = 16
SCALES: Final = ("full", "tiny")
PRECISIONS: Final = ("fp32", "bf16")
DEVICES: Final = ("cpu", "cuda")
RUNNERS: Final = {
    "local": "wbc.sweep.runners.local:LocalRunner",
    "docker": "wbc.sweep.runners.docker:DockerRunner",
    "ray": "wbc.sweep.runners.ray:RayRunner",
}
"""The places that a sweep's runs can take place, and the classes that see to it, imported when asked for."""

_RUNNERS_WITH: Final = {
    "image": ("docker",),
    "memory": ("docker",),
    "address": ("ray",),
    "cpus": ("docker", "ray"),
    "gpus": ("ray",),
}
"""The runners that an option has a meaning for; the others say so."""


def option(default: Any, text: str) -> Any:
    """Returns a dataclass field with its default and the line of help that every interface shows."""
    return dataclasses.field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Options of `prepare`: download, verify, and decode images into the pixel cache."""

    domains: str | None = option(
        None, "Domains to prepare, by commas: catalogue keys or folder:PATH. auto: the profile's."
    )
    profile: str = option("demo", "Whose domains, recipe and image size auto stands for: demo, open or paper.")
    recipe: str | None = option(
        None, "Image geometry: paper (squashed to the size) or released (short side, then crops)."
    )
    image_size: int | None = option(None, "Side of the network's input in pixels (paper: 224).")
    archive: str = option("none", "Archive of one domain downloaded by hand: a file, or a folder if it has several.")

    def __post_init__(self) -> None:
        if self.image_size is not None and self.image_size < LEAST_IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: must be {LEAST_IMAGE_SIZE} or more.")
        if self.archive != "none" and (self.domains is None or "," in self.domains):
            raise ConfigError(f"archive={self.archive}: name the one domain that it is of, such as domains=bccd.")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Options of `train`: one model, one seed, one source domain, scored at home and on the targets."""

    model: str = option("resnet50_frozenbn", "A row of the model catalogue, or timm:<name>.")
    method: str = option(PLAIN, "A row of the catalogue of methods; MODEL+METHOD as the model says the same.")
    seed: int = option(0, "Seed of weights, order and augmentation; 0 or more (paper: ten seeds, 0-9).")
    profile: str = option("demo", "Settings that auto stands for: demo, open or paper.")
    source: str | None = option(None, "Domain to train on: a catalogue key or folder:PATH.")
    targets: str | None = option(None, "Domains to score, by commas: key, key:split or folder:PATH.")
    recipe: str | None = option(None, "paper (the text's) or released (the released code's, quirks included).")
    scale: str | None = option(None, "full, or tiny: the same topology, thin, for the demo and tests.")
    pretrained: str | None = option(
        None, "imagenet, patterns (drawn, for scale=tiny), none, or a file or folder of weights."
    )
    image_size: int | None = option(None, "Side of the network's input in pixels (paper: 224).")
    epochs: int | None = option(None, "Passes over the source's training images (paper: 100).")
    warmup_epochs: int | None = option(
        None, "Epochs of rising learning rate; auto: a tenth of epochs (paper: 10 of 100)."
    )
    batch_size: int | None = option(None, "Images per update (released code: 128).")
    lr: float | None = option(None, "Peak learning rate of AdamW (paper: 1e-4).")
    weight_decay: float | None = option(None, "Weight decay of AdamW (paper: 0.005).")
    precision: str | None = option(
        None, "fp32, or bf16 autocast; auto: bf16 for full models where the hardware computes in it, unless fast=off."
    )
    fast: bool = option(True, "Fast precision, layouts, kernels and caches; off: the plain ones.")
    device: str | None = option(None, "cpu or cuda; auto: cuda where there is one.")
    checkpoint_every: int | None = option(None, "Epochs between checkpoints; a kill loses at most so many.")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Options of `evaluate`: score an earlier run on further domains."""

    run: str = option("latest", "MLflow run id, or path of a checkpoint file; latest: the last finished training run.")
    targets: str | None = option(
        None, "Domains to score, by commas: key, key:split or folder:PATH. auto: the run's targets."
    )
    model: str | None = option(None, "The model that you expect the checkpoint to hold; another one stops.")
    device: str | None = option(None, "cpu or cuda; auto: cuda where there is one.")


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig:
    """Options of `reproduce`: all models and seeds of a profile, skipping what is done."""

    profile: str = option("demo", "demo (drawn smears, minutes), open (public images) or paper (Raabin to LISC).")
    models: str | None = option(None, "Models to run, by commas; auto: the paper's nine.")
    seeds: str | None = option(None, "Seeds to run, by commas; auto: the profile's.")
    epochs: int | None = option(None, "Epochs of each run; auto: the profile's.")
    precision: str | None = option(None, "Precision of each run, fp32 or bf16; auto: as for train.")
    fast: bool = option(True, "As for train; off: each run the plain way.")
    runner: str = option(
        "local", "Where runs take place: local (processes here), docker (containers) or ray (a cluster)."
    )
    jobs: int | None = option(None, "Runs at a time; auto: thin models one per core, full ones as a GPU holds, or one.")
    dry_run: bool = option(False, "Only print the cells, what is done, what will run, and hours by measured rates.")
    image: str = option("wbc-benchmark", "runner=docker: the image to run in; make image builds it.")
    memory: str | None = option(None, "runner=docker: memory of each run, such as 16g; auto: no limit.")
    address: str = option(
        "local", "runner=ray: ray://HOST:PORT, auto (RAY_ADDRESS, or this machine's) or local (its own)."
    )
    cpus: int | None = option(
        None,
        "runner=docker or ray: CPU cores of each run; auto: jobs share them (docker), 1 or 4 by scale (ray).",
    )
    gpus: float | None = option(
        None, "runner=ray: GPUs of each run, 0.5 for two runs on one; auto: 1 if there are any."
    )
    output: str | None = option(None, "Folder of the report; auto: paper_artifacts/<profile>.")

    def __post_init__(self) -> None:
        if self.runner not in RUNNERS:
            raise unknown("runner", self.runner, RUNNERS)
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"jobs={self.jobs}: must be 1 or more.")
        if self.cpus is not None and self.cpus < 1:
            raise ConfigError(f"cpus={self.cpus}: must be 1 or more.")
        if self.gpus is not None and not (0 <= self.gpus < 1 or self.gpus == 1):
            raise ConfigError(f"gpus={self.gpus}: must be 0, a fraction, or 1.")
        for name, runners in _RUNNERS_WITH.items():
            value = getattr(self, name)
            if value != getattr(type(self), name) and self.runner not in runners:
                raise ConfigError(
                    f"{name}={value}: does nothing with runner={self.runner}, only with runner={' or '.join(runners)}."
                )


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Options of `report`: tables, figures and a page from the tracked runs of a profile."""

    profile: str = option("demo", "Whose runs: demo, open or paper.")
    models: str | None = option(None, "Models to report, by commas; auto: the profile's, and others with such runs.")
    seeds: str | None = option(None, "Seeds to report, by commas; auto: the profile's.")
    epochs: int | None = option(None, "Epochs of the runs to report; auto: the profile's.")
    precision: str | None = option(None, "Precision of the runs to report; auto: that of most runs there are.")
    fast: bool = option(True, "Whether the runs to report were made the fast way.")
    output: str | None = option(None, "Folder of the report; auto: paper_artifacts/<profile>.")


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """Options of `doctor`: what this machine has and lacks for a profile. Exit code 2 where something is wrong."""

    profile: str = option("demo", "Whose images and weights to look for: demo, open or paper.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run, complete and valid: every value decides the outcome, except `profile` and `checkpoint_every`.

    Raises:
        ConfigError: a value is not allowed; the message names the field, the value and what is allowed.
    """

    model: str
    method: str
    seed: int
    profile: str
    source: str
    """The splits trained on, by commas."""
    targets: tuple[str, ...]
    recipe: Literal["paper", "released"]
    scale: Literal["full", "tiny"]
    pretrained: str
    image_size: int
    epochs: int
    warmup_epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    precision: Literal["fp32", "bf16"]
    fast: bool
    device: Literal["cpu", "cuda"]
    checkpoint_every: int

    @property
    def arm(self) -> Arm:
        """What is trained, whatever the seed."""
        return Arm(self.model, self.method, tuple(self.source.split(",")))

    @property
    def name(self) -> str:
        """What the run is called, such as resnet50/seed0."""
        return f"{self.arm.name}/seed{self.seed}"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("recipe", RECIPE_NAMES),
            ("scale", SCALES),
            ("precision", PRECISIONS),
            ("device", DEVICES),
        ):
            if getattr(self, name) not in allowed:
                raise unknown(name, getattr(self, name), allowed)
        for name, least in (
            ("seed", 0),
            ("image_size", LEAST_IMAGE_SIZE),
            ("epochs", 1),
            ("batch_size", 2),
            ("checkpoint_every", 1),
        ):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}={getattr(self, name)}: must be {least} or more.")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ConfigError(
                f"warmup_epochs={self.warmup_epochs}: must be 0 or more and less than epochs={self.epochs}."
            )
        for name, positive in (("lr", self.lr > 0), ("weight_decay", self.weight_decay >= 0)):
            value = getattr(self, name)
            if not (positive and math.isfinite(value)):
                raise ConfigError(
                    f"{name}={value}: must be a finite number {'above' if name == 'lr' else 'of at least'} 0."
                )


def split_names(text: str) -> list[str]:
    """Returns the names in a comma-separated list, each once, without the spaces around them."""
    return list(dict.fromkeys(name.strip() for name in text.split(",")))


def seed_numbers(text: str) -> list[int]:
    """Returns the seeds in a comma-separated list, each once."""
    try:
        return [int(seed) for seed in split_names(text)]
    except ValueError:
        raise ConfigError(f"seeds={text}: must be whole numbers by commas, such as 0,1,2.") from None
