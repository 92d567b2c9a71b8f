"""The ways to train that a model is combined with: one row a method, each saying what it may see.

This file imports neither torch nor timm, so that reports can read the rows' titles.
"""

from dataclasses import dataclass
from typing import Final, Literal

from wbc.errors import unknown


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to train."""

    title: str
    """Its name in tables."""
    access: Literal["source"]
    """What it sees: `source`, the labelled training images alone."""
    mixing: str | None = None
    """How images and labels are blended: a function of `wbc.methods.mix`."""


METHODS: Final[dict[str, Method]] = {
    "erm": Method(title="as in the paper", access="source"),
    "mixup": Method(title="mixup, as the released code offers it", access="source", mixing="mixup"),
}


def find_method(name: str) -> Method:
    """Returns the row called `name`; an unknown one raises a ConfigError that names the nearest."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]
