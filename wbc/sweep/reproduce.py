"""`reproduce`: the runs of a profile that are not done yet, then a table of what came out and the report."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from wbc.config import ReportConfig, ReproduceConfig, RunConfig, seed_numbers, split_names
from wbc.errors import ConfigError, TrainingError
from wbc.models.catalog import find_model
from wbc.processes import sigterm_exits
from wbc.profiles import plan
from wbc.report.report import write_report
from wbc.report.statistics import seed_interval
from wbc.run import Outcome, load_domains, references
from wbc.sweep.local import default_jobs, run_plan
from wbc.tracking.store import connect, leave_project_run
from wbc.training.pretrain import starting_weights

_log = logging.getLogger(__name__)


def reproduce_profile(options: ReproduceConfig) -> None:
    """Runs the plan and prints a row per model: accuracy at home and on each target, with 95 % intervals over seeds.

    Raises:
        ConfigError: models, seeds or jobs that are not allowed.
        TrainingError: some runs failed; the others are done and stay.
    """
    configs = plan(
        options.profile,
        models=split_names(options.models) if options.models else None,
        seeds=seed_numbers(options.seeds) if options.seeds else None,
        epochs=options.epochs,
    )
    jobs = default_jobs(configs) if options.jobs is None else options.jobs
    if jobs < 1:
        raise ConfigError(f"jobs={jobs}: must be 1 or more.")
    leave_project_run()
    for config in configs:
        references(config)
    connect()
    for config in {find_model(config.model).backbone: config for config in configs}.values():
        if config.pretrained != "patterns":  # those are learned in the workers
            starting_weights(config)
    load_domains(configs[0])
    with sigterm_exits():
        outcomes = _run(configs, jobs)
    print_table(configs, outcomes)
    if outcomes:
        wanted = {name: getattr(options, name) for name in ("profile", "models", "seeds", "epochs", "output")}
        print(write_report(ReportConfig(**wanted)) / "report.html")
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


def _run(configs: Sequence[RunConfig], jobs: int) -> list[Outcome]:
    """Returns the outcomes of the runs that did not fail; tells of each as it ends, and how long the rest takes."""
    outcomes: list[Outcome] = []
    ended: list[float] = []
    _log.info("%d runs of profile %s, %d at a time", len(configs), configs[0].profile, jobs)
    for count, (config, result) in enumerate(run_plan(configs, jobs), start=1):
        if isinstance(result, Outcome):
            outcomes.append(result)
            line = result.line()
            if not result.done_already:
                ended.append(time.monotonic())
        else:
            line = f"{config.model}/seed{config.seed} failed: {result}"
        left = ""
        if len(ended) > jobs:  # the first ones include what is done once: imports, weights
            seconds = round((ended[-1] - ended[0]) / (len(ended) - 1) * (len(configs) - count))
            left = f"  ({seconds // 60}:{seconds % 60:02d} left)"
        _log.info("%d/%d  %s%s", count, len(configs), line, left)
    return outcomes
