"""Reads a profile's runs from the tracking store and sorts them: which the report is made from, and why not the others.

The grid is the profile's models × seeds. A cell takes its latest completed run of the profile's settings; interrupted,
older and differing runs are named, never mixed in, and a cell without a run is missing.
"""

import dataclasses
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64
from PIL import Image

from wbc.config import ReportConfig, TrainConfig, seed_numbers, split_names
from wbc.data.splits import expand_targets, parse_source
from wbc.errors import DamageError, ReportError, unknown
from wbc.evaluation.metrics import score
from wbc.evaluation.records import read_scores
from wbc.models.catalog import MODELS, TIMM_PREFIX
from wbc.report.study import Excluded, ScoredDomain, ScoredRun, Study, reproduce_command
from wbc.studies import Profile, find_profile, resolve
from wbc.tracking import schema
from wbc.tracking.read import StoredRun, fetch, read_curve, read_runs

_FREE: Final = ("model", "seed", "profile", "targets", "device", "checkpoint_every")
_THREADS: Final = 8
_Truth = dict[str, tuple[str, Int64[np.ndarray, " images"]]]
_T = TypeVar("_T")


def read_study(options: ReportConfig) -> Study:
    """Reads a profile's runs from the tracking store.

    Raises:
        TrackingError: the store does not answer.
        ConfigError: a model or seed that is not known.
        ReportError: it holds no completed run of this profile and these settings.
    """
    profile = find_profile(options.profile)
    models = split_names(options.models) if options.models else list(profile.models)
    check_models(models)
    seeds = seed_numbers(options.seeds) if options.seeds else list(range(profile.seeds))
    own, others = read_runs(options.profile)
    excluded = [Excluded(stored=run, why=_foreign(run)) for run in others]
    excluded += [
        Excluded(stored=run, why=why) for run in own if (why := _unfinished(run)) and (run.fault or "model" in run.tags)
    ]
    with tempfile.TemporaryDirectory() as name:
        complete = [run for run in own if _unfinished(run) is None]
        files = _in_threads(lambda run: _read_config(run, Path(name)), complete)
        settings = _settings(options, files)
        chosen, left = _choose(complete, files, settings, options.models and models, seeds)
        read = _in_threads(lambda run: _read_run(run, Path(name)), chosen)
    damaged = [
        Excluded(stored=run, why=found) for run, found in zip(chosen, read, strict=True) if isinstance(found, str)
    ]
    runs, labels, notes, strangers = _same_images([found for found in read if not isinstance(found, str)])
    excluded += [*left, *damaged, *strangers]
    if not runs:
        raise ReportError(_nothing_to_report(options, excluded))
    models += sorted({run.model for run in runs} - set(models))
    present = {(run.model, run.seed) for run in runs}
    return Study(
        profile=options.profile,
        usual=options.epochs in (None, profile.epochs),
        settings=settings,
        seeds=tuple(seeds),
        models=tuple(models),
        runs=tuple(runs),
        domains=_ordered(labels, profile),
        excluded=tuple(excluded),
        missing=tuple((model, seed) for model in models for seed in seeds if (model, seed) not in present),
        notes=(*notes, *_notes(runs, labels)),
    )


def check_models(models: Iterable[str]) -> None:
    """Raises a ConfigError for a name that is neither in the catalogue nor one of timm's, which are not looked up."""
    for model in models:
        if model not in MODELS and not model.startswith(TIMM_PREFIX):
            raise unknown("model", model, [*MODELS, f"{TIMM_PREFIX}<name>"])


def read_embeddings(run: ScoredRun, domain: str) -> Float[np.ndarray, "images dim"] | None:
    """Returns what the last layer of a run's model was given for each image; None where that is missing or damaged."""
    with tempfile.TemporaryDirectory() as folder, suppress(ValueError, EOFError, DamageError):
        path = fetch(run.stored, schema.embeddings(domain), Path(folder))
        if path:
            embeddings = np.load(path).astype(np.float32)
            return embeddings if len(embeddings) == len(run.scores[domain]) else None
    return None


def read_samples(run: ScoredRun, domain: str) -> Image.Image | None:
    """Returns the picture of a domain's cells (`wbc.evaluation.samples`); None where it is missing or damaged."""
    with tempfile.TemporaryDirectory() as folder, suppress(OSError, SyntaxError, DamageError):
        path = fetch(run.stored, schema.samples(domain), Path(folder))
        return Image.open(path).copy() if path else None
    return None


def _settings(options: ReportConfig, found: Iterable[dict[str, Any] | None]) -> dict[str, Any]:
    """Returns the settings that runs must have; the precision, which depends on hardware, is that of most of those."""
    wanted = TrainConfig(
        profile=options.profile,
        epochs=options.epochs,
        device="cpu",
        precision=options.precision or "fp32",
        fast=options.fast,
    )
    config = dataclasses.asdict(resolve(wanted))
    settings = {name: value for name, value in config.items() if name not in _FREE}
    if options.precision is None:
        others = [(name, value) for name, value in settings.items() if name != "precision"]
        same = [each for each in found if each and all(each.get(name) == value for name, value in others)]
        settings["precision"] = _most(str(each.get("precision")) for each in same) or settings["precision"]
    return settings


def _foreign(run: StoredRun) -> str:
    return f"of profile {run.tags['profile']}" if "profile" in run.tags else "not of this project"


def _unfinished(run: StoredRun) -> str | None:
    identified = bool(run.trained_as or run.fingerprint)
    if run.fault or (run.complete and identified):
        return run.fault
    if run.status == "FINISHED":
        return "ended without being complete" if identified else "scores of a checkpoint file"
    words = {"RUNNING": "running, or killed outright", "FAILED": "failed", "KILLED": "interrupted"}
    return words.get(run.status, run.status.lower())


def _choose(
    runs: Sequence[StoredRun],
    configs: Sequence[dict[str, Any] | None],
    settings: dict[str, Any],
    models: Collection[str] | None,
    seeds: Collection[int],
) -> tuple[list[StoredRun], list[Excluded]]:
    """Returns the run of each cell, the latest of those with the right settings, and the others with the reason."""
    chosen: dict[tuple[str, int], StoredRun] = {}
    left = []
    for run, config in sorted(zip(runs, configs, strict=True), key=lambda pair: _end(pair[0]), reverse=True):
        if config is None:
            left.append(Excluded(stored=run, why="its config.json is missing or damaged"))
            continue
        other = [f"{key}={config.get(key)}" for key, value in settings.items() if config.get(key) != value]
        cell = (run.tags["model"], int(run.tags["seed"]))
        if other:
            why = f"other settings: {', '.join(other)}"
        elif (models and cell[0] not in models) or cell[1] not in seeds:
            why = "not among the models and seeds of this report"
        elif cell in chosen:
            same = chosen[cell].trained_as == run.trained_as and chosen[cell].fingerprint == run.fingerprint
            reason = "which is the same again" if same else "with other code, images, weights or libraries"
            why = f"older than {chosen[cell].id}, {reason}"
        else:
            chosen[cell] = run
            continue
        left.append(Excluded(stored=run, why=why))
    return list(chosen.values()), left


def _end(run: StoredRun) -> float:
    return run.ended.timestamp() if run.ended else 0.0


def _read_config(run: StoredRun, folder: Path) -> dict[str, Any] | None:
    with suppress(ValueError, DamageError):
        path = fetch(run, schema.CONFIG, folder / run.id)
        return dict(json.loads(path.read_bytes())) if path else None
    return None


def _read_run(run: StoredRun, folder: Path) -> tuple[ScoredRun, _Truth] | str:
    """Returns a run with its scores, and by domain what was scored; or why it cannot be read."""
    try:
        found = fetch(run, schema.PREDICTIONS, folder / run.id)
    except DamageError as error:
        return str(error)
    paths = sorted(found.glob("*.csv")) if found else []
    if not paths:
        return "its predictions are missing"
    scores, metrics, truth = {}, {}, {}
    for path in paths:
        try:
            labels, scores[path.stem] = read_scores(path)
            ids = pd.read_csv(path, usecols=["id"], dtype=str)["id"]
            if np.isnan(scores[path.stem]).any() or not len(labels):
                raise ValueError
        except (ValueError, KeyError):  # pandas' own errors among them
            return f"its predictions/{path.name} is damaged"
        metrics[path.stem] = score(labels, scores[path.stem])
        logged = sorted({each.digest for each in run.datasets if each.name == path.stem})
        digest = hashlib.sha256("\n".join([*logged, *ids, *map(str, labels)]).encode()).hexdigest()
        truth[path.stem] = (digest, labels)
    environment = fetch(run, schema.ENVIRONMENT, folder / run.id)
    try:
        known = json.loads(environment.read_bytes()) if environment else {}
    except ValueError:
        return "its environment.json is damaged"
    scored = ScoredRun(
        stored=run,
        model=run.tags["model"],
        seed=int(run.tags["seed"]),
        environment=known,
        scores=scores,
        metrics=metrics,
        losses=read_curve(run, schema.LOSS),
    )
    return scored, truth


def _same_images(
    read: Sequence[tuple[ScoredRun, _Truth]],
) -> tuple[list[ScoredRun], dict[str, Int64[np.ndarray, " images"]], list[str], list[Excluded]]:
    """Returns the runs, each domain's labels, notes, and the runs that were trained on other images than most.

    Of each domain the images count that most runs were scored on, the newest if as many; scores on others are left out.
    """
    newest_first = sorted(read, key=lambda pair: _end(pair[0].stored), reverse=True)
    usual = _most(_trained_on(run.stored) for run, _ in newest_first)
    strangers = [run for run, _ in newest_first if _trained_on(run.stored) != usual]
    kept = [(run, truth) for run, truth in newest_first if run not in strangers]
    names = list(dict.fromkeys(domain for _, truth in kept for domain in truth))
    valid = {name: _most(truth[name][0] for _, truth in kept if name in truth) for name in names}
    labels = {name: next(t[name][1] for _, t in kept if name in t and t[name][0] == valid[name]) for name in names}
    runs, notes = [], []
    for run, truth in kept:
        other = [domain for domain, (digest, _) in truth.items() if digest != valid[domain]]
        if other:
            notes.append(f"{run.stored.name} ({run.stored.id}) was scored on other images of {', '.join(other)}.")
        same = {domain: metrics for domain, metrics in run.metrics.items() if domain not in other}
        runs.append(dataclasses.replace(run, metrics=same))
    why = "trained on other images than most runs"
    return runs, labels, notes, [Excluded(stored=run.stored, why=why) for run in strangers]


def _trained_on(run: StoredRun) -> tuple[str, ...]:
    return tuple(sorted({each.digest for each in run.datasets if each.context == "training"}))


def _most(values: Iterable[_T]) -> _T | None:
    """Returns the value that comes most often, the first of those that come as often."""
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def _notes(runs: Sequence[ScoredRun], domains: Iterable[str]) -> list[str]:
    """Returns in what the runs differ though they stand in one table."""
    notes = []
    codes = Counter(run.environment.get("code") for run in runs)
    if len(codes) > 1:
        notes.append(f"The runs are of {len(codes)} versions of the code that trains: reproduce renews the older.")
    for domain in domains:
        without = [run for run in runs if domain not in run.metrics]
        if without:
            notes.append(
                f"{len(without)} of {len(runs)} runs have no scores on {domain}, such as {without[0].stored.name}: "
                f"make evaluate RUN_ID={without[0].stored.id} TARGETS=... adds them."
            )
    return notes


def _ordered(labels: dict[str, Int64[np.ndarray, " images"]], profile: Profile) -> tuple[ScoredDomain, ...]:
    source = parse_source(profile.source).key
    targets = [reference.name for reference in expand_targets(profile.targets)]
    home = [name for name in sorted(labels) if name.startswith(f"{source}_") and name not in targets]
    names = [*home, *(name for name in targets if name in labels)]
    names += sorted(set(labels) - set(names))
    return tuple(ScoredDomain(name=name, home=name in home, labels=labels[name]) for name in names)


def _nothing_to_report(options: ReportConfig, excluded: Sequence[Excluded]) -> str:
    of_profile = [run for run in excluded if run.stored.tags.get("profile") == options.profile]
    reasons = Counter(run.why.split(":")[0].split(",")[0] for run in of_profile)
    found = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    models, seeds = (split_names(text) if text else [] for text in (options.models, options.seeds))
    command = reproduce_command(
        options.profile, models, seeds, epochs=options.epochs, precision=options.precision, fast=options.fast
    )
    return (
        f"no completed run of profile {options.profile} with these settings in the tracking store"
        f"{f' (found: {found})' if found else ''}: {command}."
    )


def _in_threads(work: Callable[[StoredRun], _T], runs: Sequence[StoredRun]) -> list[_T]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, runs))
