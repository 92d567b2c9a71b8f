"""How far a model's confidence can be trusted, at home and away: calibration, and what it leaves to a human."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from jaxtyping import Float

from wbc.evaluation.calibration import TEMPERATURES, at_temperature, cross_fitted, fit_temperature, reliability
from wbc.evaluation.selective import augrc, selective_accuracy
from wbc.report.names import name_cell
from wbc.report.paper.confidence import coverage, reliability_diagrams
from wbc.report.paper.domains import HELD_OUT
from wbc.report.render import NOTHING, Cell, Table, cells
from wbc.report.seeds import how_over_seeds, over_seeds
from wbc.report.study import ScoredDomain, ScoredRun, Study, describe_arm
from wbc.report.style import Plot

COVERAGE: Final = 0.8
"""The share of images, those that a model is surest of, whose accuracy the table has."""
_COLUMNS: Final = {
    "ece": "calibration error",
    "ece_at_temperature": "error at temperature",
    "augrc": "AUGRC",
    "accuracy_at_80": f"right of the surest {100 * COVERAGE:.0f} %",
}


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A run with the temperature that was fitted at its home."""

    run: ScoredRun
    temperature: float | None
    """None where it was not scored at home."""
    scores: dict[str, Float[np.ndarray, "images 5"]]
    """By domain, at the temperature; empty without one."""


def certainty(study: Study) -> list[Table | Plot]:
    """Returns the table of calibration, the reliability diagrams, and accuracy by coverage."""
    home = fitted_on(study)
    fits = [_fit(run, home) for run in study.runs]
    fitted = {fit.run.stored.id: fit.scores for fit in fits if fit.scores}
    return [
        _table(study, fits, home),
        reliability_diagrams(study, fitted, home.name if home else ""),
        coverage(study),
    ]


def fitted_on(study: Study) -> ScoredDomain | None:
    """Returns the images that temperatures are fitted on: what was held out of the source, or its own test images."""
    held_out = (domain for domain in study.domains if domain.home and domain.name.endswith(HELD_OUT))
    return next(held_out, study.home)


def _fit(run: ScoredRun, home: ScoredDomain | None) -> Fitted:
    if home is None or home.name not in run.metrics:
        return Fitted(run=run, temperature=None, scores={})
    temperature = fit_temperature(home.labels, run.scores[home.name])
    scores = {name: at_temperature(run.scores[name], temperature) for name in run.metrics if name != home.name}
    scores[home.name] = cross_fitted(home.labels, run.scores[home.name])
    return Fitted(run=run, temperature=temperature, scores=scores)


def _merits(study: Study, fit: Fitted) -> list[dict[str, Any]]:
    """Returns a row for each domain that the run was scored on."""
    run, rows = fit.run, []
    for domain in (each for each in study.domains if each.name in run.metrics):
        kept = int(np.ceil(COVERAGE * len(domain.labels)))
        tempered = fit.scores.get(domain.name)
        rows.append(
            {
                "model": study.label(run.arm),
                "domain": domain.name,
                "seed": run.seed,
                "run": run.stored.id,
                "temperature": fit.temperature,
                "accuracy": run.metrics[domain.name].accuracy,
                "ece": run.metrics[domain.name].ece,
                "ece_at_temperature": None if tempered is None else reliability(domain.labels, tempered).error,
                "augrc": augrc(domain.labels, run.scores[domain.name]),
                "accuracy_at_80": selective_accuracy(domain.labels, run.scores[domain.name])[kept - 1],
            }
        )
    return rows


def _table(study: Study, fits: Sequence[Fitted], home: ScoredDomain | None) -> Table:
    rows = pd.DataFrame([row for fit in fits for row in _merits(study, fit)])
    groups, samples = [], []
    for arm in study.arms:
        group = []
        for domain in study.domains:
            found = rows[(rows["model"] == study.label(arm)) & (rows["domain"] == domain.name)]
            values = {name: found[name].dropna().tolist() for name in _COLUMNS}
            hundredths = (found["temperature"].dropna() / 100).tolist()  # which over_seeds prints as they are
            samples.append(values["ece"])
            merits = [_cell(study, each) for each in (*values.values(), hundredths)]
            group.append(cells(describe_arm(arm).index, name_cell(study, arm), domain.name, *merits))
        groups.append(tuple(group))
    return Table(
        name="calibration",
        title="How far confidence can be trusted: calibration and AUGRC in %, and temperature",
        note=(
            f"{how_over_seeds(samples, study.seed_list())} Confidence: the largest probability. Calibration error: its "
            f"mean distance from accuracy, in 15 bins. {_how_fitted(home)} AUGRC: the share of images that are "
            "accepted and wrong, averaged over all thresholds of confidence; half the error rate if confidence says "
            "nothing. Last but one: accuracy where the model leaves its least sure fifth to a human."
        ),
        header=("", "model", "domain", *_COLUMNS.values(), "temperature"),
        groups=tuple(groups),
        left=3,
        appendix=True,
        data=rows,
    )


def _cell(study: Study, values: Sequence[float]) -> Cell:
    if not values:
        return Cell(text=NOTHING)
    return Cell(text=over_seeds(values, len(study.seeds)), sort=float(np.mean(values)))


def _how_fitted(home: ScoredDomain | None) -> str:
    """Returns what the temperatures were fitted on, in sentences."""
    if home is None:
        return "No images are home to every run, so no temperature is fitted."
    low, high = TEMPERATURES
    return (
        f"Temperature: of the lowest log loss on {home.name}, between {low:g} and {high:g}; above 1 the model is too "
        f"sure. No label from away is used. On {home.name} each half has the temperature of the other half."
    )
