"""Averages over an arm's seeds: of their answers (an ensemble), which needs no training, and of their weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from wbc.arms import Arm
from wbc.evaluation.metrics import score
from wbc.report.balance import image_interval
from wbc.report.effects import shown_domains
from wbc.report.names import in_sentence, name_cell
from wbc.report.render import NOTHING, Cell, Table, cells, percent
from wbc.report.statistics import RESAMPLES
from wbc.report.study import ScoredDomain, Study


def averages(study: Study) -> Table | None:
    """Returns what the average of an arm's answers, and of its weights, scores; None where no arm has two seeds."""
    arms = [arm for arm in study.arms if sum(run.arm == arm for run in study.runs) > 1]
    if not arms:
        return None
    soups = {run.arm: run for run in study.soups}
    rows, data = [], []
    for arm in arms:
        row = [name_cell(study, arm)]
        for domain in shown_domains(study):
            runs = study.of(arm, domain.name)
            single = [run.metrics[domain.name].balanced_accuracy for run in runs]
            joint = np.mean([run.scores[domain.name] for run in runs], axis=0) if len(runs) > 1 else None
            soup = soups[arm].scores.get(domain.name) if arm in soups else None
            row += [Cell(text=percent(float(np.mean(single))) if single else "missing")]
            row += [_cell(domain, each) for each in ((joint, soup) if soups else (joint,))]
            data += _numbers(study, arm, domain, single, {"ensemble": joint, "averaged weights": soup})
        rows.append(cells(*row))
    kinds = ("ensemble", "averaged weights") if soups else ("ensemble",)
    return Table(
        name="averages",
        title="Averages over seeds: balanced accuracy in %",
        note=(
            "Ensemble: the mean of the probabilities of all seeds' models. Averaged weights: one model whose weights "
            "are the mean of theirs. Each is one value. So there is no interval over seeds, and no test. In brackets: "
            f"the 95 % interval over images alone (bootstrap, {RESAMPLES} draws). It says nothing of other seeds. "
            f"{_command(study, arms)}"
        ),
        header=(
            "model",
            *(f"{domain.name}: {text}" for domain in shown_domains(study) for text in ("one seed, mean", *kinds)),
        ),
        groups=(tuple(rows),),
        left=1,
        appendix=True,
        data=pd.DataFrame(data),
    )


def _cell(domain: ScoredDomain, scores: Float[np.ndarray, "images 5"] | None) -> Cell:
    if scores is None:
        return Cell(text=NOTHING)
    found = score(domain.labels, scores)
    low, high = image_interval(scores.argmax(1) == domain.labels, domain.labels)
    collapse = "; collapsed" if found.collapsed else ""
    second = f"[{percent(low)}, {percent(high)}]{collapse}"
    return Cell(text=percent(found.balanced_accuracy), second=second, sort=found.balanced_accuracy)


def _command(study: Study, arms: Sequence[Arm]) -> str:
    """Returns the command that scores an arm's averaged weights, of the first arm that lacks them."""
    lacking = [arm for arm in arms if arm not in {run.arm for run in study.soups}]
    if not lacking:
        return ""
    ids = [run.stored.id[:12] for run in study.of(lacking[0], study.domains[0].name)]
    return f'make evaluate RUN_ID="{" ".join(ids)}" scores the averaged weights of {in_sentence(study, lacking[0])}.'


def _numbers(
    study: Study, arm: Arm, domain: ScoredDomain, single: Sequence[float], averaged: dict[str, Any]
) -> list[dict[str, Any]]:
    known = {"model": study.label(arm), "domain": domain.name, "n_seeds": len(single), "n_images": len(domain.labels)}
    rows = [known | {"of": "one seed, mean", "balanced_accuracy": float(np.mean(single))}] if single else []
    for name, scores in averaged.items():
        if scores is not None:
            found = score(domain.labels, scores)
            low, high = image_interval(scores.argmax(1) == domain.labels, domain.labels)
            rows.append(
                known
                | {"of": name, "balanced_accuracy": found.balanced_accuracy, "accuracy": found.accuracy}
                | {"low_images": low, "high_images": high, "collapsed": found.collapsed}
            )
    return rows
