"""Methods and adaptations: a table and a paragraph for each access: what helps, what hurts and what is not known."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pandas as pd

from wbc.methods.catalog import ACCESS, titles
from wbc.report.effects import Effect, Way, effects, shown_domains, ways
from wbc.report.names import name_cell, network, within
from wbc.report.paper.home_away import signed
from wbc.report.render import NOTHING, Cell, Table, cells, p_value, percent
from wbc.report.seeds import how_over_seeds, over_seeds
from wbc.report.statistics import seeds_to_find
from wbc.report.study import Study

SEES: Final = {
    "source": "the source's labelled images, and one image at a time",
    "target": "all images of the lab that is scored, too, without labels",
    "labels": "k labelled images a class of that lab, too, which are not scored",
}
"""What each access allows."""
_MOST: Final = 2
"""How many differences of a kind a paragraph names."""


def compares_methods(study: Study) -> bool:
    """Returns whether the study has anything beside plain training."""
    return any(way != way.plain for way in ways(study))


def methods_tables(study: Study) -> list[Table]:
    """Returns a table of the ways of each access; none of an access that has plain training alone."""
    families = {access: effects(study, access) for access in ACCESS}
    several = {access: found for access, found in families.items() if any(e.way != e.way.plain for e in found)}
    return [_table(study, access, found) for access, found in several.items()]


def what_helps(study: Study) -> list[str]:
    """Returns what the tests say of methods and adaptations, a paragraph for each access; none where there are none."""
    if not compares_methods(study):
        return []
    if len(study.seeds) < 2:
        return ["Methods and adaptations: one seed tells nothing of them."]
    families = {access: [each for each in effects(study, access) if each.test] for access in ACCESS}
    said = [f"From {SEES[access]}: {told_apart(tests)}" for access, tests in families.items() if tests]
    opening = "Methods and adaptations, against plain training of the same model, in points of balanced accuracy."
    return [opening, *said] if said else []


def told_apart(tests: Sequence[Effect]) -> str:
    """Returns what the tests of one family say."""
    by_size = sorted(tests, key=lambda each: -abs(each.difference or 0))
    away = [each for each in by_size if not each.domain.home]
    untold = [each for each in away if not each.told]
    parts = []
    for word, sign in (("help", 1), ("hurt", -1)):
        found = [each for each in away if each.told and sign * (each.difference or 0) > 0]
        parts.append(f"{_listed(found)} {word}{'s' if len(found) == 1 else ''}" if found else f"nothing {word}s")
    if untold:
        which = f"{len(untold)} of {len(away)}" if len(untold) < len(away) else f"all {len(away)}"
        parts.append(f"not known are {which} differences, of which the largest is {_named(untold[0])}")
    costs = [each for each in by_size if each.domain.home and each.told and (each.difference or 0) < 0]
    if costs:
        parts.append(f"at home {len(costs)} hurt{'s' if len(costs) == 1 else ''}, most of all {_named(costs[0])}")
    collapsed = sum(each.collapsed > 0 for each in tests)
    told = f" {collapsed} of the means hold a model that collapsed to one or two answers." if collapsed else ""
    return f"{'; '.join(parts)}.{told}"


def _listed(found: Sequence[Effect]) -> str:
    named = ", ".join(map(_named, found[:_MOST]))
    return f"{named} and {len(found) - _MOST} more" if len(found) > _MOST else named


def _named(effect: Effect) -> str:
    where = "" if effect.domain.home else f" on {effect.domain.name}"
    return f"{effect.way.said} of {within(network(effect.way.arm))}{where} ({signed(100 * (effect.difference or 0))})"


def _table(study: Study, access: str, found: Sequence[Effect]) -> Table:
    by_way: dict[Way, dict[str, Effect]] = {}
    for each in found:
        by_way.setdefault(each.way, {})[each.domain.name] = each
    groups: dict[Way, list[tuple[Cell, ...]]] = {}
    for way, on in by_way.items():
        shown = [cell for domain in shown_domains(study) for cell in _cells(study, on.get(domain.name))]
        row = cells(name_cell(study, way.plain.arm), Cell(text=way.said, second=_details(way)), *shown)
        groups.setdefault(way.plain, []).append(row)
    samples = [[m.balanced_accuracy for m in each.metrics] for each in found]
    headings = [
        text for domain in shown_domains(study) for text in (f"{domain.name} (n = {len(domain.labels)})", "difference")
    ]
    return Table(
        name=f"methods_{access}",
        title=f"Methods and adaptations of access {access}: balanced accuracy in %, and difference to plain training",
        note=(
            f"They see {SEES[access]}. {how_over_seeds(samples, study.seed_list())} Below it accuracy, and how many "
            "runs collapsed: they predict fewer than three classes. Difference: in points, paired by seed and image, "
            f"with its 95 % interval, uncorrected, and p by Holm over the {compared(found)} of this access on a lab. "
            f"Bold: told from plain training by this p at 5 %.{_OF_LABELS if access == 'labels' else ''}"
        ),
        header=("model", "method", *headings),
        groups=tuple(map(tuple, groups.values())),
        left=2,
        appendix=True,
        data=pd.DataFrame([numbers(study, each, found) for each in found]),
    )


_OF_LABELS: Final = (
    " A head is learned on k labelled images a class in five draws; each draw is scored on all other images. The "
    "difference is over images that every seed scored in some draw."
)


def compared(found: Sequence[Effect]) -> str:
    """Returns how many comparisons of a family were corrected together on a lab."""
    counts = Counter(each.domain.name for each in found if each.test)
    return f"{max(counts.values(), default=0)} comparisons"


def _details(way: Way) -> str:
    """Returns what the catalogue says beside the name of a way that is one row; nothing of several joined."""
    return titles().get(way.name, "").partition(", ")[2]


def _cells(study: Study, effect: Effect | None) -> tuple[Cell, Cell]:
    """Returns the score and the difference of a way on a domain."""
    if effect is None:
        return Cell(text="missing"), Cell(text=NOTHING)
    balanced = [each.balanced_accuracy for each in effect.metrics]
    accuracy = percent(float(np.mean([each.accuracy for each in effect.metrics])))
    collapse = f"; collapsed in {effect.collapsed} of {len(balanced)}" if effect.collapsed else ""
    score = Cell(
        text=over_seeds(balanced, len(study.seeds)),
        second=f"accuracy {accuracy}{collapse}",
        sort=float(np.mean(balanced)),
    )
    if effect.difference is None:
        return score, Cell(text=NOTHING)
    if effect.test is None:
        return score, Cell(text=signed(100 * effect.difference), second="one seed", sort=effect.difference)
    low, middle, high = (signed(100 * each) for each in (effect.test.low, effect.test.difference, effect.test.high))
    p = f"p {p_value(effect.p_holm)}"
    return score, Cell(text=middle, second=f"[{low}, {high}] {p}", bold=effect.told, sort=effect.test.difference)


def numbers(study: Study, effect: Effect, family: Sequence[Effect]) -> dict[str, Any]:
    """Returns the numbers behind a score and its difference, in [0, 1], and the runs that they come from."""
    way, metrics = effect.way, effect.metrics
    balanced = [each.balanced_accuracy for each in metrics]
    here = [each.test for each in family if each.test and each.domain is effect.domain]
    return {
        "model": way.arm.model,
        "sources": ",".join(way.arm.sources),
        "method": way.arm.method,
        "adaptation": way.adaptation,
        "access": way.access,
        "domain": effect.domain.name,
        "role": "home" if effect.domain.home else "away",
        "balanced_accuracy": float(np.mean(balanced)),
        "lowest": min(balanced),
        "highest": max(balanced),
        "accuracy": float(np.mean([each.accuracy for each in metrics])),
        "macro_f1": float(np.mean([each.macro_f1 for each in metrics])),
        "collapsed": effect.collapsed,
        "n_runs": len(metrics),
        **(asdict(effect.test) if effect.test else {}),
        "p_holm": effect.p_holm if effect.test else None,
        "seeds_to_find": seeds_to_find(effect.test, len(here), len(here) + 1) if effect.test else None,
        "runs": " ".join(run.stored.id for run in effect.runs),
    }
