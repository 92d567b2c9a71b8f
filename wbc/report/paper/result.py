"""The result in words: who is best away, how far below home, and whether a test tells it from the next."""

from typing import Final

from wbc.arms import Arm
from wbc.report.names import in_sentence
from wbc.report.paper.domains import drawn
from wbc.report.parts import Headline
from wbc.report.render import p_value
from wbc.report.seeds import ENOUGH, counted
from wbc.report.statistics import ROUNDING, seed_interval
from wbc.report.study import ScoredDomain, Study

_DRAWN: Final = "The scores say that the code works. They say nothing about blood."


def result(study: Study) -> Headline:
    """Returns the report's title, a sentence on each lab that the study scores away, and what limits them."""
    drawings = drawn(study)
    away = labs(study) or list(study.domains[:1])
    cells = "Drawn cells" if drawings else "White blood cells"
    return Headline(
        title=f"{cells} under domain shift",
        sentences=tuple(_best(study, domain) for domain in away),
        warning=f"The cells of {' and '.join(drawings)} are drawings. {_DRAWN}" if drawings else "",
        caveats=tuple(filter(None, (_of_seeds(study, away), _of_images(away)))),
    )


def labs(study: Study) -> list[ScoredDomain]:
    """Returns the domains that are away: of other labs, or where there are none, of other microscopes."""
    away = [domain for domain in study.domains if not domain.home]
    return [domain for domain in away if not domain.same_lab] or away


def mean(study: Study, arm: Arm, domain: ScoredDomain) -> float | None:
    """Returns an arm's mean accuracy over seeds, in [0, 1]; None where it has no score."""
    values = study.accuracies(arm, domain.name)
    return seed_interval(values).mean if values else None


def _best(study: Study, domain: ScoredDomain) -> str:
    """Returns the sentence on one domain, from the means and the tests of the tables."""
    means = {arm: value for arm in study.arms if (value := mean(study, arm, domain)) is not None}
    first, *others = sorted(means, key=lambda arm: -means[arm])
    opening = f"{'At home, on' if domain.home else 'Best on'} {domain.name}"
    text = f"{opening}: {in_sentence(study, first)}, {_percent(means[first])} right"
    home = mean(study, first, study.home) if study.home and not domain.home else None
    if home is not None:
        drop = 100 * (home - means[first])
        text += f", {abs(drop):.1f} points {'below' if drop >= 0 else 'above'} home"
    if means[first] <= domain.majority + ROUNDING:
        text += f", no more than always saying the largest class ({_percent(domain.majority)})"
    return f"{text}{_against(study, domain, first, others[0], means[others[0]]) if others else ''}."


def _against(study: Study, domain: ScoredDomain, first: Arm, second: Arm, share: float) -> str:
    """Returns whether the rule of docs/statistics.md calls the first better than the second, whose mean is `share`."""
    following = f"the next, {in_sentence(study, second)} ({_percent(share)}"
    for each in study.contrasts:
        if each.domain == domain.name and {each.first, each.second} == {first, second}:
            told = "tells" if each.better == first else "does not tell"
            p = p_value(each.p_holm)
            return f"; a test {told} it from {following}, p {p if p.startswith('<') else f'= {p}'})"
    return f"; no test compares it with {following}), as they share fewer than two seeds"


def _of_seeds(study: Study, domains: list[ScoredDomain]) -> str:
    counts = [len(study.of(arm, domain.name)) for domain in domains for arm in study.arms]
    few = [count for count in counts if 0 < count < ENOUGH]
    if not few:
        return ""
    some = "" if max(counts) < ENOUGH else " of some models"
    return f"{counted(few).capitalize()} a model: too few for intervals over seeds{some}."


def _of_images(domains: list[ScoredDomain]) -> str:
    if not domains:
        return ""
    counts = ", ".join(f"{len(domain.labels)} of {domain.name}" for domain in domains)
    return f"Images: {counts}. Other images, and other labs, may order the models otherwise."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
