"""Which images an epoch visits."""

import numpy as np

from wbc.methods.parts import Integers
from wbc.seeding import generator


def balanced(labels: Integers, labs: Integers, seed: int, epoch: int) -> Integers:
    """Visits each class that has images equally often, and within a class each image, whatever its lab.

    An epoch has as many visits as there are images. Where they do not divide by the classes, which classes get one more
    changes from epoch to epoch.

    Reference: Buda et al. 2018, arXiv:1710.05381, oversampling to full balance; here rare classes come more often and
    common ones less, so that an epoch stays as long.
    """
    rng = generator(seed, "balanced", epoch)
    return rng.permutation(_equally(labels, len(labels), rng))


def by_lab(labels: Integers, labs: Integers, seed: int, epoch: int) -> Integers:
    """Visits each lab equally often, and within a lab each image: those of small labs come again and again.

    Of any images that follow each other, and so of any batch, the last too, each lab has as many, give or take one.
    An epoch has as many visits as there are images.

    Reference: Gulrajani & Lopez-Paz 2021, arXiv:2007.01434, whose batches hold as many images of each domain.
    """
    return _alternating(np.zeros_like(labels), labs, generator(seed, "by lab", epoch))


def balanced_by_lab(labels: Integers, labs: Integers, seed: int, epoch: int) -> Integers:
    """Visits each lab as `by_lab` does, and within a lab each class that it has images of equally often.

    So a class does not tell the lab, as it does where one lab alone has most images of it.
    """
    return _alternating(labels, labs, generator(seed, "balanced by lab", epoch))


def _alternating(labels: Integers, labs: Integers, rng: np.random.Generator) -> Integers:
    """Returns rounds of one image of each lab, in an order drawn for each; a lab's come from its classes alike."""
    present = np.unique(labs)
    rounds = -(-len(labels) // len(present))
    columns = []
    for lab in present:
        rows = np.flatnonzero(labs == lab)
        columns.append(rows[rng.permutation(_equally(labels[rows], rounds, rng))])
    return rng.permuted(np.stack(columns, 1), axis=1).ravel()[: len(labels)]


def _equally(labels: Integers, visits: int, rng: np.random.Generator) -> Integers:
    """Returns so many visits, of each class equally many and within it of each image, class by class."""
    classes = np.unique(labels)
    quotas = np.full(len(classes), visits // len(classes))
    quotas[rng.permutation(len(classes))[: visits % len(classes)]] += 1
    found = []
    for label, quota in zip(classes, quotas, strict=True):
        rows = np.flatnonzero(labels == label)
        found += [rng.permutation(rows) for _ in range(quota // len(rows))]
        found.append(rng.permutation(rows)[: quota % len(rows)])
    return np.concatenate(found)
