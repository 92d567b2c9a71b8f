"""Which images an epoch visits."""

import numpy as np

from wbc.methods.parts import Integers
from wbc.seeding import generator


def balanced(labels: Integers, labs: Integers, seed: int, epoch: int) -> Integers:
    """Visits each class that has images equally often, and within a class each image.

    An epoch has as many visits as there are images. Where they do not divide by the classes, which classes get one more
    changes from epoch to epoch.

    Reference: Buda et al. 2018, arXiv:1710.05381, oversampling to full balance; here rare classes come more often and
    common ones less, so that an epoch stays as long.
    """
    rng, classes = generator(seed, "balanced", epoch), np.unique(labels)
    quotas = np.full(len(classes), len(labels) // len(classes))
    quotas[rng.permutation(len(classes))[: len(labels) % len(classes)]] += 1
    visits = []
    for label, quota in zip(classes, quotas, strict=True):
        rows = np.flatnonzero(labels == label)
        visits += [rng.permutation(rows) for _ in range(quota // len(rows))]
        visits.append(rng.permutation(rows)[: quota % len(rows)])
    return rng.permutation(np.concatenate(visits))
