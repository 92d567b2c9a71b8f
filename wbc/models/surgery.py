"""The changes the paper makes to a network: its head, its frozen batch norms and its frozen layers."""

from typing import Final, Literal

from timm.models.efficientnet import EfficientNet
from timm.models.resnet import ResNet
from torch import nn

from wbc.cells import CLASSES

LAST: Final = 16
"""Convolutions that row (iii) trains."""


def build_head(kind: Literal["linear", "fc"], width: int) -> nn.Sequential:
    """Returns the layers from pooled features to the five scores, the last of them linear, initialised as PyTorch does.

    "fc" is VGG's three layers with dropout, as wide as the features (2048 in ResNet50).
    """
    if kind == "linear":
        return nn.Sequential(nn.Linear(width, len(CLASSES)))
    return nn.Sequential(
        *(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        *(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        nn.Linear(width, len(CLASSES)),
    )


def freeze_layers(network: nn.Module, trainable: Literal["all", "last16", "head"], *, norms: bool) -> None:
    """Leaves trainable what a row says: rows (ii) and (iii), their control with live batch norm, a linear probe.

    The modules stay what they are, so that checkpoints keep their names. Shortcut convolutions count, in order
    of definition. In ResNet50 the last sixteen are the last two blocks of layer3 and all of layer4. In
    EfficientNet-Lite0 they are the last two stages and the convolution after them.

    With `norms` batch norms train where the convolutions before them do; else all of them are frozen.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    if trainable != "all":
        network.requires_grad_(False)
    if trainable == "last16":
        places = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
        for layer in layers[places[-LAST] :]:
            layer.requires_grad_(True)
    if not norms:
        for layer in layers:
            if isinstance(layer, nn.BatchNorm2d):
                layer.requires_grad_(False)


def frozen_batch_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """Returns the batch norms whose weight does not train: their statistics stay too, whoever holds them in `eval`."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return [norm for norm in norms if norm.affine and not norm.weight.requires_grad]


def live_batch_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """Returns the batch norms that gather statistics in training: all but the frozen ones."""
    frozen = set(frozen_batch_norms(network))
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d) and module not in frozen]


def sequence(network: nn.Module) -> list[nn.Module] | None:
    """Returns the layers that make up a network when they are called one after the other; None if it is not so made."""
    if isinstance(network, ResNet):
        blocks = [block for stage in range(1, 5) for block in network.get_submodule(f"layer{stage}").children()]
        return [network.conv1, network.bn1, network.act1, network.maxpool, *blocks, network.global_pool]
    if isinstance(network, EfficientNet):
        blocks = [block for stage in network.blocks.children() for block in stage.children()]
        ends = (network.conv_head, network.bn2, network.global_pool)
        return [network.conv_stem, network.bn1, *blocks, *ends]
    if isinstance(network, nn.Sequential):
        return [layer for part in network for layer in (part if isinstance(part, nn.Sequential) else [part])]
    return None


def split_at_first_trainable(network: nn.Module) -> tuple[nn.Sequential, nn.Sequential] | None:
    """Returns the layers before the first that trains, and the others; None if that is none or cannot be said.

    Where nothing trains, the first part is the whole network.
    """
    layers = sequence(network)
    if layers is None:
        return None
    trains = [any(parameter.requires_grad for parameter in layer.parameters()) for layer in layers]
    first = trains.index(True) if any(trains) else len(layers)
    return (nn.Sequential(*layers[:first]), nn.Sequential(*layers[first:])) if first else None
