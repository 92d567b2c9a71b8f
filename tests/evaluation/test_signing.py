"""Cells that may be signed: the bound holds as often as it says, and slides count."""

import numpy as np
import pytest

from wbc.evaluation.clusters import cluster_interval, design_effect
from wbc.evaluation.conformal import class_sets, set_threshold
from wbc.evaluation.counts import limits_of_agreement, passing_bablok
from wbc.evaluation.signing import best_signing, error_limits, least_labelled, signed_at, signing
from wbc.seeding import generator


def test_limits_are_those_of_clopper_and_pearson() -> None:
    assert error_limits(0.0, 59.0)[1] == pytest.approx(1 - 0.05 ** (1 / 59))
    assert error_limits(0.0, 10.0)[0] == 0
    assert error_limits(10.0, 10.0) == (pytest.approx(0.05 ** (1 / 10)), 1)


def test_all_cells_are_signed_when_none_is_wrong() -> None:
    found = signing(np.ones(500, bool), np.linspace(0.5, 1, 500), 0.05)
    assert (found.coverage, found.error, found.cells) == (1, 0, 500)
    assert found.bound < 0.05


def test_fewest_labelled_cells_are_those_from_which_some_are_signed() -> None:
    least = least_labelled(0.05)
    assert least == 198  # 99 signed ones without a mistake, by the first of eight looks
    signed = [signing(np.ones(n, bool), np.linspace(0.5, 1, n), 0.05).cells for n in (least - 8, least)]
    assert signed == [0, least]


def test_none_is_signed_when_cells_are_too_few_for_the_bound() -> None:
    found = signing(np.ones(20, bool), np.linspace(0.5, 1, 20), 0.05)
    assert (found.coverage, found.threshold) == (0, np.inf)
    assert best_signing(np.ones(20, bool), np.linspace(0.5, 1, 20), 0.05).coverage == 1


def test_bound_keeps_its_promise_over_many_draws() -> None:
    broken, rng = 0, generator(0, "signing")
    for _ in range(200):
        sure = rng.random(300)
        hits = rng.random(300) < 0.7 + 0.3 * sure  # of all cells above t the share of mistakes is 0.15 (1 - t)
        found = signing(hits, sure, 0.1)
        broken += found.coverage > 0 and 0.15 * (1 - found.threshold) > 0.1
    assert broken <= 10


def test_slides_that_differ_make_the_bound_wider() -> None:
    hits, sure = np.arange(400) >= 8, np.linspace(0, 1, 400)
    assert signed_at(hits, sure, 1.0, design_effect=4.0).bound > signed_at(hits, sure, 1.0).bound


def test_cells_as_sure_as_the_last_are_signed_too() -> None:
    assert signed_at(np.ones(4, bool), np.array([0.9, 0.8, 0.8, 0.1]), 0.5).cells == 3


def test_design_effect_is_one_for_single_cells_and_large_where_slides_are_all_right_or_all_wrong() -> None:
    hits = np.repeat([True, False, True, True], 25)
    assert design_effect([str(row) for row in range(100)], hits) == 1
    assert design_effect([str(row // 25) for row in range(100)], hits) == pytest.approx(100 / 3)


def test_interval_over_slides_is_wider_than_over_cells() -> None:
    hits = np.repeat([True, False, True, True], 25)
    by_slide = cluster_interval([str(row // 25) for row in range(100)], lambda rows: float(hits[rows].mean()))
    by_cell = cluster_interval([str(row) for row in range(100)], lambda rows: float(hits[rows].mean()))
    assert by_slide[0] < by_cell[0] < 0.75 < by_cell[1] <= by_slide[1]


def test_sets_hold_the_class_as_often_as_promised_where_they_were_fitted() -> None:
    labels = generator(0, "labels").integers(5, size=999)
    scores = generator(0, "scores").dirichlet(np.ones(5), 999)
    scores[np.arange(999), labels] += 0.5
    sets = class_sets(scores, set_threshold(labels, scores, 0.1))
    assert sets[np.arange(999), labels].mean() == pytest.approx(0.9, abs=0.002)


def test_agreement_of_counts_is_that_of_bland_and_altman() -> None:
    found = limits_of_agreement(np.array([0.2, 0.3, 0.4]), np.array([0.1, 0.3, 0.5]))
    assert found.bias == pytest.approx(0)
    assert (found.low, found.high) == (pytest.approx(-0.196), pytest.approx(0.196))


def test_slope_is_that_of_the_line() -> None:
    labelled = np.linspace(0.1, 0.6, 8)
    slope, low, high = passing_bablok(0.5 * labelled + 0.1, labelled) or (0, 0, 0)
    assert (slope, low, high) == (pytest.approx(0.5), pytest.approx(0.5), pytest.approx(0.5))
    assert passing_bablok(labelled[:3], np.full(3, 0.2)) is None
