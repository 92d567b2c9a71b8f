"""Settings: how runs train, each declared once with its default, its help, what it is for and what is allowed."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from wbc.errors import ConfigError, unknown

Use = Literal["trains", "free", "rate"]
"""What a setting is for. trains: its value decides what is trained. free: it may differ between the runs of one report.
rate: it decides how fast a run trains."""


def option(default: Any, text: str, *, choices: str | tuple[str, ...] = ()) -> Any:
    """Returns a dataclass field with its default and the line of help that every interface shows.

    `choices` are the values allowed, or the catalogue that holds them, as "module:name".
    """
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices})


def setting(
    default: Any, text: str, *uses: Use, least: float | None = None, above: float | None = None, most: float = math.inf
) -> Any:
    """Returns a field of `Settings`: its default, its help, what it is for, and the numbers that are allowed."""
    metadata = {"help": text, "uses": uses, "least": least, "above": above, "most": most}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the runs of a study train; the defaults are the paper's (arXiv:2303.01777, section 2.1).

    Raises:
        ConfigError: a value is not allowed; the message names the field, the value and what is allowed.
    """

    recipe: Literal["paper", "released"] = setting(
        "paper", "paper (the text's) or released (the released code's, quirks included, but LISC as its files are)."
    )
    scale: Literal["full", "tiny"] = setting(
        "full", "full, or tiny: the same topology, thin, for the demo and tests.", "trains", "rate"
    )
    pretrained: str = setting(
        "imagenet", "imagenet, patterns (drawn, for scale=tiny), none, or a file or folder of weights."
    )
    image_size: int = setting(
        224, "Side of the network's input in pixels (paper: 224).", "trains", "rate", least=16, most=4096
    )
    validation: float = setting(
        0.0, "Share of the training images held out and scored, by class and slide (paper: 0).", least=0, most=0.5
    )
    epochs: int = setting(100, "Passes over the source's training images (paper: 100).", "trains", least=1)
    visits: int | None = setting(
        None, "Images that an epoch visits, some again or not all; auto: each training image once.", "trains", least=2
    )
    warmup_epochs: int | None = setting(
        None, "Epochs of rising learning rate; auto: a tenth of epochs (paper: 10 of 100).", "trains", least=0
    )
    batch_size: int = setting(128, "Images per update (released code: 128).", "trains", least=2)
    lr: float = setting(1e-4, "Peak learning rate of AdamW (paper: 1e-4).", "trains", above=0)
    weight_decay: float = setting(0.005, "Weight decay of AdamW (paper: 0.005).", "trains", least=0)
    precision: Literal["fp32", "bf16"] = setting(
        "fp32", "fp32, or bf16 autocast, which needs hardware that computes in it.", "trains", "rate"
    )
    fast: bool = setting(True, "Fast layouts, kernels and caches; off: the plain ones.", "trains", "rate")
    device: Literal["auto", "cpu", "cuda"] = setting("auto", "cpu or cuda; auto: cuda where there is one.", "free")
    checkpoint_every: int = setting(5, "Epochs between checkpoints; a kill loses at most so many.", "free", least=1)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(Settings):
            check_setting(field.name, getattr(self, field.name))
        if self.warmup_epochs is not None and self.warmup_epochs >= self.epochs:
            raise ConfigError(f"warmup_epochs={self.warmup_epochs}: must be less than epochs={self.epochs}.")


def settings_for(use: Use) -> tuple[str, ...]:
    """Returns the names of the settings that are for something."""
    return tuple(field.name for field in dataclasses.fields(Settings) if use in field.metadata["uses"])


def allowed_values(name: str) -> tuple[str, ...]:
    """Returns the words that a setting may be; none where it is a number, a truth or free text."""
    hint = get_type_hints(Settings)[name]
    return tuple(value for value in get_args(hint) if isinstance(value, str))


def check_setting(name: str, value: Any) -> None:
    """Raises a ConfigError if a setting's value is not allowed."""
    words, bounds = allowed_values(name), Settings.__dataclass_fields__[name].metadata
    if words and value not in words:
        raise unknown(name, str(value), words)
    least, above, most = bounds["least"], bounds["above"], bounds["most"]
    if value is None or (least is None and above is None):
        return
    if not math.isfinite(value):
        raise ConfigError(f"{name}={value}: must be a finite number.")
    if (least is not None and value < least) or (above is not None and value <= above):
        raise ConfigError(f"{name}={value}: must be {f'above {above}' if least is None else f'{least} or more'}.")
    if value > most:
        raise ConfigError(f"{name}={value}: must be {most} or less.")


def given(name: str) -> Any:
    """Returns the option that overrides a setting, `auto` by default."""
    return option(None, Settings.__dataclass_fields__[name].metadata["help"], choices=allowed_values(name))
