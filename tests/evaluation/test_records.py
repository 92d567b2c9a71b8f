from pathlib import Path

import numpy as np

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
    labels, read = read_scores(tmp_path / "lisc.csv")
    assert (labels == predictions.labels).all()
    assert read.tobytes() == scores.tobytes()
    assert np.load(tmp_path / "lisc.npy").shape == (50, 8)
