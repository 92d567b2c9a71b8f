"""The changes the paper makes to a network: its head, its frozen batch norms and its frozen layers."""

from typing import Literal

from timm.models.resnet import ResNet
from torch import nn

from wbc.cells import CLASSES


def build_head(kind: Literal["linear", "fc"], width: int) -> nn.Sequential:
    """Returns the layers from pooled features to the five scores, the last of them linear, initialised as PyTorch does.

    Args:
        kind: "linear" for one layer; "fc" for VGG's three with dropout, as wide as the features (2048 in ResNet50).
        width: number of features.
    """
    if kind == "linear":
        return nn.Sequential(nn.Linear(width, len(CLASSES)))
    return nn.Sequential(
        *(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        *(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        nn.Linear(width, len(CLASSES)),
    )


def freeze_batch_norm(network: nn.Module) -> None:
    """Fixes statistics and parameters of each batch norm as they are: row (ii).

    The modules stay what they are, so that checkpoints keep their names. `train()` thaws the statistics; whoever calls
    it calls this again.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
            module.requires_grad_(False)


def freeze_all_but_last_convolutions(network: nn.Module, count: int = 16) -> None:
    """Leaves trainable, of the whole network, only its last `count` convolutions, in order of definition: row (iii).

    Shortcut convolutions count. In ResNet50 sixteen are the last two blocks of layer3 and all of layer4.
    """
    network.requires_grad_(False)
    for convolution in [module for module in network.modules() if isinstance(module, nn.Conv2d)][-count:]:
        convolution.requires_grad_(True)


def split_at_first_trainable(network: nn.Module) -> tuple[nn.Sequential, nn.Sequential] | None:
    """Returns a ResNet's layers before the first that trains, and the others; None for other networks or if none is."""
    if not isinstance(network, ResNet):
        return None
    blocks = [block for stage in range(1, 5) for block in network.get_submodule(f"layer{stage}").children()]
    layers = [network.conv1, network.bn1, network.act1, network.maxpool, *blocks, network.global_pool]
    trains = [any(parameter.requires_grad for parameter in layer.parameters()) for layer in layers]
    first = trains.index(True) if any(trains) else 0
    return (nn.Sequential(*layers[:first]), nn.Sequential(*layers[first:])) if first else None
