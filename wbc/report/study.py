"""A profile's completed runs in memory: what every table, figure and number of the report is made from."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from wbc.evaluation.metrics import Metrics
from wbc.models.catalog import MODELS, Model
from wbc.studies import find_profile
from wbc.tracking.read import StoredRun


@dataclass(frozen=True, kw_only=True)
class ScoredRun:
    """A completed run with its files read."""

    stored: StoredRun
    model: str
    seed: int
    environment: dict[str, Any]
    scores: dict[str, Float[np.ndarray, "images 5"]]
    """By domain: the probability of each class for each image."""
    metrics: dict[str, Metrics]
    """By domain."""
    losses: dict[int, float]
    """Training loss by epoch, from 1."""

    @property
    def hardware(self) -> str:
        """What the run was trained on, as it logged it."""
        known = self.environment
        gpus = ", ".join(known.get("gpus") or []) or "no GPU"
        return f"{known.get('processor', 'unknown processor')}, {known.get('cores', '?')} cores, {gpus}"


@dataclass(frozen=True, kw_only=True)
class ScoredDomain:
    """Images that runs were scored on."""

    name: str
    """As in metrics: raabin_test_b."""
    home: bool
    """Whether these are the source's own test images."""
    labels: Int64[np.ndarray, " images"]

    @property
    def majority(self) -> float:
        """The share of the largest class, in [0, 1]: what always saying that class scores."""
        return float(np.bincount(self.labels).max() / len(self.labels))


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """A run that the report leaves out, and why."""

    stored: StoredRun
    why: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """All that a report says, before it is said."""

    profile: str
    usual: bool
    """Whether the settings are the profile's own."""
    settings: dict[str, Any]
    seeds: tuple[int, ...]
    models: tuple[str, ...]
    """In the order of the tables: the profile's, then others that have runs of the same settings."""
    runs: tuple[ScoredRun, ...]
    domains: tuple[ScoredDomain, ...]
    """The source's own test images first, then the targets in the profile's order, then others."""
    excluded: tuple[Excluded, ...]
    missing: tuple[tuple[str, int], ...]
    """Models and seeds of the grid without a run."""
    notes: tuple[str, ...]
    """What a reader must know of how the runs differ."""

    @cached_property
    def home(self) -> ScoredDomain | None:
        """The source's own test images, if it has any."""
        return next((domain for domain in self.domains if domain.home), None)

    @cached_property
    def away(self) -> ScoredDomain | None:
        """The first domain of another lab: where the tables and figures look when they look at one target."""
        source = find_profile(self.profile).source
        others = [domain for domain in self.domains if not domain.home]
        return next((domain for domain in others if not domain.name.startswith(f"{source}_")), next(iter(others), None))

    def of(self, model: str, domain: str) -> list[ScoredRun]:
        """Returns the runs of a model that were scored on a domain, by seed."""
        return sorted((r for r in self.runs if r.model == model and domain in r.metrics), key=lambda run: run.seed)

    def accuracies(self, model: str, domain: str) -> list[float]:
        """Returns a model's accuracies on a domain, by seed, in [0, 1]."""
        return [run.metrics[domain].accuracy for run in self.of(model, domain)]

    def hits(self, model: str, domain: ScoredDomain) -> Bool[np.ndarray, "seeds images"]:
        """Returns which images each seed's run got right."""
        hits = [run.scores[domain.name].argmax(1) == domain.labels for run in self.of(model, domain.name)]
        return np.array(hits, bool).reshape(-1, len(domain.labels))

    def representative(self, model: str, domain: str) -> ScoredRun | None:
        """Returns the run whose accuracy is closest to its model's mean, the paper's rule; the first if two are."""
        runs = self.of(model, domain)
        mean = float(np.mean(self.accuracies(model, domain))) if runs else 0.0
        return min(runs, key=lambda run: float(abs(run.metrics[domain].accuracy - mean)), default=None)

    def few(self, runs: int) -> str:
        """Returns what is to be said beside a mean over `runs` seeds where the grid has more, else nothing."""
        return f" ({runs} of {len(self.seeds)} seeds)" if runs < len(self.seeds) else ""

    def seed_list(self) -> str:
        """Returns the grid's seeds in words: "0–9" or "0, 1, 2"."""
        whole = len(self.seeds) > 3 and list(self.seeds) == list(range(self.seeds[0], self.seeds[-1] + 1))
        return f"{self.seeds[0]}–{self.seeds[-1]}" if whole else ", ".join(map(str, self.seeds))

    def summary(self) -> str:
        """Returns in a few sentences what was run."""
        settings = self.settings
        hardware = sorted({run.hardware for run in self.runs})
        return (
            f"{len(self.runs)} runs of {len({run.model for run in self.runs})} models, seeds "
            f"{self.seed_list()}: trained on {settings['source']} for {settings['epochs']} epochs "
            f"(recipe {settings['recipe']}, scale {settings['scale']}, weights {settings['pretrained']}, "
            f"{settings['image_size']} pixels, batch {settings['batch_size']}, peak rate {settings['lr']:g}, weight "
            f"decay {settings['weight_decay']:g}, {settings['precision']}), scored on "
            f"{', '.join(domain.name for domain in self.domains)}. Hardware: {'; '.join(hardware)}."
        )

    def command(self) -> str | None:
        """Returns the command that fills the grid's missing cells; None if there are none."""
        if not self.missing:
            return None
        models = dict.fromkeys(model for model, _ in self.missing)
        seeds = sorted({seed for _, seed in self.missing})
        epochs = None if self.usual else self.settings["epochs"]
        precision = self.settings["precision"] if self.settings["scale"] == "full" else None  # auto is by hardware
        return reproduce_command(
            self.profile, models, seeds, epochs=epochs, precision=precision, fast=self.settings["fast"]
        )


def reproduce_command(
    profile: str,
    models: Iterable[str],
    seeds: Iterable[object],
    *,
    epochs: int | None,
    precision: str | None,
    fast: bool,
) -> str:
    """Returns the command that runs a part of a profile's grid; without models or seeds all of them."""
    parts = [f"make reproduce PROFILE={profile}"]
    parts += [
        f'{name}="{text}"'
        for name, text in (("MODELS", " ".join(models)), ("SEEDS", " ".join(map(str, seeds))))
        if text
    ]
    given = {"epochs": epochs, "precision": precision, "fast": None if fast else "off"}
    options = [f"--{name} {value}" for name, value in given.items() if value]
    return " ".join([*parts, *([f'ARGS="{" ".join(options)}"'] if options else [])])


def describe_model(key: str) -> Model:
    """Returns a model's row; one outside the catalogue goes by its name (timm, which knows more, takes PyTorch)."""
    return MODELS.get(key) or Model(title=key.removeprefix("timm:"), backbone=key, norm="own")
