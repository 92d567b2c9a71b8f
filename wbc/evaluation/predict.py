"""Runs a model over a domain's images."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from wbc.compute import autocast, layout
from wbc.config import RunConfig
from wbc.data.batches import fetch_ahead, gather
from wbc.data.cache import PixelCache
from wbc.data.images import Images
from wbc.evaluation.records import Predictions
from wbc.models.build import Classifier
from wbc.recipes import RECIPES


def predict(model: Classifier, images: Images, config: RunConfig) -> Predictions:
    """Returns the predictions for every image, in the manifest's order, under the run's recipe and precision."""
    scores, embeddings = predict_pixels(model, images.pixels, config, device=config.device)
    return Predictions(domain=images.name, ids=images.ids, labels=images.labels, scores=scores, embeddings=embeddings)


def predict_pixels(
    model: Classifier, pixels: PixelCache, config: RunConfig, *, device: str
) -> tuple[Float[np.ndarray, "images 5"], Float[np.ndarray, "images dim"]]:
    """Returns probabilities and embeddings of images at the recipe's geometry; the model is left in evaluation mode."""
    crop_px = config.image_size if RECIPES[config.recipe].crops else None

    def fetch(rows: Int64[np.ndarray, " _"]) -> Tensor:
        return gather(pixels, rows, crop_px=crop_px).contiguous(memory_format=layout(model, config))

    batches = np.array_split(np.arange(len(pixels)), -(-len(pixels) // config.batch_size))
    fetched = fetch_ahead(fetch, batches) if config.fast and device == "cuda" else map(fetch, batches)
    scores, embeddings = [], []
    model.eval()
    with torch.inference_mode(), autocast(config, device):
        for batch in fetched:
            embedded = model.embed(batch.to(device, non_blocking=True))
            scores.append(model.head[-1](embedded).float().softmax(1))
            embeddings.append(embedded.float())
    return torch.cat(scores).cpu().numpy(), torch.cat(embeddings).cpu().numpy()
