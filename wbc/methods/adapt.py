"""A finished run's model fitted to the images that it scores: no label of them, no training.

A row of ADAPTATIONS names for each seam that it sets a function:

- colour: (model, images, source, run) → model that sees each image in the source's colours.
- norms: (model, images, source, run) → model whose norm layers are fitted to the images.
- views: (model, images, source, run) → model that sees each image several times.
- scores: (predictions, source, run) → predictions.

They act in this order, on a copy of the model. `source` loads the training images when it is called.
"""

import copy
import pkgutil
from collections.abc import Callable
from typing import Any

from wbc.config import RunConfig
from wbc.data.images import Images
from wbc.evaluation.predict import predict
from wbc.evaluation.records import Predictions
from wbc.methods.catalog import find_adaptation
from wbc.models.build import Classifier

Source = Callable[[], Images]
"""Returns a run's training images."""


def predict_adapted(name: str, model: Classifier, images: Images, source: Source, config: RunConfig) -> Predictions:
    """Returns the predictions of a model for images under a row of ADAPTATIONS, or several rows joined by "+".

    The model stays as it is.

    Raises:
        ConfigError: the row is not known, or does not suit the model or the images.
    """
    row = find_adaptation(name)
    changes: list[Any] = [pkgutil.resolve_name(each) for each in (row.colour, row.norms, row.views) if each]
    scoring = copy.deepcopy(model) if changes else model
    for change in changes:
        scoring = change(scoring, images, source, config)
    predictions = predict(scoring, images, config)
    rescored: Predictions = pkgutil.resolve_name(row.scores)(predictions, source, config) if row.scores else predictions
    return rescored
