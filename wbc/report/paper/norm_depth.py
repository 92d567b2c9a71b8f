"""Figures of how far batch norms' stored statistics lie from each split's, by depth; of runs that were analysed."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pandas as pd

from wbc.analysis.by_depth import DISTANCES, draw
from wbc.errors import DamageError
from wbc.report.names import spoken
from wbc.report.study import ScoredRun, Study
from wbc.report.style import Plot
from wbc.tracking import schema
from wbc.tracking.artifacts import fetch


def norms_by_depth(study: Study) -> list[Plot]:
    """Returns a figure for each arm of which a run was analysed, with the mean over those of its runs that were."""
    plots = []
    for arm in study.arms:
        tables = [table for run in study.runs if run.arm == arm and (table := _read(run)) is not None]
        if not tables:
            continue
        runs = f"Mean over the {len(tables)} of {len(study.seeds)} seeds whose run was analysed"
        plots.append(
            Plot(
                name=f"batch_norm_{arm.name}".replace("+", "_").replace(":", "_"),
                caption=(
                    f"Batch norms of {spoken(study, arm)} by depth: how far what arrives at each lies from what it "
                    "stored in training; root mean square over its channels (wbc/analysis/batch_norm.py has the "
                    f"formulas). 0: the layer meets what it was fitted to. {runs}."
                ),
                figure=draw(pd.concat(tables).groupby(["split", "depth"], sort=False).mean().reset_index()),
            )
        )
    return plots


def _read(run: ScoredRun) -> pd.DataFrame | None:
    """Returns the run's table; None where it has none or it cannot be read."""
    with tempfile.TemporaryDirectory() as folder, suppress(ValueError, KeyError, OSError, DamageError):
        path = fetch(run.stored, schema.NORMS_BY_DEPTH, Path(folder), in_place=True)
        return pd.read_csv(path)[["split", "depth", *DISTANCES]] if path else None
    return None
