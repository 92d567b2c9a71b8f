"""Evidence where cells have labels: how right a model is, how far its confidence can be trusted, and what it costs."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Int64
from scipy.stats import binomtest

from wbc.assess.predict import Answers
from wbc.assess.slides import RANDOM, Slides
from wbc.cells import CLASSES
from wbc.data.images import Images
from wbc.errors import ConfigError
from wbc.evaluation.calibration import reliability
from wbc.evaluation.clusters import cluster_interval, design_effect
from wbc.evaluation.conformal import class_sets, set_threshold
from wbc.evaluation.counts import (
    PREVALENCE,
    Agreement,
    class_shares,
    counting_limits,
    limits_of_agreement,
    passing_bablok,
)
from wbc.evaluation.metrics import Metrics, score
from wbc.evaluation.records import Predictions
from wbc.evaluation.selective import augrc
from wbc.evaluation.signing import Signing, best_signing, error_limits, signed_at, signing
from wbc.methods.adapt_scores import DRAWS, shots
from wbc.report.study import ScoredDomain

SHOTS: Final = (1, 5, 10, 20)
"""Labelled cells of each class that a head may learn from."""
LEAST_OF_SLIDE: Final = 20
"""Labelled cells from which a slide's count is compared."""
Rows = Int64[np.ndarray, " rows"]
Labels = Int64[np.ndarray, " cells"]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The labelled cells."""

    rows: Rows
    """All that have a label."""
    fair: Rows
    """Those among them that were not chosen by what a model said."""
    labels: Labels
    """Of all cells; -1 where there is none."""
    clusters: tuple[str, ...]
    """Of all cells."""
    slides: tuple[str, ...]
    """Of all cells."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The differential count of one class against the labels, slide by slide."""

    agreement: Agreement
    slope: tuple[float, float, float] | None
    within: int
    """Slides on which the model's share lies within the limits of counting (Rümke) around that of the labels."""


@dataclass(frozen=True, kw_only=True)
class Merits:
    """How a run does on the labelled cells; shares in [0, 1], intervals of 95 %."""

    metrics: Metrics
    accuracy: tuple[float, float]
    balanced: tuple[float, float]
    recall: tuple[tuple[int, int, float, float], ...]
    """Of each class: right, all, and the exact limits; over all labelled cells."""
    ece: tuple[float, float]
    """Before, and at the temperature from home."""
    augrc: float
    """0 is best; half the share of mistakes is what confidence without worth has."""
    effect: float
    """By how much slides blow up the variance of the accuracy."""
    signed: Signing
    """The most cells that may be signed with the error kept."""
    hoped: Signing
    """The most on these very cells, without a bound."""
    half: Signing
    """The surest half."""
    half_least: float
    """The lower limit of the share of mistakes in the surest half."""
    prevalence: float
    """The accuracy at a patient's shares of the classes; nan where one has no label."""
    sets: tuple[tuple[float, float], tuple[float, float]] | None
    """Conformal sets at home and here: how often the right class is in, and how many classes they have."""
    counted: dict[str, Counted]
    """By class, where three slides or more have labels."""
    learned: dict[int, tuple[float, int]]
    """By labelled cells of a class: the balanced accuracy of a head that learned from them, the mean of `DRAWS` draws,
    and the cells that it scored in each."""


def find_truth(slides: Slides) -> Truth | None:
    """Returns the labelled cells; None where there is none."""
    labels = np.array([cell.label for cell in slides.cells])
    rows = np.flatnonzero(labels >= 0)
    if not len(rows):
        return None
    fair = np.array([row for row in rows if slides.cells[row].draw == RANDOM], np.int64)
    fair = rows if len(rows) == len(labels) else fair  # where all are labelled, none was chosen
    names = tuple(cell.slide for cell in slides.cells)
    return Truth(rows=rows, fair=fair, labels=labels, clusters=slides.clusters, slides=names)


def merits(answers: Answers, truth: Truth, home: ScoredDomain | None, error: float, *, learn: bool = True) -> Merits:
    """Returns how a run does on the labelled cells; `error` is the share of mistakes accepted among signed ones.

    Unless it is to `learn`, no head learns from the labels: that takes most of the time.
    """
    rows = truth.fair if len(truth.fair) else truth.rows
    labels, scores, calibrated = truth.labels[rows], answers.scores[rows], answers.calibrated[rows]
    hits, sure = scores.argmax(1) == labels, calibrated.max(1).astype(np.float64)
    clusters = [truth.clusters[row] for row in rows]
    effect = design_effect(clusters, hits)
    found = score(labels, scores)
    half = signed_at(hits, sure, 0.5, design_effect=effect)
    recall = recalls(truth.labels[truth.rows], answers.scores[truth.rows].argmax(1))
    return Merits(
        metrics=found,
        accuracy=cluster_interval(clusters, lambda drawn: float(hits[drawn].mean())),
        balanced=cluster_interval(clusters, lambda drawn: _balanced(labels[drawn], hits[drawn])),
        recall=recall,
        ece=(reliability(labels, scores).error, reliability(labels, calibrated).error),
        augrc=augrc(labels, scores),
        effect=effect,
        signed=signing(hits, sure, error, design_effect=effect),
        hoped=best_signing(hits, sure, error),
        half=half,
        half_least=error_limits(half.error * half.cells / effect, half.cells / effect)[0],
        prevalence=_at_prevalence(recall),
        sets=_sets(answers, home, labels, scores),
        counted=_counted(answers, truth),
        learned=_learned(answers, truth) if learn else {},
    )


def recalls(labels: Labels, said: Labels) -> tuple[tuple[int, int, float, float], ...]:
    """Returns of each class how many cells are right, how many there are, and the exact 95 % limits of the share."""
    found = []
    for label in range(len(CLASSES)):
        own = said[labels == label]
        right = int((own == label).sum())
        low, high = binomtest(right, len(own)).proportion_ci() if len(own) else (0.0, 1.0)
        found.append((right, len(own), float(low), float(high)))
    return tuple(found)


def _balanced(labels: Labels, hits: Bool[np.ndarray, " cells"]) -> float:
    counts = np.bincount(labels, minlength=len(CLASSES))
    right = np.bincount(labels, weights=hits, minlength=len(CLASSES))
    return float((right[counts > 0] / counts[counts > 0]).mean())


def _at_prevalence(recall: tuple[tuple[int, int, float, float], ...]) -> float:
    """Returns the accuracy for a patient's shares of the classes: recalls, weighed by them."""
    shares = [right / total if total else np.nan for right, total, _, _ in recall]
    return float(np.average(shares, weights=PREVALENCE))


def _sets(
    answers: Answers, home: ScoredDomain | None, labels: Labels, scores: np.ndarray
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    if home is None:
        return None
    own = answers.run.scores[home.name]
    fitted = set_threshold(home.labels[::2], own[::2])  # the other half shows what the promise is worth at home
    pairs = ((home.labels[1::2], own[1::2]), (labels, scores))
    at_home, here = ((class_sets(each, fitted), true) for true, each in pairs)
    return _covered(*at_home), _covered(*here)


def _covered(sets: Bool[np.ndarray, "cells 5"], labels: Labels) -> tuple[float, float]:
    return float(sets[np.arange(len(labels)), labels].mean()), float(sets.sum(1).mean())


def _counted(answers: Answers, truth: Truth) -> dict[str, Counted]:
    member, said = np.array(truth.slides)[truth.rows], answers.scores.argmax(1)[truth.rows]
    labels = truth.labels[truth.rows]
    names = [name for name in sorted(set(member) - {""}) if (member == name).sum() >= LEAST_OF_SLIDE]
    if len(names) < 3:
        return {}
    counted, true = (np.array([class_shares(each[member == name]) for name in names]) for each in (said, labels))
    sizes = [int((member == name).sum()) for name in names]
    limits = np.array([counting_limits(share, size) for share, size in zip(true, sizes, strict=True)])
    found = {}
    for label, name in enumerate(CLASSES):
        inside = (counted[:, label] >= limits[:, 0, label]) & (counted[:, label] <= limits[:, 1, label])
        found[name] = Counted(
            agreement=limits_of_agreement(counted[:, label], true[:, label]),
            slope=passing_bablok(counted[:, label], true[:, label]),
            within=int(inside.sum()),
        )
    return found


def _learned(answers: Answers, truth: Truth) -> dict[int, tuple[float, int]]:
    """Returns what a linear head comes to that learned from k labelled cells a class (`wbc.methods.adapt_scores`)."""
    labels = truth.labels[truth.rows]
    given = Predictions(
        domain="your slides",
        ids=tuple(map(str, truth.rows)),
        labels=labels,
        scores=answers.scores[truth.rows],
        embeddings=answers.embeddings[truth.rows],
    )
    found = {}
    for k in SHOTS:
        if (np.bincount(labels, minlength=len(CLASSES)) >= 2 * k).sum() >= 2:
            try:
                made = shots(given, _no_source, replace(answers.config, seed=0), k=k)
            except ConfigError:
                continue
            found[k] = score(made.labels, made.scores).balanced_accuracy, round(len(made.ids) / DRAWS)
    return found


def _no_source() -> Images:
    raise ConfigError("a head that learns from labelled cells takes no training images.")
