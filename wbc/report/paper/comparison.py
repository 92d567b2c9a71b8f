"""Which differences hold: arm against arm, and our numbers against the published ones."""

from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pandas as pd

from wbc.arms import Arm
from wbc.cells import CLASSES
from wbc.data.catalog import DOMAINS
from wbc.data.splits import Split
from wbc.models.catalog import find_model
from wbc.report.names import name_cell
from wbc.report.paper.published import AWAY, MARGIN_AWAY, MARGIN_HOME, Published, compare, read_published
from wbc.report.parts import Absent
from wbc.report.render import NOTHING, Cell, Table, cells, p_value
from wbc.report.seeds import how_over_seeds, over_seeds
from wbc.report.statistics import MOST_SEEDS, POWER, Interval, seed_interval
from wbc.report.study import Contrast, ScoredDomain, Study, describe_arm

_VERDICTS: Final = {"one seed": "undecided: one seed has no interval"}
GROUP_NORM: Final = (
    " Group norm: ResNet50 is the network of the paper's text; the released code trains ResNetV2-50d, and its README "
    "has the same numbers. With mixup there are the README's alone."
)
_JPEG: Final = (
    " The released code stores LISC's crops again as JPEG of quality 75 (about 1.9 grey levels); here they are scored "
    "as they are."
)


def differences(study: Study) -> Table | None:
    """Returns the tests between models on the first target, the largest difference first; the CSV has all domains'."""
    domain = study.away or study.home
    here = [each for each in study.contrasts if domain and each.domain == domain.name]
    if domain is None or not here:
        return None
    return Table(
        name="differences",
        title=f"Differences between models on {domain.name}, in points of accuracy",
        note=(
            f"Paired over seeds and {len(domain.labels)} images. Bold: the higher model is better, as Holm's p is "
            "below 0.05. Else the order may be chance. p: over seeds and images (Hillis 2007, the variance of seeds "
            f"averaged with that of all models), corrected by Holm for {_count(here)} and as it is; then over seeds "
            "alone and over images alone (paired t). Seeds to find it: of studies with so many seeds and these images, "
            f"{100 * POWER:.0f} % find a true difference of this size. g: Hedges', over seeds. {NOTHING}: not defined, "
            "as nothing varies over seeds; g of two. 95 %: interval over seeds and images, not corrected, cut at ±100."
        ),
        header=(
            *("higher", "lower", "difference", "95 %", "p (Holm)", "p", "p seeds", "p images", "g", "seeds"),
            "seeds to find it",
        ),
        groups=(tuple(_row(study, each) for each in sorted(here, key=lambda each: -abs(each.test.difference))),),
        left=2,
        appendix=True,
        data=pd.DataFrame(
            [
                {"domain": each.domain, "first": study.label(each.first), "second": study.label(each.second)}
                | asdict(each.test)
                | {"p_holm": each.p_holm, "seeds_to_find": each.seeds_to_find}
                for each in study.contrasts
            ]
        ),
    )


def _row(study: Study, contrast: Contrast) -> tuple[Cell, ...]:
    test = contrast.test
    up = test.difference >= 0
    names = [name_cell(study, arm) for arm in (contrast.first, contrast.second)]
    low, high = (test.low, test.high) if up else (-test.high, -test.low)
    size = abs(test.difference)
    needed = contrast.seeds_to_find
    return cells(
        *(names if up else reversed(names)),
        Cell(text=signed(size), sort=size, bold=contrast.better is not None),
        Cell(text=f"[{signed(low)}, {signed(high)}]", sort=low),
        *(Cell(text=p_value(value), sort=value) for value in (contrast.p_holm, test.p, test.p_seeds, test.p_images)),
        Cell(text=NOTHING if np.isnan(test.effect) else f"{abs(test.effect):.1f}", sort=abs(test.effect)),
        Cell(text=str(test.n_seeds), sort=test.n_seeds),
        Cell(text=str(needed or f"> {MOST_SEEDS}"), sort=needed or MOST_SEEDS + 1),
    )


def _count(pairs: list[Contrast]) -> str:
    return "1 pair" if len(pairs) == 1 else f"{len(pairs)} pairs"


def comparison(study: Study) -> Table | Absent:
    """Returns our accuracies beside the published ones, with a verdict; of what is not comparable there is no row."""
    scored = {domain.name: domain for domain in study.domains}
    reasons = {domain.name: not_comparable(study, domain) for domain in study.domains}
    rows = [
        (arm, each, scored[each.domain])
        for each in read_published()
        if each.domain in scored and not reasons[each.domain]
        for arm in study.named([each.arm])
    ]
    rows.sort(key=lambda row: (study.arms.index(row[0]), study.domains.index(row[2])))
    second = {(each.arm, each.domain): each for each in read_published("other")}
    compared = [_beside(study, arm, each, domain, second.get((each.arm, each.domain))) for arm, each, domain in rows]
    if not compared:
        why = next(filter(None, reasons.values()), "the paper has none of these models")
        return Absent(name="comparison with published numbers", why=why)
    return Table(
        name="comparison",
        title="Ours beside the published accuracies, in %",
        note=(
            f"Ours: {how_over_seeds([study.accuracies(arm, each.name) for arm, _, each in rows], study.seed_list())} "
            "Published: mean ± 95 % interval over 10 seeds (their formula is not stated; taken as Student's t). "
            f"Equivalent: the 90 % interval of the difference (Welch) lies within {100 * MARGIN_HOME:.0f} point at "
            f"home, {100 * MARGIN_AWAY:.0f} away. Different: it does not, and the 95 % interval excludes zero. "
            "Undecided: neither."
            + _left_out(reasons)
            + (GROUP_NORM if any(find_model(row[0].model).norm == "group" for row in rows) else "")
            + (_JPEG if AWAY in {row[2].name for row in rows} else "")
        ),
        header=("", "model", "domain", "ours", "published", "difference", "verdict"),
        groups=(tuple(row for row, _ in compared),),
        left=3,
        data=pd.DataFrame([values for _, values in compared]),
    )


def _beside(
    study: Study, arm: Arm, published: Published, domain: ScoredDomain, second: Published | None
) -> tuple[tuple[Cell, ...], dict[str, Any]]:
    """Returns a row of the comparison and the numbers behind it; `second` is the paper's other value, if it has two."""
    values = study.accuracies(arm, domain.name)
    ours = seed_interval(values) if values else None
    difference, verdict = None, "missing"
    if ours:
        difference, found = compare(ours, published.interval, MARGIN_HOME if domain.home else MARGIN_AWAY)
        verdict = _VERDICTS.get(found, found)
    differs = second if second and second.interval.percent() != published.interval.percent() else None
    row = cells(
        describe_arm(arm).index,
        name_cell(study, arm),
        domain.name,
        Cell(text=over_seeds(values, len(study.seeds)) if ours else "missing", sort=ours.mean if ours else None),
        Cell(
            text=published.interval.percent(),
            second=f"{differs.place.split(' (')[0]}: {differs.interval.percent()}" if differs else "",
            sort=published.interval.mean,
        ),
        Cell(text=NOTHING if difference is None else signed(difference), sort=difference),
        verdict,
    )
    return row, {
        "model": study.label(arm),
        "domain": domain.name,
        "published_domain": published.domain,
        **_numbers("ours", ours),
        "ours_n": len(values),
        **_numbers("published", published.interval),
        "published_n": published.interval.n,
        "published_place": published.place,
        **_numbers("published_second", differs.interval if differs else None),
        "published_second_place": differs.place if differs else None,
        "difference": difference,
        "verdict": verdict,
    }


def _numbers(name: str, interval: Interval | None) -> dict[str, float | None]:
    mean, half_width = (interval.mean, interval.half_width) if interval else (None, None)
    return {name: mean, f"{name}_half_width": half_width}


def not_comparable(study: Study, domain: ScoredDomain) -> str | None:
    """Returns why a domain's accuracies are not the paper's to compare with, or None if they are."""
    if study.profile != "paper":
        return "the data are not the paper's"
    if not study.usual:
        return "the settings are not the paper's"
    counts = np.bincount(domain.labels, minlength=len(CLASSES)).tolist()
    parts = ((key, *part) for key, row in DOMAINS.items() for part in row.class_counts.items())
    known = {Split(key, split).name: list(each) for key, split, each in parts}
    return None if counts == known.get(domain.name) else "the images are not the paper's"


def signed(difference: float) -> str:
    """Returns a difference of accuracies in points, with its sign."""
    return f"{100 * difference:+.2f}".replace("-", "−")


def _left_out(reasons: dict[str, str | None]) -> str:
    """Returns which published domains have no row, and why."""
    published = {each.domain for each in read_published()}
    left = [(name, why) for name, why in reasons.items() if why and name in published]
    return "".join(f" No row of {name}: {why}." for name, why in left)
