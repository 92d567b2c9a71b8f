"""Which domains a model's weights have seen before, and the mark where such a model is scored on one of them."""

from collections.abc import Collection
from typing import Final

MARK: Final = "‡"
_SEEN: Final = {"dinobloom": ("raabin", "lisc", "bccd", "tecom", "cellavision")}
"""What foundation models were pretrained on, of the catalogue's domains, by a part of their name in lower case.

DinoBloom: Koch et al. 2024, MICCAI, arXiv:2404.05022, the table of its training sets.
"""


def images_seen(name: str) -> tuple[str, ...]:
    """Returns the domains that a model or a file of weights has seen, as far as its name tells; none is not known."""
    return next((seen for part, seen in _SEEN.items() if part in name.lower()), ())


def is_seen(name: str, keys: Collection[str]) -> bool:
    """Returns whether a lab or split of this name has images of one of these domains."""
    return any(f"{name}_".startswith(f"{key}_") for key in keys)


def marked(name: str, keys: Collection[str]) -> str:
    """Returns the name of a lab or split, with the mark where a model that has seen these domains has seen it."""
    return f"{name}{MARK}" if is_seen(name, keys) else name


def meaning(model: str) -> str:
    """Returns the sentence that says what the mark means below scores of a model."""
    return f"{MARK} The weights of {model} have seen images of this lab before."
