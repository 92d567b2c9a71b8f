"""How far confidence, a model's largest probability, lies from accuracy; and one temperature that brings them together.

A temperature divides the logits. Above 1 it makes a model less sure; which class is largest stays.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy.optimize import minimize_scalar

TEMPERATURES: Final = (0.05, 20.0)
"""The lowest and highest that are tried. A model without mistakes would have 0."""
_LEAST: Final = float(np.finfo(np.float32).tiny)
"""Probabilities that were rounded to 0 count as this."""
Labels = Int64[np.ndarray, " images"]
Scores = Float[np.ndarray, "images 5"]


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Images counted in equal bins of confidence, from 0 to 1; a bin holds its upper end."""

    images: Int64[np.ndarray, " bins"]
    hits: Int64[np.ndarray, " bins"]
    """How many of them the model got right."""
    confidence: Float[np.ndarray, " bins"]
    """The sum of their confidences."""

    @property
    def error(self) -> float:
        """The expected calibration error, in [0, 1]: |accuracy - mean confidence| of the bins, averaged over images."""
        return float(np.abs(self.hits - self.confidence).sum() / self.images.sum())


def reliability(labels: Labels, scores: Scores, bins: int = 15) -> Reliability:
    """Returns confidence against accuracy, of probabilities `scores` against true `labels`.

    Reference: Guo et al. 2017, arXiv:1706.04599, equations 1 to 3, with M = 15.
    """
    confidence, hit = scores.max(1).astype(np.float64), scores.argmax(1) == labels
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return Reliability(
        images=np.bincount(places, minlength=bins),
        hits=np.bincount(places[hit], minlength=bins),
        confidence=np.bincount(places, weights=confidence, minlength=bins),
    )


def fit_temperature(labels: Labels, scores: Scores) -> float:
    """Returns the temperature of the lowest mean negative log likelihood, within `TEMPERATURES`.

    Reference: Guo et al. 2017, arXiv:1706.04599, section 4.2. The logarithm of a softmax stands for its logits.
    """
    logits = _logits(scores)
    true = logits[np.arange(len(labels)), labels].mean()

    def loss(log_temperature: float) -> float:
        sharpness = np.exp(-log_temperature)
        return float(np.log(np.exp(sharpness * logits).sum(1)).mean() - sharpness * true)

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-4}).x))


def at_temperature(scores: Scores, temperature: float) -> Scores:
    """Returns probabilities as they are once their logits are divided by `temperature`."""
    powers = np.exp(_logits(scores) / temperature)
    mended: Scores = powers / powers.sum(1, keepdims=True)
    return mended


def cross_fitted(labels: Labels, scores: Scores) -> Scores:
    """Returns each half of the images at the temperature of the other half, so that none is judged by its own fit."""
    first = first_half(labels)
    fitted = np.empty(scores.shape)
    for half in (first, ~first):
        fitted[half] = at_temperature(scores[half], fit_temperature(labels[~half], scores[~half]))
    return fitted


def first_half(labels: Labels) -> Bool[np.ndarray, " images"]:
    """Returns the first half of each class, in the images' order: neighbours, often of one slide, stay together."""
    first = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        first[rows[: (len(rows) + 1) // 2]] = True
    return first


def _logits(scores: Scores) -> Scores:
    """Returns logits of probabilities, the largest of each image at 0."""
    logits: Scores = np.log(np.maximum(scores.astype(np.float64), _LEAST))
    logits -= logits.max(1, keepdims=True)
    return logits
