"""The three sizes of the benchmark, and the settings that `auto` stands for in each.

demo    drawn blood smears, thin models; minutes on two CPU cores, nothing to download
open    public images that download without a login, ImageNet weights; a GPU, or patience
paper   arXiv:2303.01777, Table 4: Raabin to LISC, nine models × ten seeds × 100 epochs; a CUDA GPU
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from wbc.arms import parse_arm
from wbc.config import DEVICES, PRECISIONS, RunConfig, TrainConfig
from wbc.errors import ConfigError, unknown
from wbc.methods.catalog import find_method
from wbc.models.catalog import PAPER_ROWS, find_model


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A source, its targets, the seeds, and each setting that a run may leave at `auto`."""

    source: str
    targets: str
    seeds: int
    models: tuple[str, ...] = PAPER_ROWS
    recipe: str = "paper"
    scale: str = "full"
    pretrained: str = "imagenet"
    image_size: int = 224
    epochs: int = 100
    batch_size: int = 128
    lr: float = 1e-4
    weight_decay: float = 0.005
    checkpoint_every: int = 5

    def domains(self) -> tuple[str, ...]:
        """Returns the keys of the domains that the profile's runs need."""
        return tuple(dict.fromkeys([self.source, *(target.split(":")[0] for target in self.targets.split(","))]))


PROFILES: Final = {
    "demo": Profile(
        source="smears_source",
        targets="smears_target",
        seeds=3,
        scale="tiny",
        pretrained="patterns",
        image_size=48,
        epochs=8,
        batch_size=16,
        lr=1e-3,  # thin layers with little pretraining need larger steps than the paper's 1e-4
    ),
    "open": Profile(source="pbc2500", targets="bccd,tecom", seeds=3, epochs=30),
    "paper": Profile(source="raabin", targets="raabin:test_b,lisc,bccd", seeds=10),
}


def find_profile(name: str) -> Profile:
    """Returns a profile by name; an unknown one raises a ConfigError that names the nearest."""
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]


def resolve(options: TrainConfig) -> RunConfig:
    """Returns the run that `options` describe, with the profile's settings for `auto`.

    Raises:
        ConfigError: a name or value that is not allowed, named together with what is.
    """
    profile = find_profile(options.profile)
    arm = parse_arm(options.model, (), options.method)
    find_model(arm.model)
    find_method(arm.method)
    settings: dict[str, Any] = {}
    for field in dataclasses.fields(RunConfig):
        given = getattr(options, field.name)
        if given is not None:
            settings[field.name] = given
        elif hasattr(profile, field.name):
            settings[field.name] = getattr(profile, field.name)
    settings |= {"model": arm.model, "method": arm.method}
    settings["targets"] = tuple(settings["targets"].split(","))
    # The paper warms up for 10 of its 100 epochs.
    settings.setdefault("warmup_epochs", settings["epochs"] // 10)
    settings["device"] = choose_device(options.device)
    plain = None if options.fast else "fp32"
    settings["precision"] = choose_precision(options.precision or plain, settings["scale"], settings["device"])
    return RunConfig(**settings)


def plan(
    name: str,
    *,
    models: Iterable[str] | None,
    seeds: Iterable[int] | None,
    epochs: int | None,
    precision: str | None = None,
    fast: bool = True,
) -> list[RunConfig]:
    """Returns the runs of a profile, all models of the first seed first."""
    profile = find_profile(name)
    return [
        resolve(TrainConfig(profile=name, model=model, seed=seed, epochs=epochs, precision=precision, fast=fast))
        for seed in (seeds if seeds is not None else range(profile.seeds))
        for model in (models or profile.models)
    ]


def choose_device(wanted: str | None) -> Literal["cpu", "cuda"]:
    """Returns the device wanted; for None, cuda where PyTorch finds a GPU, else cpu.

    Raises:
        ConfigError: cuda is wanted and PyTorch finds no GPU.
    """
    if wanted == "cpu":
        return "cpu"
    import torch  # here, because reports read the profiles and take no PyTorch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigError("device=cuda: PyTorch finds no CUDA GPU here. Use device=cpu, or see what nvidia-smi says.")
    if wanted not in (None, *DEVICES):
        raise unknown("device", wanted, DEVICES)
    return "cuda" if wanted == "cuda" or (wanted is None and available) else "cpu"


def choose_precision(wanted: str | None, scale: str, device: str) -> Literal["fp32", "bf16"]:
    """Returns the precision wanted; for None, bf16 for a full model where the device computes in it, else fp32.

    Thin models would gain nothing by it.
    """
    if wanted not in (None, *PRECISIONS):
        raise unknown("precision", wanted, PRECISIONS)
    if wanted is None and scale == "full":
        from wbc.compute import computes_in_bf16  # here, because reports take no PyTorch

        return "bf16" if computes_in_bf16(device) else "fp32"
    return "bf16" if wanted == "bf16" else "fp32"
