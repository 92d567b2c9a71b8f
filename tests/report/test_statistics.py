"""Worked examples."""

import numpy as np
import pytest
from scipy import stats

from wbc.report.render import p_value
from wbc.report.statistics import (
    SeedSpread,
    crossed_spread,
    holm,
    paired_test,
    seed_interval,
    seed_spread,
    two_way_interval,
)


def test_seed_interval_is_students_t_with_n_minus_1() -> None:
    interval = seed_interval([0.90, 0.92, 0.94])
    assert interval.mean == pytest.approx(0.92)
    assert interval.half_width == pytest.approx(4.302653 * 0.02 / 3**0.5)
    assert interval.percent() == "92.00 ± 4.97"


def test_seed_interval_of_one_seed_has_no_width_and_says_so() -> None:
    interval = seed_interval([0.5])
    assert (interval.half_width, interval.n) == (None, 1)
    assert interval.percent() == "50.00 (one seed)"


def test_interval_of_a_share_is_printed_no_further_than_0_and_100() -> None:
    interval = seed_interval([0.90, 1.00])
    assert interval.percent() == "95.00 ± 63.53"
    assert interval.share() == "95.00 −63.53/+5.00"
    assert seed_interval([0.0, 1.0]).share() == "50.00 ± 50.00"
    assert seed_interval([0.90, 0.92, 0.94]).share() == "92.00 ± 4.97"
    assert seed_interval([0.5]).share() == "50.00 (one seed)"


def test_two_way_interval_of_equal_seeds_is_that_of_a_proportion() -> None:
    """75 of 100 images in each seed: what is left is the binomial spread of the images, 0.75 ± 1.96 × 0.0433."""
    low, high = two_way_interval(np.tile(np.arange(100) < 75, (4, 1))) or (0, 0)
    assert low == pytest.approx(0.75 - 0.085, abs=0.012)
    assert high == pytest.approx(0.75 + 0.085, abs=0.012)


def test_two_way_interval_covers_the_seeds_too() -> None:
    """One seed gets all right and one none: drawn anew, both are of the same kind in half of the draws."""
    assert two_way_interval(np.array([[True] * 50, [False] * 50])) == (0.0, 1.0)


def test_two_way_interval_of_one_seed_is_none() -> None:
    assert two_way_interval(np.ones((1, 9), bool)) is None


FIRST = np.array([[1, 1, 1, 0], [1, 1, 0, 1]], bool)


def test_paired_test_is_no_surer_than_over_images_alone_when_seeds_agree_by_luck() -> None:
    """Differences [[1, 1, 0, 0], [1, 0, 1, 0]]: by seed 1/2 and 1/2; by image 1, 1/2, 1/2, 0, so MS_images = 1/3.

    Variance 1/3 / 8 = 1/24, t = 1/2 √24 with 3 degrees of freedom.
    """
    test = paired_test(np.array([[1, 1, 0, 0], [1, 0, 1, 0]], bool), np.zeros((2, 4), bool))
    assert test
    assert (test.difference, test.n_seeds, test.n_images) == (0.5, 2, 4)
    assert test.p == pytest.approx(2 * stats.t.sf(0.5 * 24**0.5, 3)) == test.p_images
    assert np.isnan([test.p_seeds, test.effect]).all()


def test_paired_test_with_spread_by_hand() -> None:
    """Differences [[1, 1, 0], [1, 0, 0]]: mean 1/2, by seed 2/3 and 1/3, by image 1, 1/2, 0.

    MS_seeds = 3 × 1/18 = 1/6, MS_images = 2 × 1/4 = 1/2; residuals (−1/6, 1/3, −1/6; 1/6, −1/3, 1/6), squared sum 1/3,
    over 2: MS_residual = 1/6. Variance (1/6 + 1/3) / 6 = 1/12, t = √3; Hillis' freedom (1/2)² / (1/6)² = 9 is
    more than the images' 2.
    """
    test = paired_test(np.array([[1, 1, 0], [1, 0, 0]], bool), np.zeros((2, 3), bool))
    assert test
    assert test.p == pytest.approx(2 * stats.t.sf(3**0.5, 2))
    assert test.difference - test.low == pytest.approx(4.302653 * (1 / 12) ** 0.5)
    assert test.high == 1  # no difference is larger
    assert test.p_seeds == pytest.approx(stats.ttest_rel([2 / 3, 1 / 3], [0, 0]).pvalue)
    assert test.p_images == pytest.approx(stats.ttest_rel([1, 0.5, 0], [0, 0, 0]).pvalue)
    assert np.isnan(test.effect)  # two seeds


def test_variance_of_seeds_is_shared_with_other_models_by_hand() -> None:
    """The pair's own is 1/18 and counts for 1; six models' mean of 1/9, twice, counts for half of four models' 4.

    (2 × 2/9 + 1 × 1/18) / 3 = 1/6 a seed; with that of images 1/6 / 2 + (1/2 - 1/6) / 6 = 5/36.
    """
    first, second = np.array([[1, 1, 0], [1, 0, 0]], bool), np.zeros((2, 3), bool)
    test = paired_test(first, second, SeedSpread(variance=1 / 9, models=6))
    assert test
    assert (test.variance_seed, test.variance_images) == pytest.approx((1 / 6, 1 / 18))
    assert test.p == pytest.approx(2 * stats.t.sf(0.5 / (5 / 36) ** 0.5, 2))


def test_freedom_counts_own_and_other_seeds_by_hand() -> None:
    """Three seeds: 2 of their own and 4 of nine models. A variance of seeds alone, 2 × 0.01, has 6."""
    spread = crossed_spread(np.array(0.02), np.array(0.0), np.array(0.0), 3, 257, SeedSpread(variance=0.01, models=9))
    assert (float(spread.variance), float(spread.freedom)) == pytest.approx((0.02 / 3, 6))


def test_spread_of_seeds_is_the_mean_variance_of_models_with_two_or_more() -> None:
    spread = seed_spread([[0.1, 0.3], [0.5, 0.5], [0.9]])
    assert (spread.variance, spread.models) == pytest.approx((0.01, 2))
    assert seed_spread([[0.9]]) == SeedSpread()


def test_effect_is_hedges_g_by_hand() -> None:
    """Differences by seed 1, 1/2, 0: mean 1/2, deviation 1/2, so d = 1; with 2 degrees of freedom J is 1/√π."""
    test = paired_test(np.array([[1, 1], [1, 0], [0, 0]], bool), np.zeros((3, 2), bool))
    assert test
    assert test.effect == pytest.approx(np.pi**-0.5)


def test_effect_is_not_defined_where_seeds_differ_by_rounding_alone() -> None:
    """A tenth is no binary fraction: means over ten images are equal and their deviation need not be 0."""
    first = np.array([np.roll([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], shift) for shift in range(3)], bool)
    test = paired_test(first, np.zeros((3, 10), bool))
    assert test
    assert np.isnan([test.p_seeds, test.effect]).all()


def test_freedom_is_that_of_images_where_all_seeds_agree_on_all_images() -> None:
    """Each seed: 1, 0, 0, 0. MS_images is 3 × 1/4 and nothing is left, so t = 1/4 / √(3/4 / 12) = 1 with 3."""
    test = paired_test(np.tile([True, False, False, False], (3, 1)), np.zeros((3, 4), bool))
    assert test
    assert test.p == pytest.approx(2 * stats.t.sf(1, 3)) == test.p_images


def test_paired_test_of_equal_models_finds_nothing() -> None:
    test = paired_test(FIRST, FIRST)
    assert test
    assert (test.difference, test.p, test.p_seeds, test.p_images) == (0, 1, 1, 1)
    assert np.isnan(test.effect)


def test_paired_test_of_one_seed_is_none() -> None:
    assert paired_test(FIRST[:1], FIRST[1:]) is None


def test_paired_test_keeps_its_level_when_seeds_and_images_differ_at_random() -> None:
    """Two models of equal mean accuracy, with seeds and images of uneven difficulty: at most one in ten below 0.05."""
    rng = np.random.default_rng(0)
    below = 0
    for _ in range(400):
        difficulty = rng.normal(0, 1, 60)
        pair = [
            rng.normal(0, 0.4, (5, 1)) + rng.normal(0, 0.5, 60) + difficulty + rng.normal(0, 1, (5, 60)) > 0
            for _ in range(2)
        ]
        test = paired_test(pair[0], pair[1])
        assert test
        below += test.p < 0.05
    assert below <= 40


def test_holm_by_hand() -> None:
    """Sorted 0.01, 0.03, 0.04 times 3, 2, 1 is 0.03, 0.06, 0.04; none may be below the one before."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0009, "< 0.001"), (0.001, "0.001"), (0.0494, "0.049"), (0.0496, "< 0.05"), (0.05, "0.050"), (np.nan, "–")],
)
def test_p_as_it_is_shown_lies_on_its_own_side_of_the_threshold(p: float, text: str) -> None:
    assert p_value(p) == text
