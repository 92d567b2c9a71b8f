"""Reads a profile's runs from the tracking store and sorts them: which the report is made from, and why not the others.

The grid is the profile's models × seeds. A cell takes its latest completed run of the profile's settings; interrupted,
older and differing runs are named, never mixed in, and a cell without a run is missing.
"""

import dataclasses
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64
from PIL import Image

from wbc.config import ReportConfig, TrainConfig, seed_numbers, split_names
from wbc.data.references import expand_targets, parse_source
from wbc.errors import ReportError
from wbc.evaluation.metrics import score
from wbc.evaluation.records import read_scores
from wbc.profiles import Profile, find_profile, resolve
from wbc.report.study import Excluded, ScoredDomain, ScoredRun, Study
from wbc.tracking.results import StoredRun, download, read_curve, read_runs

_CURVES: Final = ("loss", "accuracy")
_FREE: Final = ("model", "seed", "profile", "targets", "device", "checkpoint_every")
_THREADS: Final = 8
_Truth = dict[str, tuple[str, Int64[np.ndarray, " images"]]]
_T = TypeVar("_T")


def read_study(options: ReportConfig) -> Study:
    """Reads a profile's runs from the tracking store.

    Raises:
        TrackingError: the store does not answer.
        ReportError: it holds no completed run of this profile and these settings.
    """
    profile = find_profile(options.profile)
    models = split_names(options.models) if options.models else list(profile.models)
    seeds = seed_numbers(options.seeds) if options.seeds else list(range(profile.seeds))
    settings = _settings(options)
    own, others = read_runs(options.profile)
    excluded = [
        Excluded(
            stored=run, why=f"of profile {run.tags['profile']}" if "profile" in run.tags else "not of this project"
        )
        for run in others
        if "kind" not in run.tags
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        candidates = []
        for run in own:
            if run.tags.get("kind") or "model" not in run.tags:
                continue  # a sweep or a report
            why = _unfinished(run)
            if why:
                excluded.append(Excluded(stored=run, why=why))
            else:
                candidates.append(run)
        configs = _in_threads(lambda run: _read_json(run, "config.json", folder), candidates)
        chosen, left = _choose(candidates, configs, settings, options.models and models, seeds)
        excluded += left
        if not chosen:
            raise ReportError(_nothing_to_report(options, excluded))
        read = _in_threads(lambda run: _read_run(run, folder), chosen)
    runs, labels, notes = _same_images(read)
    models += sorted({run.model for run in runs} - set(models))
    present = {(run.model, run.seed) for run in runs}
    codes = Counter(run.environment.get("code") for run in runs)
    if len(codes) > 1:
        notes.append(
            f"the runs are of {len(codes)} versions of the code that trains; reproduce again to renew the older."
        )
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
        notes=tuple(notes),
    )


def read_embeddings(run: ScoredRun, domain: str) -> Float[np.ndarray, "images dim"] | None:
    """Returns what the last layer of a run's model was given for each image, or None where it was not logged."""
    with tempfile.TemporaryDirectory() as folder:
        path = download(run.stored, f"embeddings/{domain}.npy", Path(folder))
        return np.load(path).astype(np.float32) if path else None


def read_samples(run: ScoredRun, domain: str) -> Image.Image | None:
    """Returns the picture of a domain's sample cells, see `wbc.evaluation.samples`; None where it was not logged."""
    with tempfile.TemporaryDirectory() as folder:
        path = download(run.stored, f"samples/{domain}.png", Path(folder))
        return Image.open(path).copy() if path else None


def _settings(options: ReportConfig) -> dict[str, Any]:
    config = resolve(TrainConfig(profile=options.profile, epochs=options.epochs, device="cpu"))
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in _FREE}


def _unfinished(run: StoredRun) -> str | None:
    if run.complete and "fingerprint" in run.tags:
        return None
    if run.status == "FINISHED":
        return "ended without being complete" if "fingerprint" in run.tags else "scores of a checkpoint file"
    words = {"RUNNING": "running, or killed outright", "FAILED": "failed", "KILLED": "interrupted"}
    return words.get(run.status, run.status.lower())


def _choose(
    runs: Sequence[StoredRun],
    configs: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    models: Collection[str] | None,
    seeds: Collection[int],
) -> tuple[list[StoredRun], list[Excluded]]:
    """Returns the run of each cell, the latest of those with the right settings, and the others with the reason."""
    chosen: dict[tuple[str, int], StoredRun] = {}
    left = []
    for run, config in sorted(zip(runs, configs, strict=True), key=lambda pair: _end(pair[0]), reverse=True):
        other = [f"{key}={config.get(key)}" for key, value in settings.items() if config.get(key) != value]
        cell = (run.tags["model"], int(run.tags["seed"]))
        if other:
            why = f"other settings: {', '.join(other)}"
        elif (models and cell[0] not in models) or cell[1] not in seeds:
            why = "not among the models and seeds of this report"
        elif cell in chosen:
            same = chosen[cell].tags["fingerprint"] == run.tags["fingerprint"]
            reason = "which is the same again" if same else "with other code, images, weights or libraries"
            why = f"older than {chosen[cell].id}, {reason}"
        else:
            chosen[cell] = run
            continue
        left.append(Excluded(stored=run, why=why))
    return list(chosen.values()), left


def _end(run: StoredRun) -> float:
    return run.ended.timestamp() if run.ended else 0.0


def _read_run(run: StoredRun, folder: Path) -> tuple[ScoredRun, _Truth]:
    """Returns a run with its scores, and by domain a digest of what was scored, and the true labels."""
    found = download(run, "predictions", folder / run.id)
    scores, metrics, truth = {}, {}, {}
    for path in sorted(found.glob("*.csv")) if found else []:
        labels, scores[path.stem] = read_scores(path)
        metrics[path.stem] = score(labels, scores[path.stem])
        ids = pd.read_csv(path, usecols=["id"], dtype=str)["id"]
        digest = hashlib.sha256("\n".join([*ids, *map(str, labels)]).encode()).hexdigest()
        truth[path.stem] = (digest, labels)
    scored = ScoredRun(
        stored=run,
        model=run.tags["model"],
        seed=int(run.tags["seed"]),
        environment=_read_json(run, "environment.json", folder),
        scores=scores,
        metrics=metrics,
        curves={name: read_curve(run, f"train/{name}") for name in _CURVES},
    )
    return scored, truth


def _read_json(run: StoredRun, name: str, folder: Path) -> dict[str, Any]:
    path = download(run, name, folder / run.id)
    values: dict[str, Any] = json.loads(path.read_bytes()) if path else {}
    return values


def _same_images(
    read: Sequence[tuple[ScoredRun, _Truth]],
) -> tuple[list[ScoredRun], dict[str, Int64[np.ndarray, " images"]], list[str]]:
    """Returns the runs, each domain's labels and notes; scores on other images than the newest run's are left out."""
    newest_first = sorted(read, key=lambda pair: _end(pair[0].stored), reverse=True)
    valid: dict[str, tuple[str, Int64[np.ndarray, " images"]]] = {}
    for _, truth in newest_first:
        for domain, scored in truth.items():
            valid.setdefault(domain, scored)
    runs, notes = [], []
    for run, truth in newest_first:
        other = [domain for domain, (digest, _) in truth.items() if digest != valid[domain][0]]
        if other:
            notes.append(f"{run.stored.name} ({run.stored.id}) was scored on other images of {', '.join(other)}.")
        kept = {domain: metrics for domain, metrics in run.metrics.items() if domain not in other}
        runs.append(dataclasses.replace(run, metrics=kept))
    return runs, {domain: labels for domain, (_, labels) in valid.items()}, notes


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
    return (
        f"no completed run of profile {options.profile} with these settings in the tracking store"
        f"{f' (found: {found})' if found else ''}: make reproduce PROFILE={options.profile}."
    )


def _in_threads(work: Callable[[StoredRun], _T], runs: Sequence[StoredRun]) -> list[_T]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, runs))
