"""Predictions, the record of a run: one row per image, from which every figure of merit is computed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from wbc.cells import CLASSES


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a model says of a domain's images, in the order of its manifest."""

    domain: str
    ids: tuple[str, ...]
    labels: Int64[np.ndarray, " images"]
    scores: Float[np.ndarray, "images 5"]
    """Softmax probabilities, in the order of CLASSES."""
    embeddings: Float[np.ndarray, "images dim"]
    """Inputs of the last linear layer."""

    def table(self) -> pd.DataFrame:
        """Returns a row per image: id, label, and the probability of each class."""
        columns = {name: self.scores[:, index] for index, name in enumerate(CLASSES)}
        return pd.DataFrame({"id": self.ids, "label": self.labels, **columns})


def write_predictions(predictions: Predictions, table: Path, embeddings: Path | None = None) -> None:
    """Writes the table as CSV, which reads back to the same bits, and embeddings as float16 in NumPy's format."""
    predictions.table().to_csv(table, index=False)
    if embeddings:
        np.save(embeddings, predictions.embeddings.astype(np.float16))


def read_scores(path: Path) -> tuple[list[str], Int64[np.ndarray, " images"], Float[np.ndarray, "images 5"]]:
    """Returns the ids, labels and probabilities of a predictions file.

    Raises:
        ValueError: the file holds no such table, a label is no class, or a probability is none.
        KeyError: a column is missing.
    """
    table = pd.read_csv(path, dtype=dict.fromkeys(CLASSES, np.float32) | {"id": str, "label": np.int64})
    labels, scores = table["label"].to_numpy(), table[list(CLASSES)].to_numpy()
    if not np.isin(labels, range(len(CLASSES))).all() or not ((scores >= 0) & (scores <= 1 + 1e-5)).all():
        raise ValueError(f"{path} holds labels that are no class, or probabilities that are none.")
    return table["id"].tolist(), labels, scores
