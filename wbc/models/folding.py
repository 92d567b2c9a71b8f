"""Frozen batch norm computed inside the convolution before it: the same function and gradient, one pass less.

With s = γ/√(var + ε), the norm of W * x is (W·s) * x + (β − μ·s). The tensors stay where they are, under their names.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from timm.layers.padding import pad_same
from torch import Tensor, nn

from wbc.models.surgery import sequence


@contextmanager
def folded(network: nn.Module) -> Iterator[None]:
    """Folds, inside the block, each batch norm that is frozen while the network trains, that is, in evaluation mode.

    A network that is not a sequence of layers stays unchanged: there a norm may act before the convolution that it is
    defined after. Only training uses this. Whoever looks at a norm's inputs, or sets its statistics, finds the norm as
    it is defined.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    pairs = [
        (convolution, norm)
        for convolution, norm in (pairwise(layers) if sequence(network) else ())
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and not norm.training
    ]
    # Attributes of the instance go before the class's: these shadow its forward until they are deleted.
    for convolution, norm in pairs:
        convolution.forward = partial(_convolve, convolution, norm)  # type: ignore[method-assign]
        norm.forward = partial(_activate, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module in (module for pair in pairs for module in pair):
            del module.forward


def _convolve(convolution: nn.Conv2d, norm: nn.BatchNorm2d, inputs: Tensor) -> Tensor:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    if isinstance(convolution, Conv2dSame):
        kernel, stride, dilation = map(list, (convolution.kernel_size, convolution.stride, convolution.dilation))
        inputs = pad_same(inputs, kernel, stride, dilation)
    shift = norm.bias - norm.running_mean * scale
    outputs: Tensor = convolution._conv_forward(inputs, convolution.weight * scale[:, None, None, None], shift)
    return outputs


def _activate(norm: nn.BatchNorm2d, inputs: Tensor) -> Tensor:
    """Returns what timm's norm does after normalising: it holds the activation too."""
    if not isinstance(norm, BatchNormAct2d):
        return inputs
    outputs: Tensor = norm.act(norm.drop(inputs))
    return outputs
