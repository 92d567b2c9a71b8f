"""What is frozen and what is added, against the numbers of the paper's networks."""

from typing import Literal

import pytest
import torch
from torch import nn

from wbc.models.build import Classifier, build_model


def build(name: str, scale: Literal["full", "tiny"] = "full", image_size: int = 224) -> Classifier:
    """Returns the row; at full scale on the meta device, where nothing is computed."""
    with torch.device("meta" if scale == "full" else "cpu"):
        return build_model(name, scale=scale, image_size=image_size, pretrained="none", seed=0)


def trainable_convolutions(model: Classifier) -> list[str]:
    modules = model.backbone.named_modules()
    return [name for name, m in modules if isinstance(m, nn.Conv2d) and m.weight.requires_grad]


def test_last16_trains_sixteen_convolutions_at_full_scale() -> None:
    names = trainable_convolutions(build("resnet50_frozenbn_last16"))
    blocks = sorted({".".join(name.split(".")[:2]) for name in names})
    assert len(names) == 16
    assert blocks == ["layer3.4", "layer3.5", "layer4.0", "layer4.1", "layer4.2"]
    assert "layer4.0.downsample.0" in names


def test_last16_trains_sixteen_convolutions_at_tiny_scale() -> None:
    names = trainable_convolutions(build("resnet50_frozenbn_last16", "tiny", 48))
    blocks = sorted({".".join(name.split(".")[:2]) for name in names})
    assert len(names) == 16
    assert blocks == ["layer3.1", "layer3.2", "layer4.0", "layer4.1", "layer4.2"]


def test_last16_trains_nothing_else_but_the_head() -> None:
    model = build("resnet50_frozenbn_last16")
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    convolutions = {f"backbone.{name}.weight" for name in trainable_convolutions(model)}
    assert trained == convolutions | {"head.0.weight", "head.0.bias"}


def test_frozenbn_freezes_weight_and_bias_of_53_layers() -> None:
    model = build("resnet50_frozenbn")
    frozen = [value for value in model.parameters() if not value.requires_grad]
    assert len(frozen) == 2 * 53
    assert sum(value.numel() for value in frozen) == 53_120


@pytest.mark.parametrize("name", ["resnet50_frozenbn", "resnet50_frozenbn_last16"])
def test_frozenbn_stays_as_it_is_when_trained(name: str) -> None:
    model = build(name, "tiny", 48)
    norms = {
        f"{key}.{k}": v
        for key, m in model.named_modules()
        if isinstance(m, nn.BatchNorm2d)
        for k, v in m.state_dict().items()
    }
    before = {key: value.clone() for key, value in norms.items()}
    moving = [value for value in model.parameters() if value.requires_grad]
    first = moving[0].detach().clone()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):
        model.eval()
        model.train()
        model(torch.randint(0, 256, (4, 3, 48, 48), dtype=torch.uint8)).square().sum().backward()
        optimiser.step()
    assert not torch.equal(moving[0], first)
    assert all(torch.equal(norms[key], before[key]) for key in before)


def test_frozenbn_keeps_the_names_of_the_state() -> None:
    assert list(build("resnet50_frozenbn").state_dict()) == list(build("resnet50").state_dict())


def test_fc_head_has_the_three_layers_of_vgg() -> None:
    head = build("resnet50_fc").head
    assert [type(layer).__name__ for layer in head] == [*["Linear", "ReLU", "Dropout"] * 2, "Linear"]
    assert [tuple(head[i].weight.shape) for i in (0, 3, 6)] == [(2048, 2048), (2048, 2048), (5, 2048)]
    assert [head[i].p for i in (2, 5)] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("name", "width", "parameters"),
    [
        ("resnet50", 2048, 23_518_277),
        ("resnet50_fc", 2048, 31_910_981),
        ("resnet50_gn", 2048, 23_518_277),
        ("vgg16", 4096, 134_281_029),
        ("vgg16_bn", 4096, 134_289_477),
        ("vit_b_16", 768, 85_802_501),
        ("convnext_tiny", 768, 27_823_973),
    ],
)
def test_full_network_is_as_large_as_published(name: str, width: int, parameters: int) -> None:
    model = build(name)
    assert model.head[-1].in_features == width
    assert sum(value.numel() for value in model.parameters()) == parameters


@pytest.mark.parametrize("scale", ["full", "tiny"])
@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn"])
def test_vgg_has_13_convolutions_3_linear_layers_and_2_dropouts(name: str, scale: Literal["full", "tiny"]) -> None:
    model = build(name, scale, 48)
    # timm writes VGG's first two linear layers as convolutions over the whole 7x7 map.
    linear = [model.backbone.pre_logits.fc1, model.backbone.pre_logits.fc2, *model.head]
    assert sum(isinstance(module, nn.Conv2d) for module in model.backbone.features) == 13
    assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.modules()) == 13 + len(linear)
    assert len(linear) == 3
    assert [module.p for module in model.modules() if isinstance(module, nn.Dropout)] == [0.5, 0.5]
