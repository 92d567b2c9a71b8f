"""What each model answers on each domain, whatever the truth: it shows where a model collapses to one answer."""

from typing import Final

import numpy as np
import pandas as pd

from wbc.cells import ABBREVIATIONS, CLASSES
from wbc.report.render import Cell, Table, cells, percent
from wbc.report.study import ScoredDomain, ScoredRun, Study, describe_arm

COLLAPSED: Final = 0.8
"""The share of one answer from which the table marks it."""


def answers(study: Study) -> Table:
    """Returns the share of images that each arm calls each class, the mean over seeds, and the true shares."""
    groups, data = [], []
    for domain in study.domains:
        truth = np.bincount(domain.labels, minlength=len(CLASSES)) / len(domain.labels)
        rows = [cells("", "the labels", domain.name, *map(_share, truth))]
        for arm in study.arms:
            shares = [_answered(run, domain) for run in study.of(arm, domain.name)]
            if not shares:
                continue
            mean = np.mean(shares, axis=0)
            rows.append(cells(describe_arm(arm).index, study.label(arm), domain.name, *map(_share, mean)))
            data.append(
                {"model": study.label(arm), "domain": domain.name, "n_seeds": len(shares)}
                | dict(zip(CLASSES, mean.tolist(), strict=True))
                | {f"true_{name}": share for name, share in zip(CLASSES, truth.tolist(), strict=True)}
            )
        groups.append(tuple(rows))
    return Table(
        name="answers",
        title="What each model answers: share of a domain's images called each class, in %",
        note=(
            f"Mean over seeds {study.seed_list()}. Bold: {100 * COLLAPSED:.0f} % of the images or more get one answer. "
            "First row of each domain: the labels."
        ),
        header=("", "model", "domain", *ABBREVIATIONS),
        groups=tuple(groups),
        left=3,
        appendix=True,
        data=pd.DataFrame(data),
    )


def _answered(run: ScoredRun, domain: ScoredDomain) -> np.ndarray:
    counts = np.bincount(run.scores[domain.name].argmax(1), minlength=len(CLASSES))
    shares: np.ndarray = counts / len(domain.labels)
    return shares


def _share(share: float) -> Cell:
    return Cell(text=percent(share), bold=share >= COLLAPSED, sort=share)
