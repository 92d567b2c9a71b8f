"""A run's answers under an adaptation, as the report keeps them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from wbc.evaluation.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class AdaptedScore:
    """What became of a run's answers on a domain under an adaptation.

    With k labels a head is learned in several draws: an image may have several answers, or none.
    """

    rows: Int64[np.ndarray, " answers"]
    """Which of the domain's images each answer is of."""
    right: Bool[np.ndarray, " answers"]
    metrics: Metrics
    """Over all answers."""

    def shares(self, images: int) -> Float[np.ndarray, " images"]:
        """Returns the share of right answers to each of so many images; nan where there is none."""
        answers = np.bincount(self.rows, minlength=images)
        right = np.bincount(self.rows, self.right, images)
        shares: Float[np.ndarray, " images"] = np.where(answers > 0, right / answers.clip(min=1), np.nan)
        return shares
