"""How shares over seeds are written: worked examples."""

import pytest

from wbc.report.seeds import counted, how_over_seeds, over_seeds


@pytest.mark.parametrize(
    ("values", "planned", "text"),
    [
        ([0.4], 1, "40.00 (one seed)"),
        ([0.4], 3, "40.00 (1 of 3 seeds)"),
        ([0.2, 0.4], 2, "30.00 (20.00–40.00)"),
        ([0.9, 1.0], 3, "95.00 (90.00–100.00; 2 of 3 seeds)"),
        ([0.5] * 4, 4, "50.00 (50.00–50.00)"),
        ([0.5] * 5, 5, "50.00 ± 0.00"),
        ([0.5] * 5, 10, "50.00 ± 0.00 (5 of 10 seeds)"),
        ([0.9, 1.0, 1.0, 1.0, 1.0], 5, "98.00 −5.55/+2.00"),  # 2.776 × 4.472 / √5
    ],
)
def test_fewer_than_five_seeds_give_a_range_and_no_interval(values: list[float], planned: int, text: str) -> None:
    assert over_seeds(values, planned) == text


@pytest.mark.parametrize(("counts", "text"), [([1, 1], "one seed"), ([3, 0], "3 seeds"), ([5, 2, 3], "2–5 seeds")])
def test_seeds_are_counted_where_there_are_any(counts: list[int], text: str) -> None:
    assert counted(counts) == text


def test_how_to_read_them_says_what_is_there() -> None:
    few, many, cut = [0.2, 0.4], [0.5] * 5, [0.9, 1.0, 1.0, 1.0, 1.0]
    assert "±" not in how_over_seeds([few, []], "0, 1")
    assert how_over_seeds([many], "0–4") == "Mean ± 95 % interval over seeds 0–4 (Student t)."
    assert "−/+: cut at 0 or 100" in how_over_seeds([many, cut], "0–4")
    mixed = how_over_seeds([many, few], "0–4")
    assert mixed.startswith("Mean ± 95 %")
    assert "where seeds are fewer than five" in mixed
