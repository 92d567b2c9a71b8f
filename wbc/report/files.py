"""The files of a tracked run, read back: its settings, its predictions, embeddings and pictures."""

import hashlib
import json
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int64
from PIL import Image

from wbc.arms import Arm
from wbc.errors import DamageError
from wbc.evaluation.metrics import score
from wbc.evaluation.records import read_scores
from wbc.report.adapted import AdaptedScore
from wbc.report.study import ScoredRun
from wbc.tracking import schema
from wbc.tracking.artifacts import check_file, fetch
from wbc.tracking.read import StoredRun, read_curve

_MOST_PIXELS: Final = 50_000_000
"""Of a picture of cells: many times as many as one that this project draws has."""
Truth = dict[str, tuple[str, Int64[np.ndarray, " images"]]]
"""By domain: a digest of the images scored, and their labels."""


def read_config(run: StoredRun, folder: Path) -> dict[str, Any] | None:
    """Returns the settings that a run logged; None where they are missing or damaged."""
    with suppress(ValueError, TypeError, RecursionError, DamageError):
        path = fetch(run, schema.CONFIG, folder / run.id, in_place=True)
        return dict(json.loads(path.read_bytes())) if path else None
    return None


def read_scored(
    run: StoredRun, arm: Arm, seed: int, folder: Path, needed: Collection[str] = ()
) -> tuple[ScoredRun, Truth] | str:
    """Returns a run with its scores, and by domain what was scored; or why it cannot be read.

    A damaged score is left out: alone, unless its name is among those `needed`.
    """
    found = fetch(run, schema.PREDICTIONS, folder / run.id, in_place=True, checked=False)
    plain = sorted(found.glob("*.csv")) if found else []
    if not (found and plain):
        return "its predictions are missing"
    scores, metrics, truth, adapted, damaged = {}, {}, {}, {}, list[str]()
    seen = dict[str, tuple[dict[str, int], Int64[np.ndarray, " images"]]]()
    for path in [*plain, *sorted(found.glob("*/*.csv"))]:
        name = f"{schema.PREDICTIONS}/{path.relative_to(found).as_posix()}"
        try:
            check_file(run, name, path)
            if path not in plain:
                domain = path.parent.name
                adapted[domain, path.stem.replace("-", "+")] = _adapted(path, *seen[domain])
                continue
            ids, labels, said = read_scores(path)
            if not len(labels):
                raise ValueError
        except (ValueError, KeyError, OverflowError, OSError, DamageError) as error:  # pandas' own errors among them
            damaged.append(str(error) if isinstance(error, DamageError) else f"its {name} is damaged")
            if path.relative_to(found).with_suffix("").as_posix() in needed:
                return damaged[-1]
            continue
        scores[path.stem] = said
        metrics[path.stem] = score(labels, said)
        logged = sorted({each.digest for each in run.datasets if each.name == path.stem})
        digest = hashlib.sha256("\n".join([*logged, *ids, *map(str, labels)]).encode()).hexdigest()
        truth[path.stem] = (digest, labels)
        seen[path.stem] = {image: row for row, image in enumerate(ids)}, labels
    if not scores:
        return damaged[0]
    known = _environment(run, folder / run.id)
    if known is None:
        return "its environment.json is damaged"
    of_run: dict[str, Any] = {"stored": run, "arm": arm, "seed": seed, "losses": read_curve(run, schema.LOSS)}
    return ScoredRun(
        **of_run, environment=known, scores=scores, metrics=metrics, adapted=adapted, damaged=tuple(damaged)
    ), truth


def _adapted(path: Path, rows: dict[str, int], labels: Int64[np.ndarray, " images"]) -> AdaptedScore:
    """Returns the answers in a file of adapted scores; `rows` says by id where each image's label stands.

    Raises:
        KeyError: an image is not among them.
        ValueError: it has another label, or the file is none of predictions.
    """
    ids, said, scores = read_scores(path)
    places = np.array([rows[name if name in rows else name.rpartition("#")[0]] for name in ids], np.int64)
    if not len(said) or not np.array_equal(labels[places], said):
        raise ValueError("the labels are others")
    return AdaptedScore(rows=places, right=scores.argmax(1) == said, metrics=score(said, scores))


def read_under(run: ScoredRun, adaptation: str) -> ScoredRun:
    """Returns a run with its scores under an adaptation that learns from no label, of the domains where it has some."""
    scores = {}
    with tempfile.TemporaryDirectory() as folder, suppress(ValueError, KeyError, DamageError):
        for domain in (domain for domain, name in run.adapted if name == adaptation):
            name = schema.predictions(schema.score_name(domain, adaptation))
            path = fetch(run.stored, name, Path(folder, domain), in_place=True)
            if path and len(found := read_scores(path)[2]) == len(run.scores[domain]):
                scores[domain] = found
    return replace(run, scores=scores)


def read_embeddings(run: ScoredRun, domain: str) -> Float[np.ndarray, "images dim"] | None:
    """Returns what the last layer of a run's model was given for each image; None where that is missing or damaged."""
    with tempfile.TemporaryDirectory() as folder, suppress(ValueError, EOFError, DamageError):
        path = fetch(run.stored, schema.embeddings(domain), Path(folder), in_place=True)
        if path:
            mapped = np.load(path, mmap_mode="r")  # which holds the size declared against the file
            embeddings = mapped.astype(np.float32)
            whole = len(embeddings) == len(run.scores[domain]) and np.isfinite(embeddings).all()
            return embeddings if whole else None
    return None


def read_samples(run: ScoredRun, domain: str) -> Image.Image | None:
    """Returns the picture of a domain's cells (`wbc.evaluation.samples`); None where it is missing or damaged."""
    with tempfile.TemporaryDirectory() as folder, suppress(OSError, SyntaxError, ValueError, DamageError):
        path = fetch(run.stored, schema.samples(domain), Path(folder), in_place=True)
        if path:
            with Image.open(path, formats=["PNG"]) as image:
                return image.copy() if image.width * image.height <= _MOST_PIXELS else None
    return None


def _environment(run: StoredRun, folder: Path) -> dict[str, Any] | None:
    """Returns what a run logged of its environment; None where that is damaged."""
    try:
        file = fetch(run, schema.ENVIRONMENT, folder, in_place=True)
        return _checked(json.loads(file.read_bytes())) if file else {}
    except (ValueError, TypeError, RecursionError, DamageError):
        return None


def _checked(environment: dict[str, Any]) -> dict[str, Any]:
    """Returns what a run logged of its environment; raises a ValueError where it cannot be shown."""
    if not isinstance(environment, dict):
        raise ValueError("an environment has names")
    known = dict(environment)
    gpus, libraries = known.get("gpus") or [], known.get("libraries") or {}
    texts = [known.get("code") or "", *gpus] if isinstance(gpus, list) else [None]
    if not (isinstance(libraries, dict) and all(isinstance(each, str) for each in texts)):
        raise ValueError("an environment has a text for its code, a list of GPUs and libraries by name")
    return known
