"""`reproduce`: the runs of a profile that are not done yet, then a table of what came out and the report."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing, nullcontext
from typing import Final

from rich.console import Console
from rich.table import Table

from wbc.config import ReportConfig, ReproduceConfig, RunConfig, seed_numbers, split_names
from wbc.data.prepare import prepare
from wbc.errors import BusyError, TrainingError, WbcError, first_line
from wbc.models.catalog import find_model
from wbc.processes import signals_exit
from wbc.report.paper.contents import PAPER
from wbc.report.report import report_folder, write_report
from wbc.report.statistics import seed_interval
from wbc.run import Outcome, geometry, references
from wbc.studies import plan
from wbc.surroundings import data_dir
from wbc.sweep.forecast import measured_rates, print_forecast
from wbc.sweep.plan import Cell, survey
from wbc.sweep.runners.base import Results, Runner, find_runner
from wbc.tracking.read import read_trainings
from wbc.tracking.store import connect, describe_store
from wbc.tracking.sweeps import end_orphans, open_sweep
from wbc.training.pretrain import starting_weights

WAIT_S: Final = 10.0
"""Between two looks at runs that another sweep is at."""

_log = logging.getLogger(__name__)


def reproduce_profile(options: ReproduceConfig) -> None:
    """Runs what is left of the plan and prints a row per model: accuracies with 95 % intervals over seeds.

    With `dry_run` it only prints what it would do; nothing is made, fetched or written.

    Raises:
        ConfigError: a model, seed or runner that is not allowed.
        TrainingError: some runs failed; the others are done and stay.
    """
    configs = plan(
        options.profile,
        models=split_names(options.models) if options.models else None,
        seeds=seed_numbers(options.seeds) if options.seeds else None,
        epochs=options.epochs,
        precision=options.precision,
        fast=options.fast,
    )
    runner = find_runner(options.runner)(options)
    configs = runner.plan(configs)
    for config in {(config.source, config.targets): config for config in configs}.values():
        references(config)
    if options.dry_run:
        missing = describe_store().endswith("which the first run makes")  # and which reading would make
        records = [] if missing else read_trainings()
        rates = measured_rates(records, None if options.runner == "ray" else hardware(configs[0].device))
        print_forecast(survey(configs, records), rates, options.runner)
        return
    connect()
    same = {name: getattr(options, name) for name in ("profile", "models", "seeds", "epochs", "fast", "output")}
    report = ReportConfig(**same, precision=configs[0].precision)
    report_folder(report)
    runner.check()
    _prepare(configs, runner)
    cells = _survey(configs)
    left = any(cell.state != "done" for cell in cells)
    with signals_exit(), open_sweep(options.profile) if left else nullcontext():
        outcomes = _run(cells, options, runner)
        print_table(configs, outcomes)
        if outcomes:
            print(write_report(report, PAPER) / "report.html")
        if len(outcomes) < len(configs):
            raise TrainingError(
                f"{len(configs) - len(outcomes)} of {len(configs)} runs failed; the same command tries them again."
            )


def print_table(configs: Sequence[RunConfig], outcomes: Sequence[Outcome]) -> None:
    """Prints the accuracies by model in the plan's order, and below them what guessing would score."""
    domains = list(dict.fromkeys(domain for outcome in outcomes for domain in outcome.accuracies))
    by_model = defaultdict(list)
    for outcome in outcomes:
        by_model[outcome.config.model].append(outcome)
    seeds = sorted({config.seed for config in configs})
    table = Table()
    for heading in ("", "model", *domains):
        table.add_column(heading, no_wrap=True, justify="left" if heading in ("", "model") else "right")
    for model in dict.fromkeys(config.model for config in configs):
        runs = by_model[model]
        missing = f" ({len(runs)} of {len(seeds)} seeds)" if len(runs) < len(seeds) else ""
        cells = [
            seed_interval([run.accuracies[domain] for run in runs]).percent() + missing if runs else "failed"
            for domain in domains
        ]
        table.add_row(find_model(model).index, model, *cells)
    table.add_section()
    guessing = [f"{100 * outcomes[0].guessing[domain]:.2f}" for domain in domains] if outcomes else []
    table.add_row("", "always the largest class", *guessing)
    console = Console(width=None if Console().is_terminal else 120)
    console.print(f"Accuracy in %, mean ± 95 % interval over seeds {', '.join(map(str, seeds))} (Student t)")
    console.print(table)


def _prepare(configs: Sequence[RunConfig], runner: Runner) -> None:
    """Makes ready what runs share: images, and weights unless the runs themselves learn them."""
    for config in {find_model(config.model).backbone: config for config in configs}.values():
        if config.pretrained != "patterns":
            starting_weights(config)
    train, tests = references(configs[0])
    for reference in (train, *tests):
        prepare(reference.key, geometry(configs[0]), data_dir=data_dir())
    runner.prepare(configs)


def _survey(configs: Sequence[RunConfig]) -> list[Cell]:
    """Returns how the runs stand, having marked those that nobody is at any more."""
    end_orphans()
    return survey(configs, read_trainings())


def _run(cells: Sequence[Cell], options: ReproduceConfig, runner: Runner) -> list[Outcome]:
    """Returns the outcomes of the cells that did not fail, in their order; tells of each as it ends.

    Cells that another sweep is at come last: this one waits for what they come to, or takes over what was given up.
    """
    configs, outcomes, failed = [cell.config for cell in cells], dict[RunConfig, Outcome](), set[RunConfig]()
    told = False
    while True:
        outcomes |= {cell.config: cell.outcome for cell in cells if cell.outcome}
        todo = [cell.config for cell in cells if cell.state in ("to run", "interrupted")]
        if not told:
            done, busy = len(outcomes), len(cells) - len(outcomes) - len(todo)
            _log.info(
                "%d runs of %s: %d done, %d elsewhere, %d to run", len(cells), options.profile, done, busy, len(todo)
            )
        if todo:
            with closing(runner.run(todo)) as results:
                _sort(results, len(todo), options.jobs or 1, outcomes, failed)
        left = [config for config in configs if config not in outcomes and config not in failed]
        if not left:
            return [outcomes[config] for config in configs if config in outcomes]
        if not todo:
            time.sleep(WAIT_S)
        cells, told = _survey(left), True
        if todo and all(cell.state == "running" for cell in cells):
            owners = {owner for cell in cells if cell.record for owner in cell.record.owners}
            _log.info("waiting for %d runs that %s is at", len(cells), ", ".join(sorted(owners)))


def _sort(results: Results, total: int, jobs: int, outcomes: dict[RunConfig, Outcome], failed: set[RunConfig]) -> None:
    """Sorts runs into `outcomes` and `failed` as they end, those that are busy into neither, and tells of each."""
    ended: list[float] = []
    for count, (config, result) in enumerate(results, start=1):
        if isinstance(result, Outcome):
            outcomes[config] = result
            line = result.line()
            ended.append(time.monotonic())
        elif isinstance(result, BusyError):
            line = str(result)
        else:
            failed.add(config)
            told = str(result)
            if not isinstance(result, WbcError):
                _log.error("%s: an error of the program itself", config.name, exc_info=result)
                told = f"{type(result).__name__}: {first_line(result)}"
            line = f"{config.name} failed: {told}"
        left = ""
        if len(ended) > jobs:  # the first ones include what is done once: imports, weights
            seconds = round((ended[-1] - ended[0]) / (len(ended) - 1) * (total - count))
            left = f"  ({seconds // 60}:{seconds % 60:02d} left)"
        _log.info("%d/%d  %s%s", count, total, line, left)
