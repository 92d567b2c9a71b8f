"""How far each batch norm's stored statistics lie from those of a split, layer by layer: where a shift does its damage.

A network in evaluation mode normalises with the mean μ and variance σ² that it stored in training. Here they meet the
mean m and variance v of what arrives at the layer for a split's images. Over the layer's channels:

- distance of means: the root mean square of (m − μ) / √(σ² + ε), in stored standard deviations;
- distance of spreads: the root mean square of ½ ln((v + ε) / (σ² + ε)), 0.69 for a spread of twice or half the stored.

Both are 0 where a layer meets what it was fitted to.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from wbc.analysis.by_depth import DISTANCES, draw
from wbc.config import RunConfig
from wbc.data.images import Images
from wbc.errors import ConfigError
from wbc.evaluation.predict import predict_pixels
from wbc.models.build import Classifier
from wbc.tracking import schema


class _Inputs:
    """Count, sum and sum of squares, by channel, of what arrives at a norm, measured from its stored mean."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, torch.zeros(()), torch.zeros(())

    def add(self, norm: nn.BatchNorm2d, inputs: tuple[Float[Tensor, "batch channels height width"]]) -> None:
        assert norm.running_mean is not None
        values = inputs[0].double() - norm.running_mean.double()[:, None, None]
        self.count += values.numel() // values.shape[1]
        self.total = self.total + values.sum((0, 2, 3)).cpu()
        self.squares = self.squares + values.square().sum((0, 2, 3)).cpu()

    def distances(self, norm: nn.BatchNorm2d) -> tuple[float, float]:
        """Returns the distances of means and of spreads."""
        assert norm.running_var is not None
        stored = norm.running_var.double().cpu() + norm.eps
        shift = self.total / self.count
        variance = (self.squares / self.count - shift.square()).clamp(min=0) + norm.eps
        spreads = (variance / stored).log() / 2
        return tuple(each.square().mean().sqrt().item() for each in (shift / stored.sqrt(), spreads))  # type: ignore[return-value]


def measure(model: Classifier, splits: Sequence[Images], config: RunConfig) -> pd.DataFrame:
    """Returns a row for each split and batch norm of a model, in the order in which the norms are defined.

    Columns: split, depth (from 1), layer, channels, frozen (whether its statistics never moved in training),
    mean_distance, spread_distance.

    Raises:
        ConfigError: the model has no batch norm.
    """
    norms = {name: each for name, each in model.backbone.named_modules() if isinstance(each, nn.BatchNorm2d)}
    if not norms:
        raise ConfigError(f"model {config.model} has no batch norm: there are no stored statistics to compare.")
    model.train()  # frozen ones stay in evaluation mode
    frozen = {name for name, norm in norms.items() if not norm.training}
    rows = []
    for images in splits:
        with _watched(norms) as inputs:
            predict_pixels(model, images.pixels, config, device=config.device)
        for depth, (name, norm) in enumerate(norms.items(), 1):
            distances = inputs[name].distances(norm)
            rows.append((images.name, depth, name, norm.num_features, name in frozen, *distances))
    return pd.DataFrame(rows, columns=["split", "depth", "layer", "channels", "frozen", *DISTANCES])


def write(table: pd.DataFrame, title: str, folder: Path) -> None:
    """Writes `batch_norm.csv`, `.png` and `.pdf` into a folder."""
    table.to_csv(folder / Path(schema.NORMS_BY_DEPTH).name, index=False, float_format="%.6g")
    figure = draw(table)
    figure.suptitle(title, fontsize=9)
    for suffix in ("png", "pdf"):
        figure.savefig(folder / f"batch_norm.{suffix}", dpi=150)


@contextmanager
def _watched(norms: dict[str, nn.BatchNorm2d]) -> Iterator[dict[str, _Inputs]]:
    inputs = {name: _Inputs() for name in norms}
    handles = [norm.register_forward_pre_hook(partial(_Inputs.add, inputs[name])) for name, norm in norms.items()]
    try:
        yield inputs
    finally:
        for handle in handles:
            handle.remove()
