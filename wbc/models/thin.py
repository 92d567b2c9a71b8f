"""Builds the networks, and what the thin variants need beyond the keywords of timm's constructors.

timm fixes the width of VGG's layers and of ResNet's stem; here they are replaced by the same layers, narrower.
"""

from collections import OrderedDict
from functools import partial
from typing import Any

import timm
from timm.layers.classifier import ClassifierHead
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm import GroupNorm
from timm.models.efficientnet import _gen_efficientnet_lite
from timm.models.vgg import VGG, ConvMlp
from torch import nn
from torchvision.models import VisionTransformer
from torchvision.models.squeezenet import Fire

from wbc.models.catalog import Backbone


def build_network(backbone: Backbone, keywords: dict[str, Any], image_size: int) -> nn.Module:
    """Returns the backbone with random weights and no classifier: images in, pooled features out.

    `keywords` are its `full` or `tiny`. The position embedding of some networks depends on `image_size`, in pixels.
    """
    if "divisor" in keywords:
        return _squeezenet(**keywords)
    if "channel_multiplier" in keywords:
        lite: nn.Module = _gen_efficientnet_lite(  # type: ignore[no-untyped-call]
            backbone.name, pretrained=False, num_classes=0, pad_type="same", bn_eps=1e-3, **keywords
        )
        return lite
    if backbone.library == "torchvision":
        transformer: nn.Module = VisionTransformer(image_size=image_size, **keywords)
        transformer.heads = nn.Identity()
        return transformer
    if "widths" in keywords:
        return _thin_vgg(batch_norm=backbone.name.endswith("_bn"), **keywords)
    keywords = dict(keywords)
    stem_channels = keywords.pop("stem_channels", None)
    if "num_groups" in keywords:
        keywords["norm_layer"] = partial(GroupNorm, num_groups=keywords.pop("num_groups"))
    declared = timm.get_pretrained_cfg(backbone.name)
    if declared and declared.fixed_input_size:
        keywords["img_size"] = image_size
    network: nn.Module = timm.create_model(backbone.name, num_classes=0, **keywords)
    if stem_channels:
        _narrow_stem(network, stem_channels, keywords.get("norm_layer", nn.BatchNorm2d))
    return network


def _thin_vgg(*, batch_norm: bool, widths: tuple[int, ...], hidden: int) -> nn.Module:
    layers: list[int | str] = []
    for width, depth in zip(widths, (2, 2, 3, 3, 3), strict=True):
        layers += [*[width] * depth, "M"]
    norm = nn.BatchNorm2d if batch_norm else None
    network = VGG(layers, num_classes=0, norm_layer=norm, mlp_ratio=1 / 64)
    # At 40 pixels the map is one pixel. A 7 x 7 kernel would see 49 copies of it: Adam would move their sum 49 times
    # as far as other weights, and most of the layer would die.
    network.pre_logits = ConvMlp(widths[-1], hidden, 1, drop_rate=0.5)
    network.head = ClassifierHead(hidden, 0, drop_rate=0.5)
    network._initialize_weights()
    return network


def _squeezenet(*, divisor: int) -> nn.Module:
    """Returns SqueezeNet 1.1 in torchvision's names, its widths divided, as Keras has it.

    From torchvision's it differs in two ways. The first convolution pads as TensorFlow's "same" does, at any image
    size, where torchvision's pads nothing. Pooling leaves out a last row and column that fill no window, where
    torchvision's takes them in.

    Reference: Iandola et al. 2016, arXiv:1602.07360.
    """
    stem, widths = 64 // divisor, [16 // divisor, 32 // divisor, 48 // divisor, 64 // divisor]
    layers: list[nn.Module] = [Conv2dSame(3, stem, kernel_size=3, stride=2), nn.ReLU(inplace=True)]
    given = stem
    for place, width in enumerate(widths):
        if place < 3:
            layers.append(nn.MaxPool2d(kernel_size=3, stride=2))
        layers += [Fire(given, width, 4 * width, 4 * width), Fire(8 * width, width, 4 * width, 4 * width)]
        given = 8 * width
    for layer in nn.Sequential(*layers).modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    parts = {"features": nn.Sequential(*layers), "pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return nn.Sequential(OrderedDict(parts))


def _narrow_stem(network: Any, channels: int, norm_layer: Any) -> None:
    network.conv1 = nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False)
    network.bn1 = norm_layer(channels)
    first = network.layer1[0]
    for parent, name in ((first, "conv1"), (first.downsample, "0")):
        wide = getattr(parent, name)
        setattr(parent, name, nn.Conv2d(channels, wide.out_channels, wide.kernel_size, wide.stride, bias=False))
    network.init_weights(zero_init_last=False)
