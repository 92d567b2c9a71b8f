"""How a lab's cells look, whatever the model: colour, sharpness and size; and how far two labs lie apart in it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wbc.data.cache import Geometry
from wbc.data.extent import extent

FEATURES: Final = ("red", "green", "blue", "spread of red", "spread of green", "spread of blue", "sharpness", "size")
"""Means and spreads of the channels, 0 to 255; the logarithm of the Laplacian's variance; the share of the side that
the stained part fills. All at `SIDE_PX`."""
PARTS: Final = {"colour": slice(0, 6), "sharpness": slice(6, 7), "size": slice(7, 8)}
SIDE_PX: Final = 96
MOST: Final = 500
"""Cells of a lab that the classifier of labs looks at."""
Looks = Float[np.ndarray, "cells features"]


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How far a lab's cells lie from those that a model was trained on."""

    parts: dict[str, float]
    """By part of the appearance: how far the means lie apart, in standard deviations of a cell at home."""
    told_apart: float
    """The area under the ROC curve of a classifier that tells the two labs' cells apart; 0.5: it cannot; nan: one lab.
    """


def appearance(image: Image.Image, crop: float = 1.0) -> Float[np.ndarray, " features"]:
    """Returns the `FEATURES` of one image, or of the share `crop` of its sides from the centre."""
    pixels = np.asarray(Geometry("squash", SIDE_PX, crop).apply(image))
    flat = pixels.reshape(-1, 3).astype(np.float64)
    sharpness = np.log1p(ndimage.laplace(flat.mean(1).reshape(SIDE_PX, SIDE_PX)).var())
    found: Float[np.ndarray, " features"] = np.array([*flat.mean(0), *flat.std(0), sharpness, extent(pixels)])
    return found


def distance(home: Looks, other: Looks) -> Distance:
    """Returns how far a lab's cells lie from those at home, by appearance."""
    if other is home:
        return Distance(parts=dict.fromkeys(PARTS, 0.0), told_apart=float("nan"))
    spread = home.std(0) + 1e-9
    apart = np.abs(other.mean(0) - home.mean(0)) / spread
    parts = {name: float(np.sqrt((apart[where] ** 2).mean())) for name, where in PARTS.items()}
    return Distance(parts=parts, told_apart=_told_apart(home, other))


def _told_apart(home: Looks, other: Looks) -> float:
    """Returns the AUC of a logistic regression over five folds."""
    first, second = (each[np.linspace(0, len(each) - 1, min(MOST, len(each))).astype(int)] for each in (home, other))
    labels = np.repeat([0, 1], [len(first), len(second)])
    folds = StratifiedKFold(min(5, len(first), len(second)), shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
    scores = cross_val_predict(model, np.concatenate([first, second]), labels, cv=folds, method="decision_function")
    return float(roc_auc_score(labels, scores))
