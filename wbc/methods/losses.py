"""What is minimised in place of the paper's cross entropy, or beside it."""

from itertools import combinations
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from wbc.cells import CLASSES
from wbc.data.images import Images
from wbc.methods.parts import Integers, Loss
from wbc.models.build import Classifier

TO_START: Final = 0.1
TO_ZERO: Final = 0.01
ALIKE: Final = 1.0
"""What the difference between labs weighs beside the cross entropy, in CORAL and in V-REx."""
STEP: Final = 0.01
"""How fast GroupDRO's weights move towards the lab of the highest loss: its step size."""


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


def coral(model: Classifier, train: Images) -> Loss:
    """Draws means and covariances of the labs' embeddings together: adds their mean squared differences.

    The mean is over pairs of labs that have two images or more in the batch; without a pair nothing is added.

    Reference: Sun & Saenko 2016, arXiv:1607.01719; between all labs trained on and with the means, as in DomainBed
    (Gulrajani & Lopez-Paz 2021, arXiv:2007.01434), of weight 1.
    """

    def compute(scores: Tensor, targets: Tensor, embeddings: Tensor | None, labs: Tensor) -> Tensor:
        assert embeddings is not None
        with torch.autocast(scores.device.type, enabled=False):
            parts = [embeddings.float()[labs == lab] for lab in labs.unique()]
            moments = [(part.mean(0), part.T.cov()) for part in parts if len(part) > 1]
            apart = [
                (mean - other).square().mean() + (spread - wider).square().mean()
                for (mean, spread), (other, wider) in combinations(moments, 2)
            ]
        entropy = cross_entropy(scores, targets)
        return entropy + ALIKE * torch.stack(apart).mean() if apart else entropy

    return Loss(compute=compute, embeddings=True)


def group_dro(model: Classifier, train: Images) -> Loss:
    """Weighs the labs' mean losses; a lab's weight grows with the exponential of its loss, step by step.

    A lab without images in the batch keeps its weight, and the others' weights are brought to a sum of 1.

    Reference: Sagawa et al. 2020, arXiv:1911.08731, algorithm 1 with a step size of 0.01, without its adjustment for
    the size of groups.
    """
    count = int(train.labs.max()) + 1
    weights = torch.full((count,), 1 / count, device=next(model.parameters()).device)

    def compute(scores: Tensor, targets: Tensor, embeddings: Tensor | None, labs: Tensor) -> Tensor:
        losses, present = lab_losses(scores, targets, labs, count)
        with torch.no_grad():
            weights.mul_((STEP * losses).exp()).div_(weights.sum())
        held = weights * present
        return (held * losses).sum() / held.sum()

    return Loss(compute=compute, state={"weights": weights})


def v_rex(model: Classifier, train: Images) -> Loss:
    """Minimises the mean of the labs' mean losses, and their variance; labs without images in the batch do not count.

    Reference: Krueger et al. 2021, arXiv:2003.00688, equation 8, with the mean for the sum and a weight of 1, which is
    DomainBed's of the first 500 steps.
    """
    count = int(train.labs.max()) + 1

    def compute(scores: Tensor, targets: Tensor, embeddings: Tensor | None, labs: Tensor) -> Tensor:
        losses, present = lab_losses(scores, targets, labs, count)
        found = losses[present]
        return found.mean() + ALIKE * found.var(correction=0)

    return Loss(compute=compute)


def lab_losses(
    scores: Float[Tensor, "batch 5"], targets: Tensor, labs: Int64[Tensor, " batch"], count: int
) -> tuple[Float[Tensor, " labs"], Bool[Tensor, " labs"]]:
    """Returns the mean loss of each lab in a batch, 0 where it has no image there, and whether it has any."""
    members = one_hot(labs, count).to(torch.float32)
    each = cross_entropy(scores, targets, reduction="none").float()
    images = members.sum(0)
    return (members * each[:, None]).sum(0) / images.clamp(min=1), images > 0
