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
from collections.abc import Callable, Iterable, Iterator

from wbc.config import RunConfig
from wbc.data.images import Images
from wbc.evaluation.predict import predict
from wbc.evaluation.records import Predictions
from wbc.methods.catalog import find_adaptation, model_changes
from wbc.models.build import Classifier

Source = Callable[[], Images]
"""Returns a run's training images."""


def predict_adapted(
    names: Iterable[str], model: Classifier, images: Images, source: Source, config: RunConfig
) -> Iterator[tuple[str, Predictions]]:
    """Yields the predictions of a model for images under each row of ADAPTATIONS, or rows joined by "+".

    Rows that change the model alike share one pass over the images, and follow each other. The model stays as it is.

    Raises:
        ConfigError: a row is not known, or does not suit the model or the images.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        alike.setdefault(model_changes(name), []).append(name)
    for changes, rows in alike.items():
        scoring = copy.deepcopy(model) if changes else model
        for change in changes:
            scoring = pkgutil.resolve_name(change)(scoring, images, source, config)
        predictions = predict(scoring, images, config)
        for name in rows:
            rescore = find_adaptation(name).scores
            yield name, pkgutil.resolve_name(rescore)(predictions, source, config) if rescore else predictions
