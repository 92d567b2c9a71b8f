"""The finished runs that answer, and what is known of them: their scores at home and in other labs."""

import logging
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from wbc.arms import Arm
from wbc.assess.options import AssessConfig
from wbc.config import PlanConfig, numbers, split_names
from wbc.data.corrupt import SUFFIX, is_held
from wbc.errors import TrackingError
from wbc.models.catalog import seen_by
from wbc.report.files import Truth, read_config, read_scored
from wbc.report.records import cell_of
from wbc.report.study import ScoredDomain, ScoredRun, reproduce_command
from wbc.report.trials import is_home
from wbc.studies import find_study, study_name
from wbc.tracking import schema
from wbc.tracking.read import StoredRun, read_run, read_trainings
from wbc.tracking.store import which_run

MOST_SEEDS: Final = 2
MOST_RUNS: Final = 8
"""So many answer unless others are asked for: 2,000 cells at 96 pixels take 100 s of CPU time then (lite0)."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Known:
    """Finished runs of one study, and the labs that they were scored on."""

    study: str
    runs: tuple[ScoredRun, ...]
    domains: tuple[ScoredDomain, ...]
    """Home to all runs first; no images that were corrupted, nor any held out where there is a test split."""

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """The models, the best first: by balanced accuracy away, the mean over labs and seeds; without labs at home."""
        worth = {arm: np.mean([self._worth(run) for run in self.of(arm)]) for arm in {run.arm: 0 for run in self.runs}}
        return tuple(sorted(worth, key=lambda arm: -worth[arm]))

    @property
    def away(self) -> tuple[ScoredDomain, ...]:
        """The labs that not every run which was scored there was trained on."""
        return tuple(domain for domain in self.domains if not domain.home)

    def away_of(self, run: ScoredRun) -> list[ScoredDomain]:
        """Returns the labs that a run was scored on and not trained on."""
        return [each for each in self.domains if each.name in run.scores and not is_home(run, each)]

    def home_of(self, run: ScoredRun) -> ScoredDomain | None:
        """Returns the images that stand for a run's home; None where it was scored on none."""
        return next((each for each in self.domains if each.name in run.scores and is_home(run, each)), None)

    def of(self, arm: Arm) -> list[ScoredRun]:
        """Returns an arm's runs, by seed."""
        return sorted((run for run in self.runs if run.arm == arm), key=lambda run: run.seed)

    def representative(self, arm: Arm) -> ScoredRun:
        """Returns the run closest to its arm's mean balanced accuracy, over labs away, or at home; of two the first."""
        runs = self.of(arm)
        worth = np.array([self._worth(run) for run in runs])
        return runs[int(np.argmin(np.abs(worth - worth.mean()).round(9)))]

    def _worth(self, run: ScoredRun) -> float:
        """Returns a run's balanced accuracy, the mean over the labs away, at home where there is none, else 0."""
        home = self.home_of(run)
        labs = self.away_of(run) or ([home] if home else [])
        return float(np.mean([run.metrics[each.name].balanced_accuracy for each in labs])) if labs else 0.0

    def seen(self, run: ScoredRun) -> tuple[str, ...]:
        """Returns the keys of the domains that the weights of a run's model have seen before, as far as is known."""
        with tempfile.TemporaryDirectory() as folder:
            config = read_config(run.stored, Path(folder)) or {}
        return seen_by(run.arm.model, str(config.get("pretrained", "")))

    def without(self, name: str) -> "Known":
        """Returns what is known but for one lab."""
        return replace(self, domains=tuple(domain for domain in self.domains if domain.name != name))


def read_known(options: AssessConfig) -> Known:
    """Returns the runs that `options` name: one, or a study's; of many runs those of the best models.

    Raises:
        TrackingError: there is no such run, or no finished run of the study.
    """
    if options.run:
        return read_one(options.run)
    profile = study_name(options.profile) if options.profile else _newest_study()
    stored = _newest(run for run in read_trainings(profile=profile) if run.complete)
    if not stored:
        named = PlanConfig(profile=options.profile or profile)
        find_study(named.profile)
        raise TrackingError(f"no finished run of study {profile}: {reproduce_command(named)} makes them.")
    known = _read(_chosen(stored, options))
    if options.models or options.seeds:
        return known
    few = [run for arm in known.arms for run in known.of(arm)[:MOST_SEEDS]][:MOST_RUNS]
    if len(few) < len(known.runs):
        _log.info(
            "%d of %d runs answer, those of the models that are best on the known labs; models= and seeds= name others",
            *(len(few), len(known.runs)),
        )
    return replace(known, runs=tuple(few))


def read_one(name: str) -> Known:
    """Returns one finished run: its id, the first digits of it, a name, or latest.

    Raises:
        TrackingError: there is no such run, or it is not finished.
    """
    stored = read_run(which_run(name))
    if not stored.complete or not stored.trained_as:
        raise TrackingError(f"run {name} is no finished training run: name another, or train it on.")
    return _read([stored])


def _newest_study() -> str:
    run = read_run(which_run("latest"))
    return run.tags.get(schema.PROFILE, "")


def _newest(runs: Iterable[StoredRun]) -> list[StoredRun]:
    """Returns the newest run of each model, source and seed."""
    found: dict[tuple[str | None, ...], StoredRun] = {}
    for run in runs:
        key = tuple(run.settings.get(name) for name in (schema.ARM, schema.SOURCE, schema.SEED))
        found.setdefault(key, run)
    return list(found.values())


def _chosen(stored: list[StoredRun], options: AssessConfig) -> list[StoredRun]:
    models = split_names(options.models) if options.models else None
    seeds = numbers("seeds", options.seeds) if options.seeds else None
    chosen = [
        run
        for run in stored
        if (models is None or run.tags.get(schema.ARM) in models or run.settings.get(schema.MODEL) in models)
        and (seeds is None or int(run.settings[schema.SEED]) in seeds)
    ]
    if not chosen:
        asked = " ".join(f"{name}={text}" for name in ("models", "seeds") if (text := getattr(options, name)))
        raise TrackingError(f"no finished run of {asked}; there are: {', '.join(sorted(run.name for run in stored))}.")
    return chosen


def _read(stored: list[StoredRun]) -> Known:
    """Returns runs with their scores; a domain counts as most runs scored it."""
    read: list[tuple[ScoredRun, Truth]] = []
    with tempfile.TemporaryDirectory() as folder:
        for run in stored:
            cell = cell_of(run)
            found = read_scored(run, *cell, Path(folder)) if cell else "it names no model, source and seed"
            if isinstance(found, str):
                _log.warning("run %s is left out: %s", run.id, found)
            else:
                read.append(found)
                for what in found[0].damaged:
                    _log.warning("run %s: %s; that score is left out", run.id, what.rstrip("."))
    if not read:
        raise TrackingError(f"of {len(stored)} finished runs none can be read: make doctor STORE=1 says why.")
    names = dict.fromkeys(name for _, truth in read for name in truth)
    digests = {name: Counter(truth[name][0] for _, truth in read if name in truth) for name in names}
    usual = {name: found.most_common(1)[0][0] for name, found in digests.items()}
    runs, domains, homes = [], dict[str, ScoredDomain](), set[str]()
    for scored, truth in read:
        same = [name for name in scored.scores if truth[name][0] == usual[name]]
        runs.append(replace(scored, scores={name: scored.scores[name] for name in same}))
        roles = {each.name: each.role for each in scored.stored.datasets if each.role != "training"}
        for name in same:
            home = roles.get(name) == "home"
            homes |= {name} if home else set()
            home = home and (name not in domains or domains[name].home)
            domains[name] = ScoredDomain(name=name, home=home, same_lab=name in homes, labels=truth[name][1])
    plain = [each for each in domains.values() if not is_held(each.name)]
    if not any(each.name in homes for each in plain):
        plain += [each for each in domains.values() if each.home and not each.name.endswith(SUFFIX)]
    study = runs[0].stored.tags.get(schema.PROFILE, "")
    return Known(study=study, runs=tuple(runs), domains=tuple(sorted(plain, key=lambda each: not each.home)))
