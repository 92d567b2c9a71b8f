"""The published numbers, against each other, and the verdicts."""

import pytest

from wbc.arms import parse_arm
from wbc.models.catalog import MODELS, PAPER_ROWS
from wbc.report.paper.published import compare, published_classes, published_counts, read_published
from wbc.report.statistics import Interval


def interval(mean: float, half_width: float | None, n: int = 10) -> Interval:
    return Interval(mean=mean, half_width=half_width, n=n)


def test_table_4_is_whole() -> None:
    table = {(each.arm, each.domain) for each in read_published() if each.place.startswith("Table 4")}
    assert table == {(model, domain) for model in PAPER_ROWS for domain in ("raabin_test_a", "lisc")}
    assert {parse_arm(each.arm, ()).model for each in read_published()} <= set(MODELS)


def test_values_that_the_paper_has_twice_are_both_kept() -> None:
    main = {(each.arm, each.domain): each.interval.percent() for each in read_published()}
    other = {(each.arm, each.domain): each.interval.percent() for each in read_published("other")}
    assert main["vgg16_bn", "lisc"] == "32.33 ± 6.17"
    assert other["vgg16_bn", "lisc"] == "33.74 ± 8.04"
    differing = {cell for cell, value in other.items() if main[cell] != value}
    assert differing == {
        ("resnet50_fc", "raabin_test_a"),
        ("vgg16_bn", "raabin_test_a"),
        ("vgg16_bn", "lisc"),
        ("resnet50_frozenbn_last16", "lisc"),
    }


def test_counts_add_up_to_the_totals_of_table_1() -> None:
    totals = {domain: sum(counts) for domain, counts in published_counts().items()}
    assert totals == {"raabin_train": 10175, "raabin_test_a": 4339, "raabin_test_b": 2119, "lisc": 257}


def test_table_3_is_that_of_its_confusion() -> None:
    """Recall numerators 17/55, 36/39, 54/59, 28/48, 56/56 over totals predicted of 18, 52, 79, 51, 57."""
    table = published_classes()
    hits, true, predicted = (17, 36, 54, 28, 56), (55, 39, 59, 48, 56), (18, 52, 79, 51, 57)
    for row, (hit, truth, total) in zip(table.itertuples(), zip(hits, true, predicted, strict=True), strict=True):
        assert row.recall == pytest.approx(100 * hit / truth, abs=0.005)
        assert row.precision == pytest.approx(100 * hit / total, abs=0.005)
        assert row.f1 == pytest.approx(200 * hit / (truth + total), abs=0.005)


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (interval(0.73, 0.02), interval(0.74, 0.02), "equivalent"),
        (interval(0.60, 0.02), interval(0.74, 0.02), "different"),
        (interval(0.70, 0.10), interval(0.74, 0.08), "undecided"),
        (interval(0.75, 0.0), interval(0.70, 0.0), "equivalent"),
        (interval(0.76, 0.0), interval(0.70, 0.0), "different"),
        (interval(0.74, None, 1), interval(0.74, 0.02), "one seed"),
    ],
)
def test_verdict(ours: Interval, theirs: Interval, verdict: str) -> None:
    difference, said = compare(ours, theirs, margin=0.05)
    assert said == verdict
    assert difference == pytest.approx(ours.mean - theirs.mean)


def test_verdict_by_hand() -> None:
    """Half-widths of 2 points over 10 seeds: errors 0.02 / 2.262, together 0.0125, 18 degrees of freedom, t90 1.734.

    So 90 % is ±2.17 points: a difference of 2.8 is within 5, one of 2.9 is not, and ±2.63 at 95 % excludes zero.
    """
    assert compare(interval(0.768, 0.02), interval(0.74, 0.02), 0.05)[1] == "equivalent"
    assert compare(interval(0.769, 0.02), interval(0.74, 0.02), 0.05)[1] == "different"


def test_a_point_is_within_a_margin_of_a_point_without_spread() -> None:
    """In binary fractions 0.75 - 0.74 is more than 0.01."""
    assert compare(interval(0.75, 0.0), interval(0.74, 0.0), 0.01)[1] == "equivalent"
