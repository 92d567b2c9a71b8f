"""Predictions made over: for other shares of classes, or by a linear head on a few labelled images."""

import dataclasses
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Int64
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wbc.cells import CLASSES
from wbc.config import RunConfig
from wbc.errors import ConfigError
from wbc.evaluation.records import Predictions
from wbc.methods.adapt import Source
from wbc.methods.catalog import find_method
from wbc.methods.losses import class_shares
from wbc.seeding import generator

DRAWS: Final = 5
"""How often the labelled images are drawn; each draw scores all the others."""
CLOSE: Final = 1e-7
_ROUNDS: Final = 10_000
Shares = Float64[np.ndarray, " 5"]
Scores = Float[np.ndarray, "images 5"]


def prior(predictions: Predictions, source: Source, config: RunConfig) -> Predictions:
    """Returns probabilities as if all classes were equally common.

    Where the method has seen to that in training, they stay.

    Reference: Menon et al. 2021, arXiv:2007.07314, equation 9 with τ = 1.
    """
    even = np.full(len(CLASSES), 1 / len(CLASSES))
    return _with(predictions, reweighted(predictions.scores, trained_shares(source, config), even))


def em(predictions: Predictions, source: Source, config: RunConfig) -> Predictions:
    """Returns probabilities for the class shares that make the images' own probabilities most likely.

    Reference: Saerens et al. 2002, Neural Comput 14(1), equations 2.8 and 2.9.
    """
    shares = trained_shares(source, config)
    return _with(predictions, reweighted(predictions.scores, shares, em_shares(predictions.scores, shares)))


def trained_shares(source: Source, config: RunConfig) -> Shares:
    """Returns the shares of classes that a run's probabilities rest on."""
    even = np.full(len(CLASSES), 1 / len(CLASSES))
    return even if find_method(config.method).evens else class_shares(source().labels)


def em_shares(scores: Scores, trained: Shares) -> Shares:
    """Returns the shares of the classes among the images, from probabilities that rest on the shares `trained`."""
    shares = trained.copy()
    for _ in range(_ROUNDS):
        found: Shares = reweighted(scores, trained, shares).mean(0)
        if np.abs(found - shares).max() < CLOSE:
            break
        shares = found
    return found


def reweighted(scores: Scores, before: Shares, after: Shares) -> Float64[np.ndarray, "images 5"]:
    """Returns probabilities that rest on the shares `before` for the shares `after`; a row of zeros stays as it was."""
    weighed = scores.astype(np.float64) * (after / np.where(before > 0, before, np.inf))
    total = weighed.sum(1, keepdims=True)
    made: Float64[np.ndarray, "images 5"] = np.where(total > 0, weighed / np.where(total > 0, total, 1), scores)
    return made


def shots(predictions: Predictions, source: Source, config: RunConfig, *, k: int) -> Predictions:
    """Returns what linear heads say that learned from k labelled images a class, five draws, one after the other.

    A head is a logistic regression on standardised embeddings. The images it learned from are not scored. Of a class
    with fewer than 2 k images half are labelled. An image's id ends in "#" and the draw.

    Raises:
        ConfigError: fewer than two classes have two images.
    """
    parts = []
    for draw in range(DRAWS):
        learned = drawn(predictions.labels, k, generator(config.seed, "shots", k, draw))
        if len(np.unique(predictions.labels[learned])) < 2:
            raise ConfigError(f"{predictions.domain}: fewer than two classes have two images: no head can be learned.")
        head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        head.fit(predictions.embeddings[learned], predictions.labels[learned])
        others = np.setdiff1d(np.arange(len(predictions.labels)), learned)
        scores = np.zeros((len(others), len(CLASSES)), np.float32)
        scores[:, head.classes_] = head.predict_proba(predictions.embeddings[others])
        parts.append((others, scores, [f"{predictions.ids[row]}#{draw}" for row in others]))
    rows = np.concatenate([others for others, _, _ in parts])
    return dataclasses.replace(
        predictions,
        ids=tuple(name for _, _, names in parts for name in names),
        labels=predictions.labels[rows],
        scores=np.concatenate([scores for _, scores, _ in parts]),
        embeddings=predictions.embeddings[rows],
    )


def drawn(labels: Int64[np.ndarray, " images"], k: int, rng: np.random.Generator) -> Int64[np.ndarray, " some"]:
    """Returns k images of each class at random, in order; of a class with fewer than 2 k, half."""
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    chosen: Int64[np.ndarray, " some"] = np.sort(
        np.concatenate([rng.permutation(rows)[: min(k, len(rows) // 2)] for rows in classes])
    )
    return chosen


def _with(predictions: Predictions, scores: Float64[np.ndarray, "images 5"]) -> Predictions:
    return dataclasses.replace(predictions, scores=scores.astype(np.float32))


shots_1, shots_5, shots_10, shots_20 = (partial(shots, k=k) for k in (1, 5, 10, 20))
