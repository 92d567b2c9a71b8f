"""What the chosen runs say of the slides' cells."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from wbc.assess.pixels import Decoded
from wbc.assess.runs import Known
from wbc.compute import choose_device, enough_memory, place
from wbc.config import RunConfig
from wbc.data.cache import Geometry
from wbc.evaluation.calibration import at_temperature, fit_temperature
from wbc.evaluation.predict import predict_pixels
from wbc.inputs import geometry
from wbc.report.study import ScoredRun
from wbc.terminal import progress
from wbc.tracking.runs import fetch_checkpoint
from wbc.training.checkpoint import Checkpoint, restore_model
from wbc.words import number_of


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one run says of the cells."""

    run: ScoredRun
    config: RunConfig
    scores: Float[np.ndarray, "cells 5"]
    embeddings: Float[np.ndarray, "cells dim"]
    temperature: float
    """Fitted on the run's home images; 1 where it was scored on none."""

    @property
    def calibrated(self) -> Float[np.ndarray, "cells 5"]:
        """The probabilities at the temperature from home."""
        found: Float[np.ndarray, "cells 5"] = at_temperature(self.scores, self.temperature)
        return found


def fetch_all(known: Known) -> dict[str, Checkpoint]:
    """Returns the final checkpoint of each run, by its id.

    Raises:
        TrackingError: a run has lost it.
    """
    return {run.stored.id: fetch_checkpoint(run.stored.id) for run in known.runs}


def cropped_geometry(config: RunConfig, crop: float) -> Geometry:
    """Returns how a run's network takes the slides' images."""
    return geometry(config).cropped(crop)


def ask(
    known: Known, checkpoints: dict[str, Checkpoint], cells: Decoded, crop: float, device: str | None
) -> list[Answers]:
    """Returns what each run says of the cells, in the runs' order."""
    found = []
    count, runs = len(cells.slides.cells), len(known.runs)
    with progress(f"{cells.slides.title}: asking {number_of(runs, 'run')}", count * runs, "images") as advance:
        for run in known.runs:
            checkpoint = checkpoints[run.stored.id]
            config = dataclasses.replace(checkpoint.config, device=choose_device(device))
            with enough_memory(config):
                model = restore_model(checkpoint)
                place(model, config)
                pixels = cells.pixels[cropped_geometry(config, crop)]
                scores, embeddings = predict_pixels(model, pixels, config, device=config.device)
            home = known.home_of(run)
            temperature = fit_temperature(home.labels, run.scores[home.name]) if home else 1.0
            found.append(Answers(run=run, config=config, scores=scores, embeddings=embeddings, temperature=temperature))
            advance(count)
    return found
