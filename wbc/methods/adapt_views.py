"""Models that see each image otherwise: in the source's colours, or in several views."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from wbc.config import RunConfig
from wbc.data.images import Images
from wbc.methods.adapt import Source
from wbc.methods.spaces import Convert, from_lab, restyled, same, statistics, to_lab
from wbc.models.build import Classifier


class Seen(Classifier):
    """A classifier that averages the embeddings of several views of an image, and so their scores before softmax."""

    def __init__(self, inner: Classifier, views: Callable[[Tensor], Sequence[Tensor]]) -> None:
        nn.Module.__init__(self)
        self.inner, self.backbone, self.head = inner, inner.backbone, inner.head
        self._frozen_norms, self._views = inner._frozen_norms, views

    def embed(self, images: Tensor) -> Tensor:
        """Returns the input of the last linear layer, the mean over the views."""
        return torch.stack([self.inner.embed(view) for view in self._views(images)]).mean(0)


def in_colours(
    model: Classifier, images: Images, source: Source, config: RunConfig, *, to: Convert, back: Convert
) -> Classifier:
    """Returns the model with each image moved, alone, to the source's mean and spread of each channel.

    These are the means over up to 512 training images of each one's mean and spread. A spread below 1 counts as 1.

    Reference: Reinhard et al. 2001, IEEE Comput Graph Appl 21(5), whose space is lαβ.
    """
    target = torch.from_numpy(statistics(source().pixels, to).mean(0).astype(np.float32))

    def views(batch: Tensor) -> list[Tensor]:
        mean, spread = target.to(batch.device)[:, None, :, None, None]
        moved = restyled(to(batch.float()), mean, spread, least=1.0)
        return [back(moved).clamp(0, 255).contiguous(memory_format=_layout(batch))]

    return Seen(model, views)


def flips(model: Classifier, images: Images, source: Source, config: RunConfig) -> Classifier:
    """Returns the model that averages its scores before softmax over the eight flips and turns of an image.

    Reference: Krizhevsky et al. 2012, section 4.1, for averaging over views; there crops and one flip.
    """

    def views(batch: Tensor) -> list[Tensor]:
        turned = [batch.rot90(turns, (2, 3)) for turns in range(4)]
        return [view.contiguous(memory_format=_layout(batch)) for one in turned for view in (one, one.flip(3))]

    return Seen(model, views)


def _layout(batch: Tensor) -> torch.memory_format:
    last = batch.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


in_rgb = partial(in_colours, to=same, back=same)
in_lab = partial(in_colours, to=to_lab, back=from_lab)
