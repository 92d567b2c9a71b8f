"""Reads a study's runs from the tracking store and sorts them: which the report is made from, and why not the others.

The grid is the study's plan: arms × seeds. A cell takes its latest completed run of its settings; interrupted, older
and differing runs are named, never mixed in, and a cell without a run is missing.
"""

import dataclasses
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from jaxtyping import Int64

from wbc.arms import Arm
from wbc.config import PlanConfig, RunConfig
from wbc.data.splits import expand_targets, parse_source, split_named
from wbc.errors import ReportError
from wbc.methods.catalog import METHODS, PLAIN_SCORE
from wbc.models.catalog import MODELS
from wbc.report.files import Truth, read_config, read_scored
from wbc.report.records import GridCell, Records, cell_of, names_a_model, read_records, unfinished
from wbc.report.study import Excluded, ScoredDomain, ScoredRun, Study, identity, reproduce_command, typed
from wbc.settings import Settings, settings_for
from wbc.studies import Study as Plan
from wbc.studies import find_study, plan, study_name
from wbc.tracking import schema
from wbc.tracking.read import StoredRun

_COMPARED: Final = {
    field.name: field.default
    for field in dataclasses.fields(Settings)
    if field.name not in settings_for("free") and field.default is not dataclasses.MISSING
}
"""The settings that the runs of a report share, each with what a run that was made before it had."""
_THREADS: Final = 8
_Labels = Int64[np.ndarray, " images"]
_T = TypeVar("_T")


def read_study(options: PlanConfig, records: Records | None = None) -> Study:
    """Reads a study's runs from the tracking store; its `records`, if they are given, are not read again.

    Raises:
        TrackingError: the store does not answer.
        ConfigError: a study, model, method or seed that is not known.
        ReportError: it holds no completed run of this study and these settings.
    """
    study, configs = find_study(options.profile), plan(options)
    records = records or read_records(options)
    own, averages = ([run for run in records.runs if (schema.AVERAGED in run.tags) == of] for of in (False, True))
    excluded = [Excluded(stored=run, why=why) for run in own if (why := unfinished(run)) and names_a_model(run)]
    complete, lent = [run for run in own if unfinished(run) is None] + records.lent, records.lent
    with tempfile.TemporaryDirectory() as folder:
        files = _in_threads(lambda run: read_config(run, Path(folder)), complete)
        chosen, left = _choose(complete, files, configs, only=bool(options.models or options.methods))
        left = [each for each in left if each.stored not in lent]
        needed = {cell: _needed(run, study) for cell, run in chosen.items()}
        read = _in_threads(
            lambda cell: read_scored(chosen[cell], cell[0], cell[1], Path(folder), needed[cell]), list(chosen)
        )
        pairs = zip(chosen.values(), read, strict=True)
        damaged = [Excluded(stored=run, why=found) for run, found in pairs if isinstance(found, str)]
        runs, truth, notes, strangers = _same_images([found for found in read if not isinstance(found, str)])
        soups, others = _soups(averages, runs, truth, Path(folder))
    labels = {domain: each for domain, (_, each) in truth.items()}
    excluded += [*left, *damaged, *strangers, *others]
    if not runs:
        raise ReportError(_nothing_to_report(options, excluded))
    arms = list(dict.fromkeys([*(config.arm for config in configs), *sorted(run.arm for run in runs)]))
    seeds = tuple(dict.fromkeys(config.seed for config in configs))
    present = {(run.arm, run.seed) for run in runs}
    cells = [(arm, seed) for arm in filter(_can_run, arms) for seed in seeds]
    domains = _domains(runs, labels, arms, study.targets)
    notes += _notes(runs, lent, [domain.name for domain in domains], labels, study)
    return Study(
        options=options,
        usual=options.epochs in (None, study.epochs),
        settings={name: getattr(configs[0], name) for name in _COMPARED},
        seeds=seeds,
        arms=tuple(arms),
        runs=tuple(runs),
        domains=domains,
        excluded=tuple(excluded),
        missing=tuple(cell for cell in cells if cell not in present),
        notes=tuple(notes),
        soups=soups,
    )


def _choose(
    runs: Sequence[StoredRun], stored: Sequence[dict[str, Any] | None], configs: Sequence[RunConfig], *, only: bool
) -> tuple[dict[GridCell, StoredRun], list[Excluded]]:
    """Returns the run of each cell, the latest of those with the right settings, and the others with the reason.

    Other arms on the study's sources are cells too, unless `only` those of the plan are wanted.
    """
    planned = {(config.arm, config.seed): config for config in configs}
    by_sources = {config.arm.sources: config for config in configs}
    seeds = {config.seed for config in configs}
    chosen: dict[GridCell, StoredRun] = {}
    left = []
    for run, had in sorted(zip(runs, stored, strict=True), key=lambda pair: _end(pair[0]), reverse=True):
        cell = cell_of(run)
        if had is None:
            why = "its config.json is missing or damaged"
        elif cell is None:
            why = "it names no model, source and seed"
        elif (like := planned.get(cell) or by_sources.get(cell[0].sources)) is None:
            why = f"other settings: source={','.join(cell[0].sources)}"
        elif other := _differing(had, like):
            why = f"other settings: {', '.join(other)}"
        elif (only and cell not in planned) or cell[1] not in seeds:
            why = "not among the models and seeds of this report"
        elif cell in chosen:
            same = identity(chosen[cell]) == identity(run)
            reason = "which is the same again" if same else "with other code, images, weights or libraries"
            why = f"older than {chosen[cell].id}, {reason}"
        else:
            chosen[cell] = run
            continue
        left.append(Excluded(stored=run, why=why))
    return chosen, left


def _differing(stored: Mapping[str, Any], config: RunConfig) -> list[str]:
    return [
        f"{name}={stored.get(name, default)}"
        for name, default in _COMPARED.items()
        if stored.get(name, default) != getattr(config, name)
    ]


def _end(run: StoredRun) -> float:
    return run.ended.timestamp() if run.ended else 0.0


def _same_images(
    read: Sequence[tuple[ScoredRun, Truth]],
) -> tuple[list[ScoredRun], Truth, list[str], list[Excluded]]:
    """Returns the runs, what was scored, notes, and the runs trained on other images than most of their sources.

    Of each domain the images count that most runs were scored on, the newest if as many; scores on others are left out.
    """
    newest_first = sorted(read, key=lambda pair: _end(pair[0].stored), reverse=True)
    by_sources: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for run, _ in newest_first:
        by_sources.setdefault(run.arm.sources, []).append(_trained_on(run.stored))
    usual = {sources: _most(digests) for sources, digests in by_sources.items()}
    strangers = [run for run, _ in newest_first if _trained_on(run.stored) != usual[run.arm.sources]]
    kept = [(run, truth) for run, truth in newest_first if run not in strangers]
    names = list(dict.fromkeys(domain for _, truth in kept for domain in truth))
    valid = {name: _most(truth[name][0] for _, truth in kept if name in truth) for name in names}
    scored = {name: next(t[name] for _, t in kept if name in t and t[name][0] == valid[name]) for name in names}
    runs, notes = [], []
    for run, truth in kept:
        other = [domain for domain, (digest, _) in truth.items() if digest != valid[domain]]
        if other:
            notes.append(f"{run.stored.name} ({run.stored.id}) was scored on other images of {', '.join(other)}.")
        same = {domain: metrics for domain, metrics in run.metrics.items() if domain not in other}
        adapted = {key: each for key, each in run.adapted.items() if key[0] not in other}
        runs.append(dataclasses.replace(run, metrics=same, adapted=adapted))
    why = "trained on other images than most runs"
    return runs, scored, notes, [Excluded(stored=run.stored, why=why) for run in strangers]


def _soups(
    averages: Sequence[StoredRun], runs: Sequence[ScoredRun], truth: Truth, folder: Path
) -> tuple[tuple[ScoredRun, ...], list[Excluded]]:
    """Returns of each arm the newest scores of the averaged weights of all its runs, and the others with the reason."""
    ids: dict[Arm, set[str]] = {}
    for run in runs:
        ids.setdefault(run.arm, set()).add(run.stored.id)
    soups: dict[Arm, ScoredRun] = {}
    left = []
    for stored in sorted(averages, key=_end, reverse=True):
        arm = next((arm for arm, of in ids.items() if of == set(stored.tags[schema.AVERAGED].split(","))), None)
        if arm is None or arm in soups or stored.status != "FINISHED":
            why = "averages other runs than those of this report" if arm is None else "older, or not finished"
            left.append(Excluded(stored=stored, why=why))
            continue
        found = read_scored(stored, arm, 0, folder)
        if isinstance(found, str):
            left.append(Excluded(stored=stored, why=found))
            continue
        soup, its = found
        same = {name: each for name, each in soup.scores.items() if truth.get(name, ("",))[0] == its[name][0]}
        soups[arm] = dataclasses.replace(soup, scores=same)
    return tuple(soups.values()), left


def _needed(run: StoredRun, study: Plan) -> set[str]:
    """Returns the names of the scores without which a run is not done for a study; it may have others."""
    homes = [each.name for each in run.datasets if each.role == "home"]
    domains = [*homes, *(target.name for target in expand_targets(",".join(study.targets)))]
    return {schema.score_name(domain, each) for domain in domains for each in (PLAIN_SCORE, *study.adapt)}


def _can_run(arm: Arm) -> bool:
    """Returns whether an arm can be run here: a store may hold runs of rows that this catalogue has not."""
    known = arm.model in MODELS or re.fullmatch(r"timm:[\w.-]+", arm.model)
    return bool(known) and METHODS.keys() >= set(arm.method.split("+"))


def _trained_on(run: StoredRun) -> tuple[str, ...]:
    return tuple(sorted({each.digest for each in run.datasets if each.context == "training"}))


def _most(values: Iterable[_T]) -> _T | None:
    """Returns the value that comes most often, the first of those that come as often."""
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def _domains(
    runs: Sequence[ScoredRun], labels: Mapping[str, _Labels], arms: Sequence[Arm], targets: Sequence[str]
) -> tuple[ScoredDomain, ...]:
    """Returns the study's domains that were scored: homes first, then its targets in order. No run adds another."""
    labs = {parse_source(source).key for arm in arms for source in arm.sources}
    away = {reference.name: reference.key for reference in expand_targets(",".join(targets))}
    at_home = {name: [_is_home(run, name, away) for run in runs if name in run.metrics] for name in labels}
    homes = sorted(name for name, roles in at_home.items() if any(roles) and name not in away)
    return tuple(
        ScoredDomain(name=name, home=all(at_home[name]), same_lab=name in homes or away[name] in labs, labels=each)
        for name in [*homes, *away]
        if (each := labels.get(name)) is not None
    )


def _is_home(run: ScoredRun, domain: str, targets: Iterable[str]) -> bool:
    """Returns whether a domain is the run's own test split, as it logged it; runs made before logged no roles."""
    roles = {each.role for each in run.stored.datasets if each.name == domain and each.role}
    own = tuple(f"{source.partition(':')[0]}_" for source in run.arm.sources if not source.startswith("folder:"))
    return "home" in roles if roles else domain.startswith(own) and domain not in targets


def _notes(
    runs: Sequence[ScoredRun],
    lent: Sequence[StoredRun],
    domains: Sequence[str],
    scored: Iterable[str],
    study: Plan,
) -> list[str]:
    """Returns in what the runs differ though they stand in one table, and what else they were scored on."""
    notes, further = [], expand_targets(",".join(study.targets))
    targets = {name: str(split_named(name, further) or name) for name in domains}
    if owners := sorted({run.stored.tags[schema.PROFILE] for run in runs if run.stored in lent}):
        notes.append(f"Some runs were made for another study, with the same settings: {', '.join(owners)}.")
    codes = Counter(run.environment.get("code") for run in runs)
    if len(codes) > 1:
        notes.append(f"The runs are of {len(codes)} versions of the code that trains: reproduce renews the older.")
    for domain in domains:
        meant = {run.arm.sources for run in runs if domain in run.metrics}  # other sources hold the lab's images
        without = [run for run in runs if domain not in run.metrics and run.arm.sources in meant]
        if without:
            notes.append(
                f"{len(without)} of {len(runs)} runs have no scores on {domain}, such as {without[0].stored.name}: "
                f"make evaluate {typed('RUN_ID', without[0].stored.id)} {typed('TARGETS', targets[domain])} adds them."
            )
    notes += [
        f"{run.stored.name} ({run.stored.id}): {what.rstrip('.')}; that score is left out."
        for run in runs
        for what in run.damaged
    ]
    others = sorted(set(scored) - set(domains))
    if others:
        notes.append(f"Some runs were also scored on images outside this study: {', '.join(others)}.")
    return notes


def _nothing_to_report(options: PlanConfig, excluded: Sequence[Excluded]) -> str:
    name = study_name(options.profile)
    of_study = [run.why for run in excluded if run.stored.tags.get(schema.PROFILE) == name]
    reasons = Counter(why.split(":")[0].split(",")[0] for why in of_study)
    found = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    return (
        f"no completed run of profile {name} with these settings in the tracking store"
        f"{f' (found: {found})' if found else ''}: {reproduce_command(options)}."
    )


def _in_threads(work: Callable[[Any], _T], items: Sequence[Any]) -> list[_T]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, items))
