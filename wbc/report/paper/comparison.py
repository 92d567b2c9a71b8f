"""Which differences hold: model against model, and our numbers against the published ones."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd
from jaxtyping import Bool

from wbc.cells import CLASSES
from wbc.data.catalog import DOMAINS
from wbc.data.splits import Split
from wbc.report.paper.published import AWAY, HOME, MARGIN_AWAY, MARGIN_HOME, Published, compare, read_published
from wbc.report.render import Cell, Table, cells
from wbc.report.statistics import PairedTest, holm, paired_test, seed_interval
from wbc.report.study import ScoredDomain, Study, describe_model

ALPHA: Final = 0.05
_VERDICTS: Final = {"one seed": "undecided: one seed has no interval"}


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The test of two models on a domain, and its p corrected for all pairs of models on that domain."""

    domain: str
    first: str
    second: str
    test: PairedTest
    p_holm: float


def compare_models(study: Study) -> list[Contrast]:
    """Returns the paired test of every two models on every domain, over the seeds that both have."""
    contrasts = []
    for domain in study.domains:
        pairs = [
            (first, second, _paired(study, domain, first, second)) for first, second in combinations(study.models, 2)
        ]
        tests = [(first, second, test) for first, second, test in pairs if test]
        corrected = holm([test.p for _, _, test in tests])
        contrasts += [
            Contrast(domain=domain.name, first=first, second=second, test=test, p_holm=p)
            for (first, second, test), p in zip(tests, corrected, strict=True)
        ]
    return contrasts


def best_model(
    study: Study, domain: ScoredDomain, contrasts: Sequence[Contrast], among: Collection[str] | None = None
) -> str | None:
    """Returns the model of the best mean on a domain if it is significantly better than the next, else None."""
    means = {
        model: float(np.mean(values))
        for model in study.models
        if (among is None or model in among) and (values := study.accuracies(model, domain.name))
    }
    leading = sorted(means, key=lambda model: -means[model])[:2]
    for each in contrasts:
        if each.domain == domain.name and {each.first, each.second} == set(leading) and each.p_holm < ALPHA:
            ahead = each.first if each.test.difference > 0 else each.second
            return ahead if ahead == leading[0] else None
    return None


def differences(study: Study, contrasts: Sequence[Contrast]) -> Table | None:
    """Returns the tests between models on the first target, the largest difference first; the CSV has all domains'."""
    domain = study.away or study.home
    here = [each for each in contrasts if domain and each.domain == domain.name]
    if domain is None or not here:
        return None
    return Table(
        name="differences",
        title=f"Differences between models on {domain.name}, in points of accuracy",
        note=(
            f"Paired over seeds and {len(domain.labels)} images. p: over seeds and images, as over readers and cases "
            f"(Hillis 2007), corrected by Holm for {len(here)} pairs and as it is; then over seeds alone and over "
            "images alone (paired t). d: Cohen's, over seeds. Bold: corrected p below 0.05. 95 %: interval over seeds "
            "and images, not corrected."
        ),
        header=("better", "worse", "difference", "95 %", "p (Holm)", "p", "p seeds", "p images", "d", "seeds"),
        groups=(tuple(_row(each) for each in sorted(here, key=lambda each: -abs(each.test.difference))),),
        left=2,
        data=pd.DataFrame(
            [
                {"domain": each.domain, "first": each.first, "second": each.second}
                | asdict(each.test)
                | {"p_holm": each.p_holm}
                for each in contrasts
            ]
        ),
    )


def _row(contrast: Contrast) -> tuple[Cell, ...]:
    test = contrast.test
    up = test.difference >= 0
    better, worse = (contrast.first, contrast.second) if up else (contrast.second, contrast.first)
    low, high = (test.low, test.high) if up else (-test.high, -test.low)
    size = abs(test.difference)
    return cells(
        better,
        worse,
        Cell(text=signed(size), sort=size, bold=contrast.p_holm < ALPHA),
        Cell(text=f"[{signed(low)}, {signed(high)}]", sort=low),
        *(Cell(text=_p(value), sort=value) for value in (contrast.p_holm, test.p, test.p_seeds, test.p_images)),
        Cell(text=f"{abs(test.effect):.1f}" if np.isfinite(test.effect) else "∞", sort=abs(test.effect)),
        Cell(text=str(test.n_seeds), sort=test.n_seeds),
    )


def comparison(study: Study) -> Table | None:
    """Returns our accuracies beside the published ones; with a verdict where images and settings are the paper's."""
    published = [(each, _ours(study, each.domain)) for each in read_published() if each.model in study.models]
    pairs = [(each, domain) for each, domain in published if domain]
    pairs.sort(key=lambda pair: (study.models.index(pair[0].model), study.domains.index(pair[1])))
    second = {(each.model, each.domain): each for each in read_published("other")}
    compared = [_beside(study, each, domain, second.get((each.model, each.domain))) for each, domain in pairs]
    if not compared:
        return None
    return Table(
        name="comparison",
        title="Ours beside the published accuracies, in %",
        note=(
            f"Mean ± 95 % interval over seeds: ours over {len(study.seeds)} unless said, published over 10 (their "
            "formula is not stated; taken as Student's t). "
            + (
                f"Equivalent: the 90 % interval of the difference (Welch) lies within {100 * MARGIN_HOME:.0f} point at "
                f"home, {100 * MARGIN_AWAY:.0f} away. Different: it does not, and the 95 % interval excludes zero. "
                "Undecided: neither."
                if study.profile == "paper"
                else "No verdict: other data. Home stands beside the paper's Test-A, the first target beside LISC."
            )
        ),
        header=("", "model", "domain", "ours", "published", "difference", "verdict"),
        groups=(tuple(row for row, _ in compared),),
        left=3,
        data=pd.DataFrame([values for _, values in compared]),
    )


def _beside(
    study: Study, published: Published, domain: ScoredDomain, second: Published | None
) -> tuple[tuple[Cell, ...], dict[str, Any]]:
    """Returns a row of the comparison and the numbers behind it; `second` is the paper's other value, if it has two."""
    values = study.accuracies(published.model, domain.name)
    ours = seed_interval(values) if values else None
    reason = _not_comparable(study, domain)
    difference, verdict = None, reason or "missing"
    if ours and not reason:
        difference, found = compare(ours, published.interval, MARGIN_HOME if domain.home else MARGIN_AWAY)
        verdict = _VERDICTS.get(found, found)
    differs = second if second and second.interval.percent() != published.interval.percent() else None
    row = cells(
        describe_model(published.model).index,
        published.model,
        domain.name,
        Cell(text=ours.percent() + study.few(len(values)) if ours else "missing", sort=ours.mean if ours else None),
        Cell(
            text=published.interval.percent(),
            second=f"{differs.place.split(' (')[0]}: {differs.interval.percent()}" if differs else "",
            sort=published.interval.mean,
        ),
        Cell(text="–" if difference is None else signed(difference), sort=difference),
        verdict,
    )
    return row, {
        "model": published.model,
        "domain": domain.name,
        "published_domain": published.domain,
        "ours": ours.mean if ours else None,
        "ours_half_width": ours.half_width if ours else None,
        "ours_n": len(values),
        "published": published.interval.mean,
        "published_half_width": published.interval.half_width,
        "published_n": published.interval.n,
        "published_place": published.place,
        "published_second": differs.interval.mean if differs else None,
        "published_second_half_width": differs.interval.half_width if differs else None,
        "published_second_place": differs.place if differs else None,
        "difference": difference,
        "verdict": verdict,
    }


def _not_comparable(study: Study, domain: ScoredDomain) -> str | None:
    """Returns why a domain's accuracies are not the paper's to compare with, or None if they are."""
    if study.profile != "paper":
        return "other data: not comparable"
    if not study.usual:
        return "other settings: not comparable"
    counts = np.bincount(domain.labels, minlength=len(CLASSES)).tolist()
    known = {Split(key, split).name: list(each) for key, row in DOMAINS.items() for split, each in row.counts.items()}
    return None if counts == known.get(domain.name) else "other images: not comparable"


def signed(difference: float) -> str:
    """Returns a difference of accuracies in points, with its sign."""
    return f"{100 * difference:+.2f}".replace("-", "−")


def _ours(study: Study, published: str) -> ScoredDomain | None:
    """Returns the domain that stands beside a published one: the same, or its role in a profile of other data."""
    if study.profile == "paper":
        return next((domain for domain in study.domains if domain.name == published), None)
    return {HOME: study.home, AWAY: study.away}.get(published)


def _paired(study: Study, domain: ScoredDomain, first: str, second: str) -> PairedTest | None:
    def rows(model: str) -> dict[int, Bool[np.ndarray, " images"]]:
        return dict(zip((run.seed for run in study.of(model, domain.name)), study.hits(model, domain), strict=True))

    a, b = rows(first), rows(second)
    seeds = sorted(set(a) & set(b))
    return paired_test(np.array([a[s] for s in seeds]), np.array([b[s] for s in seeds])) if len(seeds) > 1 else None


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
