"""What is minimised in place of the paper's cross entropy, or beside it."""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn.functional import cross_entropy

from wbc.cells import CLASSES
from wbc.data.images import Images
from wbc.methods.parts import Integers, Loss
from wbc.models.build import Classifier

TO_START: Final = 0.1
TO_ZERO: Final = 0.01


def class_shares(labels: Integers) -> Float64[np.ndarray, " 5"]:
    """Returns the share of each class; one without images counts as one image, so that no logarithm is infinite."""
    counts = np.bincount(labels, minlength=len(CLASSES)).clip(min=1)
    shares: Float64[np.ndarray, " 5"] = counts / counts.sum()
    return shares


def logit_adjustment(model: Classifier, train: Images) -> Loss:
    """Adds the logarithm of the classes' shares to the scores in training, so that they fit classes equally common.

    Reference: Menon et al. 2021, arXiv:2007.07314, equation 10 with τ = 1.
    """
    shares = torch.from_numpy(class_shares(train.labels)).float().log()

    def compute(scores: Tensor, targets: Tensor, embeddings: Tensor | None, labs: Tensor) -> Tensor:
        return cross_entropy(scores + shares.to(scores), targets)

    return Loss(compute=compute)


def l2_sp(model: Classifier, train: Images) -> Loss:
    """Holds the backbone's weights to those that training starts from, and the head's to zero.

    The recipe's weight decay acts besides.

    Reference: Li et al. 2018, arXiv:1802.01483, equation 3 with α = 0.1 and β = 0.01.
    """
    held = [(value, value.detach().clone()) for value in model.backbone.parameters() if value.requires_grad]
    head = list(model.head.parameters())

    def compute(scores: Tensor, targets: Tensor, embeddings: Tensor | None, labs: Tensor) -> Tensor:
        moved = sum((value - start).square().sum() for value, start in held)
        size = sum(value.square().sum() for value in head)
        return cross_entropy(scores, targets) + TO_START / 2 * moved + TO_ZERO / 2 * size

    return Loss(compute=compute)
