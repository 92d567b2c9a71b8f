"""The differential count."""

import numpy as np
import pytest

from wbc.evaluation.counts import class_shares, counting_limits


def test_shares_are_of_all_five_classes() -> None:
    assert class_shares(np.array([4, 4, 4, 0])).tolist() == [0.25, 0, 0, 0, 0.75]


@pytest.mark.parametrize(
    ("counted", "low", "high"),
    [
        (100, [0, 0, 1.6, 49.7, 96.4], [3.6, 5.4, 11.3, 69.7, 100]),
        (200, [0, 0.1, 2.4, 52.9, 98.2], [1.8, 3.6, 9.0, 66.8, 100]),
    ],
)
def test_limits_are_the_published_ones(counted: int, low: list[float], high: list[float]) -> None:
    """Of 0, 1, 5, 60 and 100 %; 1, 5 and 60 % as tables of the differential count print them."""
    limits = 100 * counting_limits(np.array([0, 0.01, 0.05, 0.6, 1]), counted)
    assert limits.round(1).tolist() == [low, high]
