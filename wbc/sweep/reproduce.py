"""`reproduce`: the runs of a study that are not done yet, then a table of what came out and the report."""

import logging
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Final

from wbc.arms import short_names
from wbc.config import ReproduceConfig, RunConfig
from wbc.data.catalog import find_domain
from wbc.data.corrupt import is_held
from wbc.data.prepare import prepare
from wbc.errors import BusyError, TrainingError, WbcError, first_line
from wbc.inputs import geometry, splits_of, weights_key
from wbc.models.catalog import find_model
from wbc.outcome import Outcome
from wbc.processes import signals_exit
from wbc.report.folder import report_folder
from wbc.report.records import read_records, stands
from wbc.report.seeds import how_over_seeds, over_seeds
from wbc.studies import STUDIES, plan, study_name
from wbc.surroundings import data_dir, project_run
from wbc.sweep.bar import Bar, shown
from wbc.sweep.forecast import Rates, measured_rates, print_forecast
from wbc.sweep.plan import Cell, survey
from wbc.sweep.runners.base import Results, Runner, find_runner
from wbc.terminal import has_bars, print_table
from wbc.tracking.read import StoredRun, read_trainings
from wbc.tracking.store import connect, describe_store, store_exists
from wbc.tracking.sweeps import Sweep, end_orphans, open_sweep
from wbc.training.pretrain import starting_weights
from wbc.words import number_of

WAIT_S: Final = 10.0
"""Between two looks at runs that another sweep works on."""

_log = logging.getLogger(__name__)


def reproduce_study(options: ReproduceConfig) -> None:
    """Runs what is left of the plan and prints a row per arm: accuracies over seeds.

    With `dry_run` it only prints what it would do; nothing is made, fetched or written.

    Raises:
        ConfigError: a model, method, seed or runner that is not allowed.
        TrainingError: some runs failed; the others are done and stay.
    """
    runner = find_runner(options.runner)(options)
    configs = plan(options)
    if options.dry_run:
        forecast(configs, runner)
        if options.profile in STUDIES:
            print(f"All of {options.profile} costs {STUDIES[options.profile].cost}.")
        return
    report_folder(options)
    outcomes, sweep = run_plan(configs, study_name(options.profile), runner)
    print_outcomes(configs, outcomes)
    if outcomes:
        print(_report(options, sweep) / "report.html")
    if len(outcomes) < len(configs):
        raise TrainingError(
            f"{len(configs) - len(outcomes)} of {len(configs)} runs failed; the same command tries them again."
        )


def _report(options: ReproduceConfig, sweep: str | None) -> Path:
    """Returns the folder of the study's report, made anew unless it stands there as it would come out.

    It is made for a sweep, and for a run that `mlflow run` has opened: each gets it.
    """
    folder, records = report_folder(options), read_records(options)
    if not (sweep or project_run()) and stands(options, records, folder):
        _log.info("the report stays: its runs, its study and its code are the same. `make report` makes it anew.")
        return folder
    from wbc.report.paper.contents import contents_of
    from wbc.report.report import write_report

    return write_report(options, contents_of(options.profile), sweep, records)


def forecast(configs: Sequence[RunConfig], runner: Runner) -> None:
    """Prints how the runs of a plan stand, and how long what is left takes."""
    describe_store()
    cells, records = _stand(configs) if store_exists() else (survey(configs, []), [])
    if _left(cells):
        configs = runner.plan(configs)
        cells = [replace(cell, config=config) for cell, config in zip(cells, configs, strict=True)]
    print_forecast(cells, _rates(configs, records, runner), runner.options.runner)


def run_plan(configs: Sequence[RunConfig], study: str, runner: Runner) -> tuple[list[Outcome], str | None]:
    """Returns what the runs of a plan came to, those that are done already among them, in their order; and the sweep.

    The sweep is None where nothing was left to run: that takes neither a place to run nor PyTorch.

    Raises:
        WbcError: nothing can be run. A run that fails is logged and left out.
    """
    for config in {(config.source, config.targets): config for config in configs}.values():
        splits_of(config)
    connect()
    end_orphans()
    cells, records = _stand(configs)
    if _left(cells):
        configs = runner.plan(configs)
        runner.check(configs)
        _prepare(configs, runner)
        end_orphans()
        cells, records = _stand(configs)
    with signals_exit(), open_sweep(study) if _left(cells) else nullcontext(Sweep()) as sweep:
        outcomes = _run(cells, study, runner, _rates(configs, records, runner) if _left(cells) else {})
        sweep.failed = len(outcomes) < len(configs)
    return outcomes, sweep.id


def print_outcomes(configs: Sequence[RunConfig], outcomes: Sequence[Outcome]) -> None:
    """Prints the accuracies by arm in the plan's order, but those on held-out images, and what guessing would score."""
    guessing = {
        domain: share for outcome in outcomes for domain, share in outcome.guessing.items() if not is_held(domain)
    }
    names = short_names(config.arm for config in configs)
    seeds = sorted({config.seed for config in configs})
    indices = {arm: find_model(arm.model).index for arm in names}
    width = max(map(len, indices.values()))
    rows, samples = list[list[str]](), list[list[list[float]]]()
    for arm, name in names.items():
        runs = [outcome for outcome in outcomes if outcome.config.arm == arm]
        samples.append([_over(runs, domain) for domain in guessing])
        cells = [over_seeds(each, len(seeds)) if each else "" if runs else "failed" for each in samples[-1]]
        rows.append([f"{indices[arm]:{width}} {name}" if width else name, *cells])
    how = how_over_seeds((values for row in samples for values in row), ", ".join(map(str, seeds)))
    print(f"Accuracy in %. {how}")
    largest = ["always the largest class", *(f"{100 * share:.2f}" for share in guessing.values())]
    print_table(["model", *guessing], rows, below=largest)


def _over(runs: Sequence[Outcome], domain: str) -> list[float]:
    """Returns an arm's accuracies on a domain by seed; none where it is not scored there."""
    return [run.accuracies[domain] for run in runs if domain in run.accuracies]


def _prepare(configs: Sequence[RunConfig], runner: Runner) -> None:
    """Makes ready what runs share: images, and weights unless the runs themselves learn them."""
    for config in {weights_key(config): config for config in configs}.values():
        if config.pretrained != "patterns":
            starting_weights(config)
    needed = {(split.key, geometry(run)) for run in configs for group in splits_of(run) for split in group}
    for key, size in sorted(needed, key=str):
        prepare(find_domain(key), size, data_dir=data_dir())
    runner.prepare(configs)


def _rates(configs: Sequence[RunConfig], records: Sequence[StoredRun], runner: Runner) -> dict[str, Rates]:
    """Returns, by device, how fast runs were on the hardware that the plan's runs will have."""
    devices: set[str] = {config.device for config in configs}
    return {device: measured_rates(records, runner.hardware(device)) for device in devices}


def _stand(configs: Sequence[RunConfig]) -> tuple[list[Cell], list[StoredRun]]:
    """Returns how the runs stand, and what the store was asked for: the study's runs, and all others if need be.

    A run that the study lacks may be another study's; a store of thousands is read whole for such alone.
    """
    records = read_trainings(profile=configs[0].profile)
    cells = survey(configs, records)
    if _left(cells):
        records = read_trainings()
        cells = survey(configs, records)
    return cells, records


def _left(cells: Sequence[Cell]) -> bool:
    """Returns whether some runs are not done."""
    return any(cell.state != "done" for cell in cells)


def _run(cells: Sequence[Cell], study: str, runner: Runner, rates: dict[str, Rates]) -> list[Outcome]:
    """Returns the outcomes of the cells that did not fail, in their order, and logs each as it ends.

    Cells that another sweep works on come last: this one waits for their outcomes, or takes over those given up.
    """
    configs, outcomes, failed = [cell.config for cell in cells], dict[RunConfig, Outcome](), set[RunConfig]()
    told = False
    while True:
        outcomes |= {cell.config: cell.outcome for cell in cells if cell.outcome}
        todo = [cell.config for cell in cells if cell.state in ("to run", "interrupted")]
        if not told:
            done, busy = len(outcomes), len(cells) - len(outcomes) - len(todo)
            runs = number_of(len(cells), "run")
            _log.info("%s of %s: %d done, %d elsewhere, %d to run", runs, study, done, busy, len(todo))
            if todo and study in STUDIES:
                _log.info("all of %s costs %s", study, STUDIES[study].cost)
        if todo:
            bar = Bar(cells, rates, runner)
            with shown(bar), closing(runner.run(todo)) as results:
                _sort(results, bar, outcomes, failed)
        left = [config for config in configs if config not in outcomes and config not in failed]
        if not left:
            return [outcomes[config] for config in configs if config in outcomes]
        if not todo:
            time.sleep(WAIT_S)
        end_orphans()
        (cells, _), told = _stand(left), True
        if todo and all(cell.state == "running" for cell in cells):
            owners = {owner for cell in cells if cell.record for owner in cell.record.owners}
            _log.info("waiting for %s that %s works on", number_of(len(cells), "run"), ", ".join(sorted(owners)))


def _sort(results: Results, bar: Bar, outcomes: dict[RunConfig, Outcome], failed: set[RunConfig]) -> None:
    """Sorts runs into `outcomes` and `failed` as they end, those that are busy into neither, and logs each."""
    for config, result in results:
        if isinstance(result, Outcome):
            outcomes[config] = result
            line = result.line()
        elif isinstance(result, BusyError):
            line = str(result)
        else:
            failed.add(config)
            told = str(result)
            if not isinstance(result, WbcError):
                _log.error("%s: an error of the program itself", config.name, exc_info=result)
                told = f"{type(result).__name__}: {first_line(result)}"
            line = f"{config.name} failed: {told}"
        bar.end(config)
        left = "" if has_bars() or bar.ended == bar.total else f"  ({bar})"
        _log.info("%d/%d  %s%s", bar.ended, bar.total, line, left)
