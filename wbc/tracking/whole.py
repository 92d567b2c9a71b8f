"""What makes a run or a score whole: the one definition of "done" that training, sweep, evaluate and report ask."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from wbc.errors import DamageError
from wbc.tracking import schema
from wbc.tracking.artifacts import fetch, holds, holds_model
from wbc.tracking.read import StoredRun

State = Literal["done", "running", "interrupted"]


def state(run: StoredRun, scores: Mapping[str, str]) -> State:
    """Returns how a run stands, if each domain of `scores` should be scored as it says there."""
    if lack(run, scores) is None:
        return "done"
    return "running" if run.owners else "interrupted"


def lack(run: StoredRun, scores: Mapping[str, str]) -> str | None:
    """Returns the first thing that a run lacks to be done, in words; None where it is done.

    The files are looked for and not only the tags; of small ones the SHA-256 is checked too.
    """
    if run.tags.get(schema.COMPLETE) != "true":
        return "it is not complete"
    if not is_trained(run):
        return "its final checkpoint, its model or what describes it is missing or damaged"
    missing = [domain for domain, scored_as in scores.items() if not is_scored(run, domain, scored_as)]
    return f"its scores on {', '.join(missing)} are missing or damaged" if missing else None


def is_trained(run: StoredRun) -> bool:
    """Returns whether the run has its final checkpoint, the model that MLflow can load, and the files that say how."""
    kept = run.tags.get(schema.CHECKPOINT) == schema.FINAL and holds(run, schema.FINAL) and holds_model(run)
    kept = kept and any(each.role == "training" for each in run.datasets)
    return kept and _is_whole(run, schema.ENVIRONMENT) and _is_described(run)


def is_scored(run: StoredRun, domain: str, scored_as: str) -> bool:
    """Returns whether the run holds this score of a domain, with its files."""
    told = [run.metrics.get(schema.score(domain, name), -1) for name in schema.TOLD]
    tagged = run.scored.get(domain) == scored_as and all(0 <= value <= 1 for value in told)
    tagged = tagged and any(each.name == domain for each in run.datasets)
    if not (tagged and all(holds(run, name) for name in schema.records(domain))):
        return False
    return _is_whole(run, schema.predictions(domain))


def _is_described(run: StoredRun) -> bool:
    """Returns whether the run has its settings, as they were logged, and its parameters name the same model."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = fetch(run, schema.CONFIG, Path(folder), in_place=True)
            config = json.loads(path.read_bytes()) if path else None
        except (DamageError, ValueError, RecursionError, OSError):
            return False
    names = (schema.MODEL, schema.METHOD, schema.SOURCE, schema.SEED)
    return isinstance(config, dict) and all(run.settings.get(n) == str(config[n]) for n in names if n in config)


def _is_whole(run: StoredRun, artifact: str) -> bool:
    """Returns whether the run has a file, as it was logged."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = fetch(run, artifact, Path(folder), in_place=True)
        except DamageError:
            return False
    return path is not None
