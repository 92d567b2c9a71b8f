"""How accuracies over seeds are said: Student's interval from five seeds on; with fewer, their mean and range.

Three seeds give intervals such as 30 ± 114 %, which no accuracy has.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from wbc.report.render import percent
from wbc.report.statistics import Interval, seed_interval

ENOUGH: Final = 5
"""From how many seeds on an interval, quartiles and ranks are shown."""


def interval_of(values: Sequence[float]) -> Interval | None:
    """Returns Student's interval over seeds where there are enough of them, else None."""
    return seed_interval(values) if len(values) >= ENOUGH else None


def counted(counts: Iterable[int]) -> str:
    """Returns how many seeds cells have, of those that have any: "one seed", "3 seeds", "2–5 seeds"."""
    found = sorted({count for count in counts if count}) or [0]
    ends = "–".join(map(str, dict.fromkeys((found[0], found[-1]))))
    return "one seed" if ends == "1" else f"{ends} seeds"


def over_seeds(values: Sequence[float], planned: int) -> str:
    """Returns shares over seeds in percent: `98.53 ± 0.18`, `98.00 −3.10/+2.00`, `30.00 (20.00–40.00)`.

    Args:
        values: one for each seed, in [0, 1]; at least one.
        planned: how many seeds the grid has; fewer values are named.
    """
    some = f"{len(values)} of {planned} seeds" if len(values) < planned else ""
    interval = interval_of(values)
    if interval:
        return interval.share() + (f" ({some})" if some else "")
    spread = "one seed" if planned == 1 else ""
    if len(values) > 1:
        spread = f"{percent(min(values))}–{percent(max(values))}"
    return f"{percent(seed_interval(values).mean)} ({'; '.join(filter(None, (spread, some)))})"


def how_over_seeds(samples: Iterable[Sequence[float]], seeds: str) -> str:
    """Returns how to read `over_seeds` of these samples; `seeds` names the grid's seeds."""
    counted = [values for values in samples if values]
    parts = []
    intervals = [interval for values in counted if (interval := interval_of(values))]
    if intervals:
        cut = any(interval.reach and interval.reach[0] != interval.reach[1] for interval in intervals)
        parts.append(f"Mean ± 95 % interval over seeds {seeds} (Student t{'; −/+: cut at 0 or 100' if cut else ''}).")
    if any(len(values) < ENOUGH for values in counted):
        of = "where seeds are fewer than five" if intervals else f"seeds {seeds}"
        parts.append(f"Mean (lowest–highest), {of}: fewer than five seeds give no interval.")
    return " ".join(parts)
