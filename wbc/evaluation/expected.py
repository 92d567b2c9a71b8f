"""The accuracy that a model is expected to have on images without labels, by three published estimators.

Each takes what is known at home, where there are labels, and what the model says of the new images. All are in [0, 1].
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64

Labels = Int64[np.ndarray, " images"]
Scores = Float[np.ndarray, "images 5"]


def average_thresholded_confidence(home_labels: Labels, home: Scores, new: Float[np.ndarray, "new 5"]) -> float:
    """Returns the share of new images whose confidence exceeds a threshold (ATC).

    At home the share below the threshold is the share of mistakes.

    Reference: Garg et al. 2022, arXiv:2201.04234, equation 2, with the largest probability as the score.
    """
    wrong = float((home.argmax(1) != home_labels).mean())
    confidence = np.sort(home.max(1))
    below = round(wrong * len(confidence))
    threshold = confidence[below - 1] if below else -np.inf
    return float((new.max(1) > threshold).mean())


def difference_of_confidences(home_labels: Labels, home: Scores, new: Float[np.ndarray, "new 5"]) -> float:
    """Returns the accuracy at home less the drop of the mean confidence (DoC), cut at 0 and 1.

    Reference: Guillory et al. 2021, arXiv:2107.03315, section 3.
    """
    right = float((home.argmax(1) == home_labels).mean())
    return float(np.clip(right - (float(home.max(1).mean()) - float(new.max(1).mean())), 0, 1))


def agreement(scores: Sequence[Scores]) -> float:
    """Returns the share of images on which two runs agree, the mean over all pairs; nan for fewer than two runs.

    Between seeds of one model it is an estimate of accuracy: Jiang et al. 2022, arXiv:2106.13799. Of two runs that
    agree on a share a, the mean accuracy is at most (1 + a) / 2: where they differ, at most one is right.
    """
    said = np.array([each.argmax(1) for each in scores])
    pairs = [(said[a] == said[b]).mean() for a in range(len(said)) for b in range(a)]
    return float(np.mean(pairs)) if pairs else float("nan")
