"""The model that each run logs: `mlflow.pyfunc.load_model("models:/<id>").predict(images)`, `mlflow models serve`."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from wbc.data.cache import PixelCache
from wbc.evaluation.predict import predict_pixels
from wbc.recipes import RECIPES
from wbc.training.checkpoint import read_checkpoint, restore_model


class Scorer:
    """Scores white blood cells: whole crops of any size in, probabilities of the five classes out."""

    def __init__(self, checkpoint: Path) -> None:
        loaded = read_checkpoint(checkpoint)
        self._config = loaded.config
        self._model = restore_model(loaded)

    def predict(self, images: UInt8[np.ndarray, "images height width 3"]) -> Float[np.ndarray, "images 5"]:
        """Returns probabilities in the order of `wbc.cells.CLASSES`; resizing and normalisation are the run's own."""
        geometry = RECIPES[self._config.recipe].geometry(self._config.image_size)
        sized = [np.asarray(geometry.apply(Image.fromarray(image))) for image in images.astype(np.uint8)]
        shapes = np.array([image.shape[:2] for image in sized], np.int64)
        pixels = PixelCache(np.concatenate([image.ravel() for image in sized]), shapes)
        return predict_pixels(self._model, pixels, self._config, device="cpu")[0]


def _load_pyfunc(path: str) -> Scorer:
    """Returns what MLflow calls `predict` on; the name and argument are MLflow's."""
    return Scorer(Path(path))
