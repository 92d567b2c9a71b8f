import pytest

from wbc.report.statistics import seed_interval


def test_seed_interval_of_a_worked_example() -> None:
    # Mean 0.5, standard deviation 0.1 (ddof 1), t quantile 4.302653 at 2 degrees of freedom.
    interval = seed_interval([0.4, 0.5, 0.6])
    assert interval.mean == pytest.approx(0.5)
    assert interval.half_width == pytest.approx(4.302653 * 0.1 / 3**0.5)
    assert interval.percent() == "50.00 ± 24.84"


def test_seed_interval_of_one_seed_has_no_width_and_says_so() -> None:
    interval = seed_interval([0.75])
    assert interval.half_width is None
    assert interval.percent() == "75.00 (one seed)"
