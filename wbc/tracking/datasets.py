"""Data sets as inputs of a run: name, digest, origin and counts, and what each is to the run."""

import json
import warnings
from typing import Any

import mlflow
import numpy as np
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from wbc.cells import CLASSES
from wbc.data.images import Images
from wbc.tracking import schema
from wbc.tracking.connection import insist


def log_input(run_id: str, images: Images, role: schema.Role) -> Dataset:
    """Logs a data set as an input of a run, with its role beside MLflow's context; once, however often it is called."""
    dataset, context = _described(images), "training" if role == "training" else "testing"
    tags = [InputTag(MLFLOW_DATASET_CONTEXT, context), InputTag(schema.ROLE, role)]
    insist(lambda: mlflow.MlflowClient().log_inputs(run_id, [DatasetInput(dataset, tags)]))
    return dataset


def short(digest: str) -> str:
    """Returns as much of a digest as MLflow keeps, whose own hold 36 characters."""
    return digest[:32]


def _described(images: Images) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a path may be read in several ways, says MLflow
        source = resolve_dataset_source(images.origin)
    # MLflow declares a `profile` that MetaDataset never defines.
    described = MetaDataset(source, name=images.name, digest=short(images.digest))  # type: ignore[abstract]
    counts = np.bincount(images.labels, minlength=len(CLASSES)).tolist()
    profile = {"num_rows": len(images.labels), **dict(zip(CLASSES, counts, strict=True))}
    fields: dict[str, Any] = {"schema": None, **described.to_dict(), "profile": json.dumps(profile)}
    return Dataset(**fields)
