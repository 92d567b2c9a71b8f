"""What a model's confidence, its largest probability, is worth: how often it is right where it is sure.

Images of equal confidence share their mistakes, so that no figure depends on the images' order.
"""

import numpy as np
from jaxtyping import Float, Int64
from scipy.stats import rankdata

Labels = Int64[np.ndarray, " images"]
Scores = Float[np.ndarray, "images 5"]
Rows = Int64[np.ndarray, " rows"]


def selective_accuracy(labels: Labels, scores: Scores) -> Float[np.ndarray, " images"]:
    """Returns the accuracy of the 1, 2, … all images that the model is surest of, in [0, 1].

    Reference: risk and coverage of El-Yaniv & Wiener 2010, JMLR 11:1605; accuracy is 1 - risk.
    """
    _, tied = np.unique(-scores.max(1), return_inverse=True)
    shared = np.bincount(tied, weights=scores.argmax(1) == labels) / np.bincount(tied)
    accepted = np.arange(1, len(labels) + 1)
    accuracy: Float[np.ndarray, " images"] = np.cumsum(shared[np.sort(tied)]) / accepted
    return accuracy


def augrc(labels: Labels, scores: Scores) -> float:
    """Returns the area under the generalised risk-coverage curve, in [0, 0.5].

    The generalised risk is the share of all images that are accepted and wrong; its mean is over all coverages from 0
    to 1. Half the error rate is what confidence without worth has.

    Reference: Traub et al. 2024, arXiv:2407.01032; by trapezoids from coverage 0. torch-uncertainty starts at one
    image, which differs by at most the error rate over the number of images but one.
    """
    ranks = rankdata(scores.max(1))  # 1 is the least sure
    wrong = scores.argmax(1) != labels
    return float((ranks[wrong] - 0.5).sum() / len(labels) ** 2)


def surest_mistakes(labels: Labels, scores: Scores, count: int) -> Rows:
    """Returns up to `count` images that the model is surest of and wrong on, the surest first.

    They are taken of each true class in turn, its surest first, so that a common mistake does not hide the others.
    """
    confidence, wrong = scores.max(1), np.flatnonzero(scores.argmax(1) != labels)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")]
    turns = np.empty(len(surest), np.int64)
    for label in np.unique(labels):
        of_class = labels[surest] == label
        turns[of_class] = np.arange(of_class.sum())
    chosen = np.argsort(turns, kind="stable")[:count]
    return surest[np.sort(chosen)]


def least_sure(scores: Scores, count: int) -> Rows:
    """Returns the `count` images whose largest probability is lowest, the lowest first."""
    least: Rows = np.argsort(scores.max(1), kind="stable")[:count]
    return least
