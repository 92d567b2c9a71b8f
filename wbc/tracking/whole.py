"""What makes a run or a score whole: the one definition of "done" that training, sweep, evaluate and report ask."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from wbc.errors import DamageError
from wbc.tracking import schema
from wbc.tracking.read import StoredRun, fetch, holds

State = Literal["done", "running", "interrupted"]


def state(run: StoredRun, scores: Mapping[str, str]) -> State:
    """Returns how a run stands, if each domain of `scores` should be scored as it says there."""
    if lack(run, scores) is None:
        return "done"
    return "running" if run.owners else "interrupted"


def lack(run: StoredRun, scores: Mapping[str, str]) -> str | None:
    """Returns the first thing that a run lacks to be done, in words; None where it is done.

    The files are looked for and not only the tags; of predictions, which are small, the SHA-256 is checked too.
    """
    if run.tags.get(schema.COMPLETE) != "true":
        return "it is not complete"
    if not is_trained(run):
        return "its final checkpoint, its model or what describes it is missing"
    missing = [domain for domain, scored_as in scores.items() if not is_scored(run, domain, scored_as)]
    return f"its scores on {', '.join(missing)} are missing or damaged" if missing else None


def is_trained(run: StoredRun) -> bool:
    """Returns whether the run has its final checkpoint, the model that MLflow can load, and the files that say how."""
    tagged = run.tags.get(schema.CHECKPOINT) == schema.FINAL and schema.MODEL_ID in run.tags
    return tagged and all(holds(run, name) for name in (schema.FINAL, schema.CONFIG, schema.ENVIRONMENT))


def is_scored(run: StoredRun, domain: str, scored_as: str) -> bool:
    """Returns whether the run holds this score of a domain, with its files."""
    tagged = run.scored.get(domain) == scored_as and schema.score(domain, "accuracy") in run.metrics
    if not (tagged and all(holds(run, name) for name in schema.records(domain))):
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            return fetch(run, schema.predictions(domain), Path(folder), in_place=True) is not None
        except DamageError:
            return False
