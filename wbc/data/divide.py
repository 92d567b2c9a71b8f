"""Which images of a set stand apart from the others, by class and group: the same on every machine, without a seed."""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from wbc.cells import CLASSES

TEST_SHARE: Final = 0.3
"""Of a domain of one split that is cut into a training and a test part."""


def choose(groups: Sequence[str], labels: Int64[np.ndarray, " images"], share: float) -> Bool[np.ndarray, " images"]:
    """Returns which images stand apart; `share`, in [0, 1], is wanted of each class.

    Groups are gone through in the order of the SHA-256 of their names. One is chosen if that brings the classes
    nearer to their shares and leaves images of each class. So no group is on both sides, and without groups each
    class gives its share, rounded.
    """
    counts = {group: np.zeros(len(CLASSES), np.int64) for group in groups}
    for group, label in zip(groups, labels, strict=True):
        counts[group][label] += 1
    total = np.bincount(labels, minlength=len(CLASSES))
    wanted = share * total
    chosen, held = [], np.zeros_like(total)
    for group in sorted(counts, key=lambda name: hashlib.sha256(name.encode()).digest()):
        after = held + counts[group]
        if _miss(after, wanted) < _miss(held, wanted) and (after < total)[total > 0].all():
            chosen.append(group)
            held = after
    return np.isin(np.array(groups), chosen)


def with_copies(groups: Sequence[str], contents: Sequence[str]) -> list[str]:
    """Returns the groups with those joined that hold a copy of the same file, each called by the first of its names."""
    names, of_group = np.unique(np.array(groups), return_inverse=True)
    known, of_content = np.unique(np.array(contents), return_inverse=True)
    size = len(names) + len(known)
    links = coo_array((np.ones(len(groups)), (of_group, len(names) + of_content)), shape=(size, size))
    joined = connected_components(links, directed=False)[1][: len(names)]
    _, firsts, of_name = np.unique(joined, return_index=True, return_inverse=True)
    called: list[str] = names[firsts[of_name[of_group]]].tolist()
    return called


def _miss(held: Int64[np.ndarray, "5"], wanted: Float[np.ndarray, "5"]) -> float:
    """Returns how far the classes are from what is wanted, each relative to its own size."""
    return float((np.abs(held - wanted) / np.maximum(wanted, 1)).sum())
