"""Writes a run's model as a folder to take along: MLflow loads and serves it without the store."""

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from wbc.cells import CLASSES
from wbc.code import serving_requirements
from wbc.errors import DamageError
from wbc.tracking import schema
from wbc.tracking.artifacts import fetch
from wbc.tracking.read import StoredRun

_OUT: Final = (("class", "string"), ("probability", "double"), ("refer", "boolean"))


def write_model(run: StoredRun, rules: Mapping[str, Any], folder: Path) -> None:
    """Writes `folder`, a model of MLflow: images in; class, calibrated probability and whether to refer out.

    Raises:
        DamageError: the run has lost its checkpoint.
    """
    with tempfile.TemporaryDirectory() as text:
        data = Path(text, "model")
        data.mkdir()
        found = fetch(run, schema.FINAL, Path(text))
        if found is None:
            raise DamageError(f"run {run.id} has lost its {schema.FINAL}.")
        shutil.move(found, data / schema.WEIGHTS)
        (data / schema.RULES).write_text(json.dumps(rules, indent=2) + "\n", encoding="utf-8")
        signature = ModelSignature(
            Schema([TensorSpec(np.dtype("uint8"), (-1, -1, -1, 3))]),
            Schema([*(ColSpec(kind, name) for name, kind in _OUT), *(ColSpec("double", name) for name in CLASSES)]),
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*An input example was not provided", UserWarning)
            mlflow.pyfunc.save_model(
                str(folder),
                loader_module="wbc.serving",
                data_path=str(data),
                code_paths=[str(Path(__file__).parents[1])],
                signature=signature,
                pip_requirements=serving_requirements(),
            )
