"""Takes a run's model along: the model that MLflow loads, its temperature and threshold, its card, and an example.

make export RUN_ID=vgg16/seed1
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from wbc.assess.options import ExportConfig
from wbc.assess.runs import Known, read_one
from wbc.evaluation.calibration import at_temperature, fit_temperature
from wbc.evaluation.signing import signing
from wbc.processes import signals_exit
from wbc.report.folder import own_folder, replacing
from wbc.report.study import ScoredRun
from wbc.tracking.export import write_model
from wbc.tracking.notes import model_card
from wbc.tracking.runs import fetch_checkpoint

CONTENTS: Final = frozenset({"model", "card.md", "example.py"})
NEVER: Final = 2.0
"""A threshold that no probability reaches: every cell is referred."""
_EXAMPLE: Final = '''\
"""Asks the model of this folder: python example.py cell1.png cell2.png"""

import sys

import mlflow
import numpy as np
from PIL import Image

model = mlflow.pyfunc.load_model("model")  # from this folder; or: mlflow models serve -m model --env-manager local
for name in sys.argv[1:]:
    print(name, model.predict(np.asarray(Image.open(name).convert("RGB"))[None]).iloc[0].to_dict())
'''


def export(options: ExportConfig) -> str:
    """Returns a line on the folder that was written.

    Raises:
        TrackingError: there is no such run, or it is not complete.
        ReportError: the folder holds something else.
    """
    known = read_one(options.run)
    (run,) = known.runs
    name = f"{run.arm.name}_seed{run.seed}_{run.stored.id[:8]}".replace("/", "_").replace(":", "_")
    folder = own_folder(options.output or f"exports/{name}", CONTENTS)
    rules = find_rules(known, run, options.threshold, options.error)
    config = dataclasses.replace(fetch_checkpoint(run.stored.id).config, device="cpu")
    with signals_exit(), replacing(folder) as part:
        write_model(run.stored, rules, part / "model")
        card = f"{model_card(run.stored, config)}\n\n**Second look**\n\n{_said(rules)}\n"
        (part / "card.md").write_text(card, encoding="utf-8")
        (part / "example.py").write_text(_EXAMPLE, encoding="utf-8")
    return f"{run.stored.name}  {_said(rules)}  {folder}"


def find_rules(known: Known, run: ScoredRun, threshold: float | None, error: float) -> dict[str, Any]:
    """Returns a run's temperature and threshold, and where each is from.

    The temperature is fitted at home. So is the threshold where none is given: the lowest whose mistakes stay below
    `error`, with 95 % confidence, for cells of that lab alone. A run without home gets 1, and refers every cell.
    """
    home = known.home_of(run)
    if home is None:
        given = (NEVER, "nothing") if threshold is None else (threshold, "given")
        return {"temperature": 1.0, "threshold": given[0], "fitted_on": given[1], "error": error}
    scores = run.scores[home.name]
    temperature = fit_temperature(home.labels, scores)
    sure = at_temperature(scores, temperature).max(1).astype(np.float64)
    found = signing(scores.argmax(1) == home.labels, sure, error)
    chosen = min(found.threshold, NEVER) if threshold is None else threshold
    return {
        "temperature": temperature,
        "threshold": chosen,
        "fitted_on": f"{home.name}, {len(home.labels)} images" if threshold is None else "given",
        "error": error,
    }


def _said(rules: Mapping[str, Any]) -> str:
    """Returns in words which cells are referred, and what that rests on."""
    accepted = f"{100 * rules['error']:g} %"
    if rules["threshold"] > 1:
        return f"Every cell is referred: on {rules['fitted_on']} no threshold keeps mistakes below {accepted} for sure."
    source = (
        "It was given."
        if rules["fitted_on"] == "given"
        else f"It was fitted on {rules['fitted_on']}, to keep mistakes below {accepted}; others need another."
    )
    shown = f"{rules['threshold']:.4f} (temperature {rules['temperature']:.3f})"
    return f"A cell below the threshold is referred, a calibrated probability of {shown}. {source}"
