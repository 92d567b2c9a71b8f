import math

import pytest

from wbc.training.schedule import learning_rates


def test_paper_schedule_warms_up_for_ten_epochs_and_falls_for_ninety() -> None:
    rates = learning_rates(epochs=100, warmup_epochs=10, peak=1e-4, rotated=False)
    assert len(rates) == 100
    assert rates[:10] == pytest.approx([1e-4 * k / 11 for k in range(1, 11)])
    assert rates[10] == 1e-4
    assert rates[55] == pytest.approx(5e-5)
    assert rates[99] == pytest.approx(1e-4 * (1 + math.cos(math.pi * 89 / 90)) / 2)
    assert min(rates) > 0


def test_released_schedule_is_rotated_so_that_epoch_0_trains_at_the_smallest_rate() -> None:
    rates = learning_rates(epochs=100, warmup_epochs=10, peak=1e-4, rotated=True)
    assert rates[0] == min(rates)
    assert rates[1:] == learning_rates(epochs=100, warmup_epochs=10, peak=1e-4, rotated=False)[:-1]


def test_schedule_without_warm_up_starts_at_the_peak() -> None:
    assert learning_rates(epochs=2, warmup_epochs=0, peak=1.0, rotated=False) == pytest.approx((1.0, 0.5))
