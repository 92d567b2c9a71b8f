"""What methods and adaptations change: each beside plain training of the same model, on each lab, by its access."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from wbc.arms import PLAIN, Arm
from wbc.errors import ConfigError
from wbc.evaluation.metrics import Metrics
from wbc.methods.catalog import ACCESS, ADAPTATIONS, PLAIN_SCORE, find_adaptation, find_method
from wbc.report.balance import balanced_shares
from wbc.report.names import method_name
from wbc.report.statistics import ALPHA, PairedTest, SeedSpread, holm, paired_test, seed_spread
from wbc.report.study import ScoredDomain, ScoredRun, Study


@dataclass(frozen=True, order=True)
class Way:
    """How an arm's answers came about: as trained, or under an adaptation."""

    arm: Arm
    adaptation: str = PLAIN_SCORE

    @property
    def name(self) -> str:
        """What CSV files call it among ways of one model: "colour_mixing", "adabn", "hed_jitter+ema, adabn"."""
        return ", ".join(self._parts) or PLAIN

    @property
    def said(self) -> str:
        """Its name as people say it: "colour mixing", "HED jitter + EMA, AdaBN"."""
        return ", ".join(map(method_name, self._parts)) or method_name(PLAIN)

    @property
    def _parts(self) -> list[str]:
        return [part for part in (self.arm.method, self.adaptation) if part not in (PLAIN, PLAIN_SCORE)]

    @property
    def access(self) -> str:
        """What it sees: that of its method or of its adaptation, whichever sees more."""
        accesses = (find_method(self.arm.method).access, find_adaptation(self.adaptation).access)
        return max(accesses, key=ACCESS.index)

    @property
    def joint(self) -> bool:
        """Whether it is a method and an adaptation together."""
        return len(self._parts) > 1

    @property
    def plain(self) -> "Way":
        """Plain training of the same model on the same splits."""
        return Way(Arm(self.arm.model, PLAIN, self.arm.sources))


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A way on a domain, and how its balanced accuracy differs from that of plain training."""

    way: Way
    domain: ScoredDomain
    runs: tuple[ScoredRun, ...]
    """By seed."""
    metrics: tuple[Metrics, ...]
    """Of each run."""
    difference: float | None
    """In [-1, 1]; None for plain training itself, and where there is none of the same model."""
    test: PairedTest | None
    """None below two seeds that both have."""
    p_holm: float = 1.0
    """Corrected for all ways of this access on this domain: methods and adaptations, or those that join the two."""

    @property
    def collapsed(self) -> int:
        """How many of the runs predict fewer than three classes."""
        return sum(each.collapsed for each in self.metrics)

    @property
    def excludes_zero(self) -> bool:
        """Whether the difference's 95 % interval, not corrected, excludes zero."""
        return self.test is not None and self.test.p < ALPHA

    @property
    def told(self) -> bool:
        """Whether the report's rule (`wbc.report.statistics`) tells it from plain training."""
        return self.test is not None and self.p_holm < ALPHA


Scores = dict[Way, dict[int, tuple[ScoredRun, Metrics]]]
"""By way and seed: the run, and its figures of merit on one domain."""


def ways(study: Study) -> list[Way]:
    """Returns the ways that have scores: of each model first plain training, then methods, then adaptations.

    One whose method or adaptation is no row, such as a later version's, is left out: what it sees is not known.
    """
    found = {Way(run.arm, name) for run in study.runs for name in (PLAIN_SCORE, *(key[1] for key in run.adapted))}
    models = list(dict.fromkeys((arm.model, arm.sources) for arm in study.arms))
    places = {arm: place for place, arm in enumerate(study.arms)}
    rows = list(ADAPTATIONS)

    def order(way: Way) -> tuple[object, ...]:
        adaptation = [rows.index(part) for part in way.adaptation.split("+")]
        return models.index((way.arm.model, way.arm.sources)), adaptation != [0], places[way.arm], adaptation

    return sorted((way for way in found if _known(way)), key=order)


def effects(study: Study, access: str, *, joint: bool = False) -> list[Effect]:
    """Returns the ways of an access on the test images at home and on each lab away; plain training among `source`.

    They are methods or adaptations; with `joint`, both together.
    """
    chosen = [way for way in ways(study) if way.access == access and way.joint is joint]
    return [each for domain in shown_domains(study) for each in _on(study, chosen, domain)]


def shown_domains(study: Study) -> list[ScoredDomain]:
    """Returns the test images at home, then the labs away; images that were held out of training are not among them."""
    return [*([study.home] if study.home else []), *(domain for domain in study.domains if not domain.home)]


def shares(way: Way, runs: Iterable[ScoredRun], domain: ScoredDomain) -> Float[np.ndarray, "seeds images"]:
    """Returns each run's share of right answers to each image: 0 or 1, or the mean over draws; nan for no answer."""
    images = len(domain.labels)
    if way.adaptation == PLAIN_SCORE:
        rows = [(run.scores[domain.name].argmax(1) == domain.labels).astype(float) for run in runs]
    else:
        rows = [run.adapted[domain.name, way.adaptation].shares(images) for run in runs]
    return np.array(rows).reshape(-1, images)


def scored(study: Study, way: Way, domain: str) -> dict[int, tuple[ScoredRun, Metrics]]:
    """Returns by seed the runs that a way has on a domain, and their figures of merit."""
    if way.adaptation == PLAIN_SCORE:
        return {run.seed: (run, run.metrics[domain]) for run in study.of(way.arm, domain)}
    key = (domain, way.adaptation)
    return {run.seed: (run, run.adapted[key].metrics) for run in study.of(way.arm, domain) if key in run.adapted}


def _on(study: Study, chosen: list[Way], domain: ScoredDomain) -> list[Effect]:
    """Returns the effects of one family: the ways of an access on a domain, their p values corrected together."""
    both = {way: scored(study, way, domain.name) for way in dict.fromkeys([*chosen, *(way.plain for way in chosen)])}
    shared = seed_spread([metrics.balanced_accuracy for _, metrics in by_seed.values()] for by_seed in both.values())
    made = [_effect(way, both, domain, shared) for way in chosen if both[way]]
    corrected = iter(holm([each.test.p for each in made if each.test]))
    return [replace(each, p_holm=next(corrected)) if each.test else each for each in made]


def _effect(way: Way, both: Scores, domain: ScoredDomain, shared: SeedSpread) -> Effect:
    """Returns a way beside plain training, on the seeds that both have and the images that all of its runs answer."""
    runs, metrics = zip(*both[way].values(), strict=True)
    seeds = sorted(both[way].keys() & both[way.plain].keys())
    difference = test = None
    if way != way.plain and seeds:
        first, second = (shares(each, [both[each][seed][0] for seed in seeds], domain) for each in (way, way.plain))
        answered = ~np.isnan(first).any(0)
        labels = domain.labels[answered]
        first, second = (balanced_shares(each[:, answered], labels) for each in (first, second))
        difference, test = float(np.mean(first - second)), paired_test(first, second, shared)
    return Effect(way=way, domain=domain, runs=runs, metrics=metrics, difference=difference, test=test)


def _known(way: Way) -> bool:
    with suppress(ConfigError):
        return bool(way.access)
    return False
