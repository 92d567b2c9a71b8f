"""`reproduce --dry_run`: the cells of a plan, what is done, what will run, and hours by measured rates."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wbc.arms import short_names
from wbc.config import RunConfig
from wbc.identity import suited
from wbc.methods.catalog import find_adaptation, model_changes
from wbc.settings import settings_for
from wbc.sweep.plan import Cell
from wbc.terminal import print_table
from wbc.tracking import schema
from wbc.tracking.read import StoredRun

_STATES: Final = ("done", "running", "interrupted", "to run")
_DECIDING: Final = (schema.MODEL, schema.METHOD, *settings_for("rate"))
"""Tags that say what is trained as fast, on the same hardware."""
Rates = dict[tuple[str, ...], "Rate"]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast runs of one model have trained on one kind of machine."""

    images_per_s: float
    """Of all runs that went on at a time: the median over runs of the last epoch's rate."""
    runs: int
    scored_per_s: float | None = None
    """Images that all runs at a time score, the median; None where no run logged it."""


def measured_rates(records: Iterable[StoredRun], hardware: str | None) -> Rates:
    """Returns rates by what decides them (`_DECIDING`), from runs on `hardware`, on whatever if None.

    A run's rate is multiplied by its tag `jobs`, the number of runs at a time: together they were so fast.
    """
    seen, scored = defaultdict(list), defaultdict(list)
    for record in records:
        rate = record.metrics.get(schema.IMAGES_PER_S)
        if (
            rate
            and {*_DECIDING, schema.HARDWARE, schema.JOBS} <= set(record.settings)
            and hardware in (None, record.tags[schema.HARDWARE])
        ):
            key, jobs = tuple(record.settings[name] for name in _DECIDING), int(record.tags[schema.JOBS])
            seen[key].append(rate * jobs)
            if schema.SCORED_PER_S in record.metrics:
                scored[key].append(record.metrics[schema.SCORED_PER_S] * jobs)
    return {
        key: Rate(
            images_per_s=statistics.median(values),
            runs=len(values),
            scored_per_s=statistics.median(scored[key]) if scored[key] else None,
        )
        for key, values in seen.items()
    }


def images_per_s(config: RunConfig, rates: Mapping[str, Rates]) -> float | None:
    """Returns the rate of runs like this one, given rates by device; None if none was measured."""
    rate = rates.get(config.device, {}).get(rate_key(config))
    return rate.images_per_s if rate else None


def print_forecast(cells: Sequence[Cell], rates: Mapping[str, Rates], runner: str) -> None:
    """Prints a grid of the cells, arms by seeds, then totals and the hours that are left, by each device's rates."""
    seeds = sorted({cell.config.seed for cell in cells})
    states = {(cell.config.arm, cell.config.seed): cell.state for cell in cells}
    names = short_names(cell.config.arm for cell in cells)
    rows = [[name, *(states.get((arm, seed), "") for seed in seeds)] for arm, name in names.items()]
    print_table(["model", *(f"seed {seed}" for seed in seeds)], rows)
    counts = {state: sum(cell.state == state for cell in cells) for state in _STATES}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    print(f"{len(cells)} cells: {told}. runner={runner}")
    if any(cell.train_images is None for cell in cells):
        print("Images are not prepared yet: neither what is done nor how long the rest takes can be known.")
        return
    missed = sum(cell.trained_as is None for cell in cells)
    if missed:
        print(f"Weights to start from are not here yet for {missed} of the cells: whether those are done is not known.")
    for line in _hours([cell for cell in cells if cell.state in ("interrupted", "to run")], rates):
        print(line)


def _hours(left: Sequence[Cell], rates: Mapping[str, Rates]) -> list[str]:
    """Returns what can be said of the time that cells take, in sentences."""
    if not left:
        return ["Nothing is left to run."]
    seconds, used, unknown = 0.0, dict[str, Rate](), dict[str, int]()
    for cell in left:
        rate = rates[cell.config.device].get(rate_key(cell.config))
        if rate:
            seconds += epochs_left(cell) * (cell.config.visits or cell.train_images or 0) / rate.images_per_s
            used[cell.config.arm.name] = rate
        else:
            unknown[cell.config.arm.name] = unknown.get(cell.config.arm.name, 0) + 1
    lines = []
    if used:
        told = ", ".join(f"{model} {rate.images_per_s:.0f} (n={rate.runs})" for model, rate in used.items())
        count = len(left) - sum(unknown.values())
        lines.append(f"About {_time(seconds)} of training for {count} of them, at images/s measured: {told}.")
    if unknown:
        told = ", ".join(f"{model} ({count})" for model, count in unknown.items())
        lines.append(f"No rate is known, since none was measured on this hardware: {told}.")
    return lines + _adapting(left, rates)


def _adapting(left: Sequence[Cell], rates: Mapping[str, Rates]) -> list[str]:
    """Returns what scoring under adaptations adds, in a sentence; nothing where no pass over the images is added."""
    passes = {cell.config: _passes(cell.config) for cell in left}
    cells = [cell for cell in left if passes[cell.config] and cell.test_images]
    if not cells:
        return []
    known = [(cell, rate) for cell in cells if (rate := rates[cell.config.device].get(rate_key(cell.config)))]
    seconds = [passes[cell.config] * cell.test_images / rate.scored_per_s for cell, rate in known if rate.scored_per_s]
    total = sum(passes[cell.config] * cell.test_images for cell in cells)
    told = f"Adaptations add {total:,} forward passes of an image, in {len(cells)} of them"
    if not seconds:
        return [f"{told}; how fast images are scored is not known, since none was measured on this hardware."]
    rest = f" for {len(seconds)} of those" if len(seconds) < len(cells) else ""
    return [f"{told}: about {_time(sum(seconds))} more{rest}."]


def _passes(config: RunConfig) -> int:
    """Returns the passes over the images that a run's adaptations add; those that change the model alike share one."""
    alike = {model_changes(name): find_adaptation(name).passes for name in suited(config, config.adapt)}
    return sum(alike.values())


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds > 3600 else f"{max(1, round(seconds / 60))} min"


def epochs_left(cell: Cell) -> int:
    """Returns the epochs after the last checkpoint."""
    checkpoint = cell.record.tags.get(schema.CHECKPOINT, "") if cell.record else ""
    return 0 if checkpoint == schema.FINAL else cell.config.epochs - (schema.checkpoint_epoch(checkpoint) or 0)


def rate_key(config: RunConfig) -> tuple[str, ...]:
    """Returns what decides how fast a run trains, on the same hardware."""
    return tuple(str(getattr(config, name)) for name in _DECIDING)
