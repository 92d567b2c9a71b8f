"""The model that each run logs: `mlflow.pyfunc.load_model("models:/<id>").predict(images)`, `mlflow models serve`.

A model that was exported also says which cells to refer: it has a temperature and a threshold beside its weights.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from PIL import Image

from wbc.cells import CLASSES
from wbc.data.cache import PixelCache
from wbc.evaluation.calibration import at_temperature
from wbc.evaluation.predict import predict_pixels
from wbc.recipes import RECIPES
from wbc.tracking import schema
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


class Referrer:
    """Scores cells, and says of each whether it needs a second look."""

    def __init__(self, folder: Path) -> None:
        rules = json.loads((folder / schema.RULES).read_text(encoding="utf-8"))
        self._scorer = Scorer(folder / schema.WEIGHTS)
        self._temperature, self._threshold = float(rules["temperature"]), float(rules["threshold"])

    def predict(self, images: UInt8[np.ndarray, "images height width 3"]) -> pd.DataFrame:
        """Returns a row for each image: its class, the calibrated probability of it, refer or not; then all classes."""
        scores = at_temperature(self._scorer.predict(images), self._temperature)
        sure = scores.max(1)
        said = [CLASSES[label] for label in scores.argmax(1)]
        answer = pd.DataFrame({"class": said, "probability": sure, "refer": sure < self._threshold})
        return answer.assign(**{name: scores[:, label] for label, name in enumerate(CLASSES)})


def _load_pyfunc(path: str) -> Scorer | Referrer:
    """Returns what MLflow calls `predict` on; the name and argument are MLflow's."""
    return Referrer(Path(path)) if Path(path).is_dir() else Scorer(Path(path))
