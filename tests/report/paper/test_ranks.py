"""Ranks over seeds: worked examples."""

import numpy as np
import pytest

from wbc.report.paper.ranks import rank_models


def test_ranking_by_hand() -> None:
    """Three models ranked alike by 4 seeds; Nemenyi's q at 0.05 is 2.343, times √(3 × 4 / 24)."""
    ranking = rank_models(np.array([[0.9, 0.5, 0.7]] * 4))
    assert ranking
    assert ranking.mean_ranks == (1, 3, 2)
    assert ranking.critical_difference == pytest.approx(2.343 * 0.5**0.5, abs=1e-3)
    assert ranking.friedman_p == pytest.approx(np.exp(-4))  # chi-square 8 with 2 degrees of freedom


def test_ranking_of_two_models_or_one_seed_is_none() -> None:
    assert rank_models(np.ones((3, 2))) is None
    assert rank_models(np.ones((1, 3))) is None
