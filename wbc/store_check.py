"""Checking a store: every complete run's files, digests and tags, and for each fault the command that repairs it."""

import dataclasses
import json
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wbc.config import RunConfig, TrainConfig, adaptation_names
from wbc.data.catalog import FOLDER
from wbc.data.splits import expand_targets, split_list, split_named
from wbc.errors import DamageError, WbcError, shown
from wbc.report.study import typed
from wbc.studies import STUDIES, resolve
from wbc.tracking import schema
from wbc.tracking.artifacts import fetch
from wbc.tracking.read import StoredRun, read_trainings
from wbc.tracking.store import connect


def find_faults() -> Iterator[str]:
    """Yields one line for each fault of each complete run; reads every file that has a digest, and changes nothing."""
    connect()
    for run in read_trainings():
        if run.tags.get(schema.COMPLETE) == "true":
            missing, damaged = _faults(run)
            for artifact in [*missing, *damaged]:
                word = "is missing" if artifact in missing else "is not what was logged"
                anew = any(not name.startswith((schema.PREDICTIONS, *schema.DESCRIBING)) for name in damaged)
                yield shown(f"{run.name} ({run.id}): {artifact} {word} -> {_repair(run, artifact, anew=anew)}")


def _faults(run: StoredRun) -> tuple[list[str], list[str]]:
    """Returns which of a complete run's artifacts and metrics are missing, and which artifacts are damaged."""
    needed = [schema.FINAL, schema.CONFIG, schema.ENVIRONMENT]
    needed += [name for score in run.scored for name in schema.records(score)]
    kept = {run.tags.get(schema.CHECKPOINT), *needed}  # earlier checkpoints were deleted
    needed += [artifact for tag in run.tags if (artifact := schema.digested(tag)) and artifact not in needed]
    accuracies = [schema.score(domain, "accuracy") for domain in run.scored]
    missing, damaged = [name for name in accuracies if name not in run.metrics], []
    for artifact in needed:
        with tempfile.TemporaryDirectory() as folder:
            try:
                if fetch(run, artifact, Path(folder), in_place=True) is None and artifact in kept:
                    missing.append(artifact)
            except DamageError:
                damaged.append(artifact)
    return missing, damaged


def _repair(run: StoredRun, artifact: str, *, anew: bool) -> str:
    """Returns the command that makes again what a run lacks; `anew` where it first has to be deleted."""
    delete = f".venv/bin/mlflow runs delete --run-id {shlex.quote(run.id)}"
    config = _config(run)
    if config is None:
        return delete
    train = _command(config)
    return f"{delete} && {train}" if anew else _evaluation(run, config, artifact) or train


def _evaluation(run: StoredRun, config: RunConfig, artifact: str) -> str | None:
    """Returns the command that makes a score again which was asked for after training; None for the run's own."""
    found = re.fullmatch(r"\w+/(.+?)(\.csv|\.npy|/accuracy)", artifact)
    domain, _, adaptation = found[1].partition("/") if found else ("", "", "")
    tested = {each.name: each for each in run.datasets if each.role in ("home", "away")}
    own = [each.name for each in expand_targets(",".join(config.targets))] if config.targets else []
    adaptation = adaptation.replace("-", "+")
    planned = domain in own or (domain in tested and tested[domain].role == "home")
    if domain not in tested or (planned and adaptation in ("", *config.adapt)):
        return None
    target = str(split_named(domain) or "")
    if not target:
        try:
            target = f"{FOLDER}{json.loads(tested[domain].origin)['uri']}"
        except (ValueError, LookupError, TypeError, RecursionError):  # a damaged record: nothing names the folder
            return None
    words = [typed("RUN_ID", run.id), typed("TARGETS", target)]
    return " ".join(["make evaluate", *words, *([typed("ADAPT", adaptation)] if adaptation else [])])


def _config(run: StoredRun) -> RunConfig | None:
    """Returns the settings that a run logged; None where they cannot be read."""
    with tempfile.TemporaryDirectory() as folder, suppress(WbcError, ValueError, TypeError, KeyError):
        path = fetch(run, schema.CONFIG, Path(folder), in_place=True)
        stored = json.loads(path.read_bytes()) if path else {}
        names = {field.name for field in dataclasses.fields(RunConfig)}
        known = {name: value for name, value in stored.items() if name in names}
        lists = {
            "targets": tuple(split_list(stored["targets"])),
            "adapt": adaptation_names(stored.get("adapt", "none")),
        }
        return RunConfig(**known | lists)
    return None


def _command(config: RunConfig) -> str:
    """Returns the command that trains a run, as one types it; of a study in a file, the command for the study."""
    if config.profile not in STUDIES:
        return f"make reproduce {typed('PROFILE', f'{config.profile}.toml')}"
    usual = resolve(TrainConfig(profile=config.profile, model=config.model, seed=config.seed))
    words = []
    for name in ("method", "source", "targets", *(field.name for field in dataclasses.fields(TrainConfig))):
        value = getattr(config, name)
        if name not in ("model", "seed", "profile") and value != getattr(usual, name) and f"--{name}" not in words:
            words += [f"--{name}", ",".join(value) or "none" if isinstance(value, tuple) else str(value)]
    arguments = f" {typed('ARGS', shlex.join(words))}" if words else ""
    return f"make train PROFILE={config.profile} {typed('MODEL', config.model)} SEED={config.seed}{arguments}"
