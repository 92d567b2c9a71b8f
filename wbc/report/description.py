"""What MLflow's page says of a report and of the sweep it is on: the result, the table, the model to register."""

import statistics
from collections.abc import Sequence

from wbc.report.names import in_sentence
from wbc.report.parts import Parts
from wbc.report.render import Table, to_markdown
from wbc.report.study import ScoredDomain, ScoredRun, Study
from wbc.tracking import schema
from wbc.tracking.notes import fitted, registration


def describe(study: Study, parts: Parts) -> str:
    """Returns the result in words, what registers the best model away, and the table that stands first; Markdown."""
    headline = parts.headline
    lines = [f"**{headline.title}: {study.profile}.** {study.summary()}", ""]
    lines += [f"**{headline.warning}**", ""] if headline.warning else []
    lines += [f"- {sentence}" for sentence in (*headline.sentences, *headline.caveats)]
    lines += _offer(study)
    for part in parts.first:
        if isinstance(part, Table):
            lines += ["", *to_markdown(part).splitlines()]
    return fitted(lines)


def _offer(study: Study) -> list[str]:
    """Returns who is best away by the mean over labs and seeds, and how to register that arm's usual run."""
    away = [domain for domain in study.domains if not (domain.home or domain.same_lab)]
    runs = [run for run in study.runs if away and schema.MODEL_ID in run.stored.tags and _scored(run, away)]
    means = {arm: statistics.fmean(_mean(run, away) for run in runs if run.arm == arm) for arm in {r.arm for r in runs}}
    if not means:
        return []
    best = max(sorted(means), key=means.__getitem__)
    usual = min(
        (run for run in runs if run.arm == best),
        key=lambda run: (round(abs(_mean(run, away) - means[best]), 9), run.seed),
    )
    return [
        "",
        f"**To register.** {in_sentence(study, best)} has the highest mean accuracy away, "
        f"{100 * means[best]:.1f} %; that is no test. {usual.stored.name} is its run that lies closest to it. "
        "The model's card is its description: read what it must not be used for.",
        "",
        *registration(usual.stored.tags[schema.MODEL_ID]),
    ]


def _scored(run: ScoredRun, domains: Sequence[ScoredDomain]) -> bool:
    return all(domain.name in run.metrics for domain in domains)


def _mean(run: ScoredRun, domains: Sequence[ScoredDomain]) -> float:
    return statistics.fmean(run.metrics[domain.name].accuracy for domain in domains)
