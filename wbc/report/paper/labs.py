"""Several labs: each arm on each lab, the worst lab of each, and what more labs are worth beside a better method.

Balanced accuracy throughout, over the classes that a lab's images have.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from wbc.arms import PLAIN, Arm
from wbc.cells import CLASSES
from wbc.data.catalog import find_domain
from wbc.data.corrupt import is_held
from wbc.data.splits import parse_source
from wbc.evaluation.metrics import Metrics
from wbc.report.names import method_name
from wbc.report.paper.domains import domain_of
from wbc.report.paper.home_away import signed
from wbc.report.statistics import Interval, seed_interval
from wbc.report.study import ScoredDomain, Study

ONE, REST = "one other lab", "all other labs"
"""What an arm is trained on, seen from a lab that it is scored on and has not seen."""
_PERCENT: Final = 100


@dataclass(frozen=True, kw_only=True)
class Field:
    """An arm on a lab: its runs' figures of merit, by seed."""

    arm: Arm
    lab: str
    domain: ScoredDomain
    home: bool
    """Whether the arm was trained on other images of the lab."""
    metrics: tuple[Metrics, ...]

    @property
    def values(self) -> list[float]:
        """The balanced accuracy of each seed, in [0, 1]."""
        return [each.balanced_accuracy for each in self.metrics]

    @property
    def mean(self) -> float:
        """Its mean over seeds."""
        return float(np.mean(self.values))


def labs(study: Study) -> list[str]:
    """Returns the labs that are scored: the study's targets in order, then labs that have a home alone."""
    scored = [domain for domain in study.domains if not is_held(domain.name)]
    return list(dict.fromkeys(lab_of_domain(each) for each in sorted(scored, key=lambda domain: domain.home)))


def lab_of_domain(domain: ScoredDomain) -> str:
    """Returns the lab of images that were scored: the domain's key, or a folder's name."""
    row = domain_of(domain.name)
    return row.key if row else domain.name


def trained_labs(arm: Arm) -> list[str]:
    """Returns the labs that an arm is trained on, each once."""
    return list(dict.fromkeys(find_domain(parse_source(source).key).slug for source in arm.sources))


def fields(study: Study, arm: Arm) -> dict[str, Field]:
    """Returns an arm on each lab that it was scored on: at home on the part held out, else on the first target."""
    found: dict[str, Field] = {}
    own = trained_labs(arm)
    for lab in labs(study):
        home = lab in own
        several = [each for each in study.domains if lab_of_domain(each) == lab and not is_held(each.name)]
        for domain in sorted(several, key=lambda each: each.home != home):
            runs = study.of(arm, domain.name)
            if runs and lab not in found:
                metrics = tuple(run.metrics[domain.name] for run in runs)
                found[lab] = Field(arm=arm, lab=lab, domain=domain, home=home, metrics=metrics)
    return found


def worst(found: Iterable[Field]) -> Field | None:
    """Returns the lab away on which an arm's mean is lowest; None where there is none."""
    return min((each for each in found if not each.home), key=lambda each: each.mean, default=None)


def lacking(domain: ScoredDomain) -> list[str]:
    """Returns the classes that a domain has no image of."""
    return [name for label, name in enumerate(CLASSES) if not (domain.labels == label).any()]


def lacking_words(study: Study) -> str:
    """Returns which domains lack a class, and over how many classes they are balanced, in sentences."""
    found = [(domain, names) for domain in study.domains if not is_held(domain.name) and (names := lacking(domain))]
    return "".join(
        f" {domain.name} has no {' or '.join(names)}: it is scored on the other {len(CLASSES) - len(names)} classes."
        for domain, names in found
    )


def trained_on(study: Study, arm: Arm) -> str:
    """Returns what an arm is trained on: "bccd", "all but tecom", or its labs."""
    own = trained_labs(arm)
    left = [lab for lab in labs(study) if lab not in own]
    return f"all but {left[0]}" if len(left) == 1 and len(own) > 1 else ", ".join(own)


Level = dict[tuple[str, str], dict[str, dict[str, list[float]]]]
"""By what is trained on and method: by model and lab that was not trained on, the mean of each set of sources."""


def levels(study: Study) -> Level:
    """Returns the means away, of arms that are trained on one lab and of those that are trained on all but one."""
    found: Level = {}
    for arm in study.arms:
        count = len(trained_labs(arm))
        kind = ONE if count == 1 else REST if count == len(labs(study)) - 1 else None
        for each in fields(study, arm).values() if kind else ():
            if kind and not each.home:
                by_model = found.setdefault((kind, arm.method), {})
                by_model.setdefault(arm.model, {}).setdefault(each.lab, []).append(each.mean)
    return found


def gain(study: Study, better: tuple[str, str], plain: tuple[str, str]) -> dict[str, float]:
    """Returns by lab how much better one way to train is than another, in [-1, 1]: the mean over models that have both.

    A model trained on one lab counts by its mean over the labs that it may be.
    """
    found = levels(study)
    first, second = found.get(better, {}), found.get(plain, {})
    by_lab: dict[str, list[float]] = {}
    for model in first.keys() & second.keys():
        for lab in first[model].keys() & second[model].keys():
            by_lab.setdefault(lab, []).append(float(np.mean(first[model][lab]) - np.mean(second[model][lab])))
    return {lab: float(np.mean(by_lab[lab])) for lab in labs(study) if lab in by_lab}


def best_method(study: Study) -> tuple[tuple[str, str], dict[str, float]] | None:
    """Returns what is trained on, the method of the highest mean gain over plain training on as many labs, its gains.

    It is chosen by the labs' own scores. None where no method was trained.
    """
    ways = [way for way in levels(study) if way[1] != PLAIN]
    gains = {way: by_lab for way in ways if (by_lab := gain(study, way, (way[0], PLAIN)))}
    if not gains:
        return None
    way = max(gains, key=lambda each: float(np.mean(list(gains[each].values()))))
    return way, gains[way]


def worth(study: Study) -> str:
    """Returns what more labs are worth, and whether that is more than a better method, with intervals over labs."""
    more = gain(study, (REST, PLAIN), (ONE, PLAIN))
    if not more:
        return ""
    steps = ", with as many steps" if study.settings.get("visits") else ""
    told = (
        f"More labs: training on {REST} instead of {ONE} adds {_over_labs(more)} of balanced accuracy on a lab that "
        f"was left out{steps}."
    )
    best = best_method(study)
    difference = {lab: more[lab] - best[1][lab] for lab in more if lab in best[1]} if best else {}
    if not (best and difference):
        return told
    (kind, method), by_method = best
    count = len([way for way in levels(study) if way[1] != PLAIN])
    chosen = f", the best of {count} by these labs' own scores," if count > 1 else ""
    return (
        f"{told} A better method: {method_name(method)} on {kind}{chosen} adds "
        f"{_over_labs(by_method)} to plain training on as many labs. More labs minus the method: "
        f"{_over_labs(difference)}. {_verdict(list(difference.values()))}"
    )


def _verdict(differences: Sequence[float]) -> str:
    interval = seed_interval(differences)
    if interval.half_width is None:
        return "One lab does not tell which is worth more."
    if interval.half_width >= abs(interval.mean):
        return "The interval holds zero: so few labs do not tell which is worth more."
    return f"{'More labs are' if interval.mean > 0 else 'The method is'} worth more."


def _over_labs(by_lab: dict[str, float]) -> str:
    interval = seed_interval(list(by_lab.values()))
    return f"{points(interval)} points ({interval_words(interval)})"


def points(interval: Interval) -> str:
    """Returns the mean of an interval in points, with its sign."""
    return signed(_PERCENT * interval.mean)


def interval_words(interval: Interval) -> str:
    """Returns the ends of an interval over labs, in points."""
    over = "" if interval.half_width is None else f"95 % interval over {interval.n} labs: "
    return f"{over}{ends(interval)}"


def ends(interval: Interval) -> str:
    """Returns the ends of an interval in points, cut at ±100: "−4.4 to +2.9"."""
    if interval.half_width is None:
        return "one lab, so no interval"
    sides = (max(-1.0, interval.mean - interval.half_width), min(1.0, interval.mean + interval.half_width))
    return " to ".join(signed(_PERCENT * side) for side in sides)


def sentences(study: Study) -> tuple[str, ...]:
    """Returns for each lab what plain training reaches on it, by what was trained on; means over models and seeds."""
    found = levels(study)
    plain = [field for arm in study.arms if arm.method == PLAIN for field in fields(study, arm).values()]
    said = []
    for lab in labs(study):
        away = next((field.domain for field in plain if field.lab == lab and not field.home), None)
        parts = [
            f"{_PERCENT * np.mean(values):.1f} % from {kind}"
            for kind in (REST, ONE)
            if (values := [each for by in found.get((kind, PLAIN), {}).values() for each in by.get(lab, [])])
        ]
        own = [field for field in plain if field.lab == lab and field.home and len(trained_labs(field.arm)) == 1]
        if own:
            mean = _PERCENT * np.mean([field.mean for field in own])
            parts.append(f"{mean:.1f} % from the lab itself, on {len(own[0].domain.labels)} images held out")
        images = f" ({len(away.labels)} images)" if away else ""
        said.append(f"{lab}{images}: balanced accuracy {', '.join(parts)}." if parts else f"{lab}: no run was scored.")
    return tuple(said)


def numbers_of(study: Study, field: Field) -> list[dict[str, Any]]:
    """Returns the figures of merit of a field, a row for each seed."""
    known = {
        "model": field.arm.model,
        "method": field.arm.method,
        "sources": ",".join(field.arm.sources),
        "trained_on": trained_on(study, field.arm),
        "lab": field.lab,
        "split": field.domain.name,
        "role": "home" if field.home else "away",
        "n_images": len(field.domain.labels),
        "n_classes": len(CLASSES) - len(lacking(field.domain)),
        "classes_lacking": " ".join(lacking(field.domain)),
    }
    runs = study.of(field.arm, field.domain.name)
    return [
        known
        | {"seed": run.seed, "balanced_accuracy": each.balanced_accuracy, "macro_f1": each.macro_f1}
        | {"accuracy": each.accuracy, "ece": each.ece, "collapsed": each.collapsed, "run": run.stored.id}
        for run, each in zip(runs, field.metrics, strict=True)
    ]
