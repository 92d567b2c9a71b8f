"""The options of each entry point: a dataclass whose fields are command-line options and MLproject parameters.

`auto` (None here) leaves a choice to the study. `RunConfig` is a training run once nothing is `auto`.
"""

from dataclasses import dataclass
from typing import Any, Final

from wbc.arms import PLAIN, Arm
from wbc.errors import ConfigError, unknown
from wbc.settings import Settings, check_setting, given, option

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


_SEEDS: Final = 2**32
"""NumPy and PyTorch both take seeds below it."""
_PROFILE: Final = "A study, or the .toml file of a study of yours."
_STUDIES: Final = "wbc.studies:STUDIES"
_MODELS: Final = "wbc.models.catalog:MODELS"
_METHODS: Final = "wbc.methods.catalog:METHODS"
_ADAPTATIONS: Final = "wbc.methods.catalog:ADAPTATIONS"


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Options of `prepare`: download, verify, and decode images into the pixel cache."""

    domains: str | None = option(
        None,
        "Domains to prepare, by commas: keys or folder:PATH. auto: the study's.",
        choices="wbc.data.catalog:DOMAINS",
    )
    profile: str = option("demo", _PROFILE, choices=_STUDIES)
    recipe: str | None = given("recipe")
    image_size: int | None = given("image_size")
    archive: str = option("none", "Archive of one domain downloaded by hand: a file, or a folder if it has several.")

    def __post_init__(self) -> None:
        for name in ("recipe", "image_size"):
            if getattr(self, name) is not None:
                check_setting(name, getattr(self, name))
        if self.archive != "none" and (self.domains or "").startswith("folder:"):
            raise ConfigError(
                f"archive={self.archive}: unpack it, and name what it holds as domains=folder:PATH alone."
            )
        if self.archive != "none" and (self.domains is None or "," in self.domains):
            raise ConfigError(f"archive={self.archive}: name the one domain it belongs to, such as domains=bccd.")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Options of `train`: one model, one method, one seed, scored at home and on the targets."""

    model: str = option("resnet50_frozenbn", "A row of MODELS, or timm:<name>; or MODEL+METHOD.", choices=_MODELS)
    method: str = option(PLAIN, "A row of METHODS; several joined by +.", choices=_METHODS)
    seed: int = option(0, "Seed of weights, order and augmentation; 0 or more (paper: ten seeds, 0-9).")
    profile: str = option("demo", _PROFILE, choices=_STUDIES)
    source: str | None = option(None, "Splits to train on, by commas: key, key:split or folder:PATH.")
    targets: str | None = option(None, "Splits to score, by commas: key, key:split or folder:PATH.")
    adapt: str | None = option(
        None, "Adaptations to score under too, by commas; auto: the study's.", choices=_ADAPTATIONS
    )
    recipe: str | None = given("recipe")
    scale: str | None = given("scale")
    pretrained: str | None = given("pretrained")
    image_size: int | None = given("image_size")
    validation: float | None = given("validation")
    epochs: int | None = given("epochs")
    visits: int | None = given("visits")
    warmup_epochs: int | None = given("warmup_epochs")
    batch_size: int | None = given("batch_size")
    lr: float | None = given("lr")
    weight_decay: float | None = given("weight_decay")
    precision: str | None = given("precision")
    fast: bool | None = given("fast")
    device: str | None = given("device")
    checkpoint_every: int | None = given("checkpoint_every")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Options of `evaluate`: score an earlier run on further domains."""

    run: str = option(
        "latest",
        "Run: id, its first 6 digits or more, a name (vgg16/seed1), or latest; or path of a checkpoint file. Several "
        "seeds of one arm, by commas or spaces: the average of their weights.",
    )
    targets: str | None = option(
        None, "Splits to score, by commas: key, key:split or folder:PATH. auto: the run's targets."
    )
    adapt: str = option(
        "none", "Adaptations to score under, by commas, each for itself; A+B: both at once.", choices=_ADAPTATIONS
    )
    model: str | None = option(None, "The model that you expect the checkpoint to hold; another one stops.")
    device: str | None = given("device")


@dataclass(frozen=True, kw_only=True)
class AnalyseConfig:
    """Options of `analyse`: how far a run's batch norms lie from the statistics of each split, by depth."""

    run: str = option(
        "latest", "Completed run: its id, 6 or more of its first digits, a name (vgg16/seed1), or latest."
    )
    device: str | None = given("device")


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """Options of `audit`: copies, labels and quality of images, before anybody trains on them. Findings are notes."""

    domains: str | None = option(
        None,
        "Domains to look through, by commas: keys or folder:PATH. auto: the study's.",
        choices="wbc.data.catalog:DOMAINS",
    )
    profile: str = option("demo", f"{_PROFILE} Its runs in the store judge labels.", choices=_STUDIES)
    output: str | None = option(None, "Folder of the page and the CSV; auto: reports/audit.")


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """The options that choose runs of a study, for the grid and for its report."""

    profile: str = option("demo", _PROFILE, choices=_STUDIES)
    models: str | None = option(None, "Models, or MODEL+METHOD, by commas; auto: the study's.", choices=_MODELS)
    methods: str | None = option(None, "Methods, by commas; auto: the study's.", choices=_METHODS)
    seeds: str | None = option(None, "Seeds, by commas; auto: the study's.")
    epochs: int | None = given("epochs")
    precision: str | None = given("precision")
    fast: bool | None = given("fast")


@dataclass(frozen=True, kw_only=True)
class ReportConfig(PlanConfig):
    """Options of `report`: tables, figures and a page from the tracked runs of a study."""

    output: str | None = option(None, "Folder of the report; auto: reports/<study>.")


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig(ReportConfig):
    """Options of `reproduce`: all arms and seeds of a study, skipping what is done, then the report."""

    runner: str = option(
        "local",
        "Where runs take place: local (processes here), docker (containers) or ray (a cluster).",
        choices=tuple(RUNNERS),
    )
    jobs: int | None = option(None, "Runs at a time; auto: thin models one per core, full ones as a GPU holds, or one.")
    dry_run: bool = option(False, "Only print the cells, what is done, what will run, and hours by measured rates.")
    image: str = option("wbc-benchmark", "runner=docker: the image to run in; make image builds it.")
    memory: str | None = option(None, "runner=docker: memory of each run, such as 16g; auto: no limit.")
    address: str = option(
        "local", "runner=ray: ray://HOST:PORT, auto (RAY_ADDRESS, or this machine's) or local (started for this)."
    )
    cpus: int | None = option(
        None, "runner=docker or ray: CPU cores of each run; auto: jobs share them (docker), 1 or 4 by scale (ray)."
    )
    gpus: float | None = option(
        None, "runner=ray: GPUs of each run, 0.5 for two runs on one; auto: 1 if there are any."
    )

    def __post_init__(self) -> None:
        if self.runner not in RUNNERS:
            raise unknown("runner", self.runner, RUNNERS)
        for name in ("jobs", "cpus"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value}: must be 1 or more.")
        if self.gpus is not None and not (0 <= self.gpus < 1 or self.gpus == 1):
            raise ConfigError(f"gpus={self.gpus}: must be 0, a fraction, or 1.")
        for name, runners in _RUNNERS_WITH.items():
            value = getattr(self, name)
            if value != getattr(type(self), name) and self.runner not in runners:
                raise ConfigError(
                    f"{name}={value}: does nothing with runner={self.runner}, only with runner={' or '.join(runners)}."
                )


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Options of `tune`: learning rates and epochs, chosen on the source alone."""

    profile: str = option("demo", _PROFILE, choices=_STUDIES)
    models: str | None = option(None, "Models to tune, by commas; auto: the study's.", choices=_MODELS)
    methods: str = option(
        PLAIN, "Methods to tune, by commas; a study's others take the rate of plain training.", choices=_METHODS
    )
    seeds: str = option("0", "Seeds, by commas; a choice is by their mean.")
    lrs: str = option("1e-4,3e-4,1e-3", "Peak learning rates to try, by commas.")
    epochs: str | None = option(None, "Numbers of epochs to try, by commas; auto: the study's.")
    validation: float = option(0.2, "Share of the training images that is held out to choose on.")
    jobs: int | None = option(None, "Runs at a time; auto: as for reproduce.")


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """Options of `doctor`: what this machine has and lacks for a study. Exit code 2 where something is wrong."""

    profile: str = option("demo", _PROFILE, choices=_STUDIES)
    store: bool = option(False, "Check every complete run of the store instead: its files, digests and tags.")


@dataclass(frozen=True, kw_only=True)
class RunConfig(Settings):
    """One training run, complete and valid.

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
    adapt: tuple[str, ...] = ()
    """The adaptations to score under, beside plain."""
    warmup_epochs: int

    @property
    def arm(self) -> Arm:
        """What is trained, whatever the seed."""
        return Arm(self.model, self.method, tuple(self.source.split(",")))

    @property
    def name(self) -> str:
        """What the run is called, such as resnet50/seed0."""
        return f"{self.arm.name}/seed{self.seed}"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.seed < _SEEDS:
            raise ConfigError(f"seed={self.seed}: must be 0 or more, and below {_SEEDS:,}.")


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Options of `server`: MLflow's page on the store in use, for this machine alone."""

    port: int = option(5000, "Port of 127.0.0.1 to listen on.")

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ConfigError(f"port={self.port}: must be 1 to 65535.")


@dataclass(frozen=True, kw_only=True)
class RepointConfig:
    """Options of `repoint`: after a project was moved, record in its SQLite store where its artifacts lie now."""

    old: str | None = option(None, "The folder that the store names; auto: that of the experiment in use.")
    new: str | None = option(None, "The folder that the artifacts lie in now; auto: mlartifacts beside the database.")


def split_names(text: str) -> list[str]:
    """Returns the names in a comma-separated list, each once, without the spaces around them."""
    return list(dict.fromkeys(name.strip() for name in text.split(",")))


def adaptation_names(text: str) -> tuple[str, ...]:
    """Returns the adaptations in a list by commas; "none", scoring without one, is left out."""
    return tuple(name for name in split_names(text) if name != "none")


def numbers(name: str, text: str, kind: type[int] | type[float] = int) -> list[Any]:
    """Returns the numbers in a comma-separated list, each once; `name` is the option's, for the error."""
    try:
        return list(map(kind, split_names(text)))
    except ValueError:
        wanted, such = ("whole numbers", "1,2,3") if kind is int else ("numbers", "1e-4,1e-3")
        raise ConfigError(f"{name}={text}: must be {wanted} by commas, such as {such}.") from None
