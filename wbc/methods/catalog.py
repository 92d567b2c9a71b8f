"""The ways to train that a model is combined with: one row a method, each saying what it may see.

This file imports neither torch nor timm, so that reports can read the rows' titles.
"""

from dataclasses import dataclass
from typing import Final, Literal

from wbc.arms import PLAIN
from wbc.errors import ConfigError, unknown

SEAMS: Final = ("sampler", "augmentation", "mixing", "loss", "average", "trained")
"""The places where a method may act; `wbc.methods.parts` says what stands at each."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to train; each seam it sets names a function as "module:function", the others stay as in the paper."""

    title: str
    """Its name in tables."""
    access: Literal["source"]
    """What it sees: `source`, the labelled training images alone."""
    sampler: str | None = None
    """Which images an epoch visits, and in what order."""
    augmentation: str | None = None
    """How the bytes of a batch are changed, after the recipe's flips and crops."""
    mixing: str | None = None
    """How the images of a batch, and their labels, are blended."""
    loss: str | None = None
    """What is minimised."""
    average: str | None = None
    """How far the average of the weights, which is scored and saved, follows each step."""
    trained: str | None = None
    """Which parameters train in which epoch."""


METHODS: Final[dict[str, Method]] = {
    "erm": Method(title="as in the paper", access="source"),
    "mixup": Method(title="mixup, as the released code offers it", access="source", mixing="wbc.methods.mix:mix"),
}


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """One way to fit a trained model to the images that it is scored on."""

    title: str
    """Its name in tables."""
    access: Literal["source", "target"]
    """What it sees: one image at a time, or the unlabelled images of the split that is scored, all of them."""
    function: str | None = None
    """From (model, images, run) to the model that scores, as "module:function"; None: the model stays as it is."""


ADAPTATIONS: Final[dict[str, Adaptation]] = {"none": Adaptation(title="as trained", access="source")}


def find_method(name: str) -> Method:
    """Returns the row called `name`, or several rows in one where names are joined by "+": "balanced+mixup".

    Raises:
        ConfigError: a row is not known, two rows set the same seam, or they do not stand in the catalogue's order.
    """
    parts = name.split("+")
    for part in parts:
        if part not in METHODS:
            raise unknown("method", part, METHODS)
    if len(parts) == 1:
        return METHODS[name]
    if PLAIN in parts:
        raise ConfigError(f"method '{name}': {PLAIN} is training without a method: leave it out.")
    settings: dict[str, str] = {}
    setters: dict[str, str] = {}
    for part in parts:
        for seam in SEAMS:
            function = getattr(METHODS[part], seam)
            if function and seam in settings:
                raise ConfigError(f"method '{name}': {setters[seam]} and {part} both set the {seam}: choose one.")
            if function:
                settings[seam], setters[seam] = function, part
    ordered = "+".join(sorted(parts, key=list(METHODS).index))
    if name != ordered:
        raise ConfigError(f"method '{name}': methods stand in the catalogue's order: write {ordered}.")
    return Method(title=" + ".join(METHODS[part].title for part in parts), access="source", **settings)
