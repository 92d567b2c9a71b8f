"""Arms: a model, a method and the splits that it trains on. With a seed, an arm is a run of a study."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

PLAIN: Final = "erm"
"""The method that an arm's name leaves out: training as in the paper."""
_FORMER_NAMES: Final = {"resnet50_gn_mixup": "resnet50_gn+mixup"}


@dataclass(frozen=True, order=True)
class Arm:
    """A row of MODELS, a row of METHODS and the splits trained on."""

    model: str
    method: str
    sources: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name among arms of the same sources: "resnet50_gn+mixup", or "resnet50_gn" for plain training."""
        return self.model if self.method == PLAIN else f"{self.model}+{self.method}"

    @property
    def full_name(self) -> str:
        """Its name with the splits it trains on: "resnet50_gn+mixup@pbc2500,tecom"."""
        return f"{self.name}@{','.join(self.sources)}"


def short_names(arms: Iterable[Arm]) -> dict[Arm, str]:
    """Returns what a terminal calls arms: by their names, with the splits they train on where these differ.

    An arm of all splits but one goes by the one: "resnet50_gn@all but tecom".
    """
    known = list(dict.fromkeys(arms))
    if len({arm.sources for arm in known}) < 2:
        return {arm: arm.name for arm in known}
    every = {source for arm in known for source in arm.sources}
    names = {}
    for arm in known:
        left = sorted(every - set(arm.sources))
        several = len(arm.sources) > 1 and len(left) == 1
        names[arm] = f"{arm.name}@all but {left[0]}" if several else arm.full_name
    return names


def parse_arm(text: str, sources: tuple[str, ...], method: str = PLAIN) -> Arm:
    """Returns the arm that "model" or "model+method" names, unchecked; `method` is that of a bare model."""
    model, plus, named = _FORMER_NAMES.get(text, text).partition("+")
    return Arm(model, named if plus else method, sources)
