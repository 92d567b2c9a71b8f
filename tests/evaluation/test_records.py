from pathlib import Path

import numpy as np
import pytest

from wbc.cells import CLASSES
from wbc.evaluation.records import Predictions, read_scores, write_predictions


def test_predictions_read_back_to_the_same_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(5), 50).astype(np.float32)
    predictions = Predictions(
        domain="lisc",
        ids=tuple(f"Train/{index}.jpg" for index in range(50)),
        labels=rng.integers(0, 5, 50),
        scores=scores,
        embeddings=rng.normal(size=(50, 8)).astype(np.float32),
    )
    write_predictions(predictions, tmp_path / "lisc.csv", tmp_path / "lisc.npy")
    ids, labels, read = read_scores(tmp_path / "lisc.csv")
    assert ids == list(predictions.ids)
    assert (labels == predictions.labels).all()
    assert read.tobytes() == scores.tobytes()
    assert np.load(tmp_path / "lisc.npy").shape == (50, 8)


@pytest.mark.parametrize(
    "row",
    [
        "a,5,1,0,0,0,0",
        "a,-1,1,0,0,0,0",
        "a,1.5,1,0,0,0,0",
        "a,x,1,0,0,0,0",
        "a,0,inf,0,0,0,0",
        "a,0,,0,0,0,0",
        "a,0,7,0,0,0,0",
    ],
)
def test_table_of_labels_or_probabilities_that_are_none_is_refused(tmp_path: Path, row: str) -> None:
    path = tmp_path / "some.csv"
    path.write_text(f"id,label,{','.join(CLASSES)}\n{row}\n")
    with pytest.raises(ValueError, match=r"."):
        read_scores(path)
