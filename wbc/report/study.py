"""A study's completed runs in memory: what every table, figure and number of a report is made from."""

import re
import shlex
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int64

from wbc.arms import PLAIN, Arm
from wbc.config import PlanConfig, split_names
from wbc.data.corrupt import SUFFIX
from wbc.evaluation.metrics import Metrics
from wbc.models.catalog import MODELS, Model
from wbc.report.adapted import AdaptedScore
from wbc.report.statistics import ALPHA, PairedTest, SeedSpread, holm, paired_test, seed_spread, seeds_to_find
from wbc.studies import study_name
from wbc.tracking.read import StoredRun
from wbc.words import number_of

MANY: Final = 20
"""With more arms than these, tables and figures of models have those of plain training alone."""


@dataclass(frozen=True, kw_only=True)
class ScoredRun:
    """A completed run with its files read."""

    stored: StoredRun
    arm: Arm
    seed: int
    environment: dict[str, Any]
    scores: dict[str, Float[np.ndarray, "images 5"]]
    """By domain: the probability of each class for each image."""
    metrics: dict[str, Metrics]
    """By domain."""
    losses: dict[int, float]
    """Training loss by epoch, from 1."""
    adapted: dict[tuple[str, str], AdaptedScore] = field(default_factory=dict)
    """By domain and adaptation."""
    damaged: tuple[str, ...] = ()
    """Which of its scores cannot be read, in words."""

    @property
    def identity(self) -> str:
        """What the run's weights are known by."""
        return identity(self.stored)

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
    """Whether these are the source's own test images, for every run of the study."""
    same_lab: bool
    """Whether they are of a lab that the study trains on, perhaps under another microscope."""
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
class Contrast:
    """The test of two arms on a domain, and its p corrected for all pairs of arms on that domain."""

    domain: str
    first: Arm
    second: Arm
    test: PairedTest
    p_holm: float
    seeds_to_find: int | None
    """At how many seeds a difference of this size is found; None: more than the most that is tried."""

    @property
    def better(self) -> Arm | None:
        """The arm that is better by the report's rule (`wbc.report.statistics`), if one is."""
        if self.p_holm >= ALPHA:
            return None
        return self.first if self.test.difference > 0 else self.second


@dataclass(frozen=True, kw_only=True)
class Study:
    """All that a report says, before it is said."""

    options: PlanConfig
    """What was asked for."""
    usual: bool
    """Whether the settings are the profile's own."""
    settings: dict[str, Any]
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...]
    """In the order of the tables: the profile's, then others that have runs of the same settings."""
    runs: tuple[ScoredRun, ...]
    domains: tuple[ScoredDomain, ...]
    """The source's own test images first, then the targets in the profile's order."""
    excluded: tuple[Excluded, ...]
    missing: tuple[tuple[Arm, int], ...]
    """Arms and seeds of the grid without a run."""
    notes: tuple[str, ...]
    """What a reader must know of how the runs differ."""
    soups: tuple[ScoredRun, ...] = ()
    """Scores of the averaged weights of an arm's runs, of all seeds."""

    @property
    def profile(self) -> str:
        """What the study is called."""
        return study_name(self.options.profile)

    @cached_property
    def home(self) -> ScoredDomain | None:
        """The source's own test images, if it has any; None where sources differ in their home."""
        sources = {arm.sources for arm in self.arms}
        scored = {(run.arm.sources, name) for run in self.runs for name in run.metrics}
        shared = (each for each in self.domains if each.home and all((own, each.name) in scored for own in sources))
        return next(shared, None)

    @cached_property
    def away(self) -> ScoredDomain | None:
        """The first domain of another lab: where the tables and figures look when they look at one target."""
        others = [domain for domain in self.domains if not domain.home]
        return next((domain for domain in others if not domain.same_lab), next(iter(others), None))

    @cached_property
    def contrasts(self) -> list[Contrast]:
        """The paired test of every two arms on every domain, over the seeds that both have."""
        contrasts = []
        for domain in self.domains:
            shared = seed_spread([self.accuracies(arm, domain.name) for arm in self.arms])
            pairs = [(*pair, self._paired(domain, *pair, shared)) for pair in combinations(self.arms, 2)]
            tests = [(first, second, test) for first, second, test in pairs if test]
            corrected = holm([test.p for _, _, test in tests])
            contrasts += [
                Contrast(
                    domain=domain.name,
                    first=first,
                    second=second,
                    test=test,
                    p_holm=p,
                    seeds_to_find=seeds_to_find(test, len(tests), shared.models),
                )
                for (first, second, test), p in zip(tests, corrected, strict=True)
            ]
        return contrasts

    @cached_property
    def models(self) -> "Study":
        """The study for tables and figures of models: of many arms those of plain training; no corrupted images."""
        plain = tuple(arm for arm in self.arms if arm.method == PLAIN)
        arms = plain if plain and len(self.arms) > MANY else self.arms
        domains = tuple(domain for domain in self.domains if not (domain.home and domain.name.endswith(SUFFIX)))
        return replace(self, arms=arms, runs=tuple(run for run in self.runs if run.arm in arms), domains=domains)

    def label(self, arm: Arm) -> str:
        """Returns an arm's name, with its sources only where the study trains on more than one set of them."""
        return arm.name if len({each.sources for each in self.arms}) == 1 else arm.full_name

    def named(self, names: Iterable[str]) -> list[Arm]:
        """Returns the study's arms of these names, in the names' order."""
        return [arm for name in names for arm in self.arms if arm.name == name]

    def of(self, arm: Arm, domain: str) -> list[ScoredRun]:
        """Returns the runs of an arm that were scored on a domain, by seed."""
        return sorted((r for r in self.runs if r.arm == arm and domain in r.metrics), key=lambda run: run.seed)

    def accuracies(self, arm: Arm, domain: str) -> list[float]:
        """Returns an arm's accuracies on a domain, by seed, in [0, 1]."""
        return [run.metrics[domain].accuracy for run in self.of(arm, domain)]

    def hits(self, arm: Arm, domain: ScoredDomain) -> Bool[np.ndarray, "seeds images"]:
        """Returns which images each seed's run got right."""
        hits = [run.scores[domain.name].argmax(1) == domain.labels for run in self.of(arm, domain.name)]
        return np.array(hits, bool).reshape(-1, len(domain.labels))

    def representative(self, arm: Arm, domain: str) -> ScoredRun | None:
        """Returns the run whose accuracy is closest to its arm's mean, the paper's rule; the first if two are."""
        runs = self.of(arm, domain)
        mean = float(np.mean(self.accuracies(arm, domain))) if runs else 0.0
        return min(runs, key=lambda run: round(abs(run.metrics[domain].accuracy - mean), 9), default=None)

    def best(self, domain: ScoredDomain, among: Collection[Arm]) -> Arm | None:
        """Returns the arm of the best mean on a domain if it is better than the next by the rule, else None."""
        means = {arm: float(np.mean(values)) for arm in among if (values := self.accuracies(arm, domain.name))}
        leading = sorted(means, key=lambda arm: -means[arm])[:2]
        for each in self.contrasts:
            if each.domain == domain.name and {each.first, each.second} == set(leading):
                return each.better if each.better == leading[0] else None
        return None

    def few(self, runs: int) -> str:
        """Returns what is to be said beside a mean over `runs` seeds where the grid has more, else nothing."""
        return f" ({runs} of {len(self.seeds)} seeds)" if runs < len(self.seeds) else ""

    def seed_list(self) -> str:
        """Returns the grid's seeds in words: "0–9" or "0, 1, 2"."""
        whole = len(self.seeds) > 3 and list(self.seeds) == list(range(self.seeds[0], self.seeds[-1] + 1))
        return f"{self.seeds[0]}–{self.seeds[-1]}" if whole else ", ".join(map(str, self.seeds))

    def sources(self) -> str:
        """Returns what the arms are trained on, in words."""
        return " or ".join(dict.fromkeys(",".join(arm.sources) for arm in self.arms))

    def summary(self) -> str:
        """Returns in a few sentences what was run."""
        settings, epochs = self.settings, number_of(self.settings["epochs"], "epoch")
        runs, models = number_of(len(self.runs), "run"), number_of(len({run.arm for run in self.runs}), "model")
        hardware = "; ".join(sorted({run.hardware for run in self.runs}))
        return (
            f"{runs} of {models}, seeds {self.seed_list()}: trained on {self.sources()} for {epochs}{self._visits()} "
            f"(recipe {settings['recipe']}, scale {settings['scale']}, weights {settings['pretrained']}, "
            f"{settings['image_size']} pixels, batch {settings['batch_size']}, peak rate {settings['lr']:g}, weight "
            f"decay {settings['weight_decay']:g}, {settings['precision']}), scored on "
            f"{', '.join(domain.name for domain in self.domains)}. Hardware: {hardware}."
        )

    def _visits(self) -> str:
        return f" of {visits:,} images each, some again" if (visits := self.settings.get("visits")) else ""

    def command(self) -> str | None:
        """Returns the command that fills the grid's missing cells; None if there are none."""
        if not self.missing:
            return None
        names = dict.fromkeys(arm.name for arm, _ in self.missing)
        return reproduce_command(self.options, names, sorted({seed for _, seed in self.missing}))

    def _paired(self, domain: ScoredDomain, first: Arm, second: Arm, shared: SeedSpread) -> PairedTest | None:
        def rows(arm: Arm) -> dict[int, Bool[np.ndarray, " images"]]:
            return dict(zip((run.seed for run in self.of(arm, domain.name)), self.hits(arm, domain), strict=True))

        a, b = rows(first), rows(second)
        seeds = sorted(set(a) & set(b))
        if len(seeds) < 2:
            return None
        return paired_test(np.array([a[s] for s in seeds]), np.array([b[s] for s in seeds]), shared)


def reproduce_command(options: PlanConfig, arms: Iterable[str] = (), seeds: Iterable[int] = ()) -> str:
    """Returns the command that runs what `options` choose of a study, or only these arms and seeds of it."""
    chosen = {
        "PROFILE": options.profile,
        "MODELS": " ".join(arms or split_names(options.models or "")),
        "METHODS": "" if arms else " ".join(split_names(options.methods or "")),
        "SEEDS": " ".join(map(str, seeds) if seeds else split_names(options.seeds or "")),
    }
    words = [typed(name, text) for name, text in chosen.items() if text]
    given = {"epochs": options.epochs, "precision": options.precision, "fast": options.fast}
    others = [f"--{name} {_word(value)}" for name, value in given.items() if value is not None]
    return " ".join(["make reproduce", *words, *([f'ARGS="{" ".join(others)}"'] if others else [])])


def typed(name: str, text: str) -> str:
    """Returns a variable of `make` as one types it in a shell, whatever the text holds: `MODELS="vgg16 resnet50"`."""
    if re.fullmatch(r"[\w:.,+/@%-]+", text):
        return f"{name}={text}"
    if re.fullmatch(r"[\w:.,+/@% -]+", text):
        return f'{name}="{text}"'
    return shlex.quote(f"{name}={text.replace('$', '$$')}")


def _word(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def identity(run: StoredRun) -> str:
    """Returns what a run's weights are known by; empty where it trained none. Older runs have a fingerprint instead."""
    return run.trained_as or run.fingerprint or ""


def describe_arm(arm: Arm) -> Model:
    """Returns the row of an arm's model; only plain training is a row of the paper's Table 4, with an index.

    A model outside the catalogue goes by its name (timm, which knows more, takes PyTorch).
    """
    model = MODELS.get(arm.model) or Model(title=arm.model.removeprefix("timm:"), backbone=arm.model, norm="own")
    return model if arm.method == PLAIN else replace(model, index="")
