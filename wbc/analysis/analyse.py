"""Analyses a run's network and logs what comes out to the run, in the folder `analysis`."""

import dataclasses
import tempfile
from pathlib import Path

from wbc.analysis import batch_norm
from wbc.compute import choose_device, enough_memory, place
from wbc.config import AnalyseConfig
from wbc.inputs import load_inputs
from wbc.tracking.active import log_analysis
from wbc.tracking.runs import fetch_checkpoint
from wbc.tracking.store import which_run
from wbc.training.checkpoint import restore_model


def analyse(options: AnalyseConfig) -> str:
    """Returns, as one line, where a run's batch norms meet other statistics than they stored, and logs all of it.

    Raises:
        ConfigError: the run's model has no batch norm.
        TrackingError: there is no such run, or it is not complete, or the store does not answer.
    """
    run_id = which_run(options.run)
    checkpoint = fetch_checkpoint(run_id)
    config = dataclasses.replace(checkpoint.config, device=choose_device(options.device))
    inputs = load_inputs(config)
    with enough_memory(config):
        model = restore_model(checkpoint)
        place(model, config)
        table = batch_norm.measure(model, [*inputs.train, *inputs.tests], config)
    with tempfile.TemporaryDirectory() as folder:
        batch_norm.write(table, f"{config.name}: stored statistics against each split's", Path(folder))
        log_analysis(run_id, Path(folder))
    largest = table.loc[table.groupby("split", sort=False)["mean_distance"].idxmax()]
    found = (f"{row.split} {row.mean_distance:.2f} SD at {row.layer}" for row in largest.itertuples())
    return (
        f"{config.name}  largest distance of means: {', '.join(found)}  run {run_id}, artifacts analysis/batch_norm.*"
    )
