"""Weights from files, what they declare, and what is refused."""

import argparse
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import huggingface_hub
import pytest
import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn

from wbc.errors import CheckpointError, ConfigError, WeightsError
from wbc.models.build import Classifier, backbone_state, build_model, write_backbone
from wbc.models.catalog import BACKBONES
from wbc.models.surgery import build_head
from wbc.models.weights import IMAGENET_MEAN, IMAGENET_STD, declared_normalisation, find_weights
from wbc.training.checkpoint import read_checkpoint

DOWNLOADED = [key for key, backbone in BACKBONES.items() if not backbone.package]
"""Backbones whose ImageNet weights no package holds."""


def tiny(name: str, pretrained: object = "none", seed: int = 0, image_size: int = 48) -> Classifier:
    return build_model(name, scale="tiny", image_size=image_size, pretrained=str(pretrained), seed=seed)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def statistics(
    name: str, normalisation: Literal["weights", "imagenet"], scale: Literal["full", "tiny"] = "full"
) -> list[float]:
    """Returns the three means and three standard deviations the model subtracts and divides by."""
    model = build_model(name, scale=scale, image_size=64, pretrained="none", seed=0, normalisation=normalisation)
    return [*model.mean.flatten().tolist(), *model.std.flatten().tolist()]


@pytest.mark.parametrize("name", BACKBONES)
def test_backbone_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    saved = tiny(name, seed=1)
    write_backbone(saved, tmp_path / "weights.safetensors")
    loaded = tiny(name, tmp_path / "weights.safetensors")
    assert same(backbone_state(loaded), backbone_state(saved))
    assert not same(loaded.head.state_dict(), saved.head.state_dict())


@pytest.mark.parametrize("stem", ["resnet50.tv_in1k", "resnet50"])
def test_folder_serves_each_row_of_the_backbone(stem: str, tmp_path: Path) -> None:
    saved = tiny("resnet50", seed=1)
    write_backbone(saved, tmp_path / f"{stem}.safetensors")
    for name in ("resnet50_fc", "resnet50_frozenbn", "resnet50_frozenbn_last16"):
        assert same(backbone_state(tiny(name, tmp_path)), backbone_state(saved))


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "vit_b_16", "convnext_tiny"])
def test_imagenet_classifier_in_the_file_is_ignored(name: str, tmp_path: Path) -> None:
    classifier = {"resnet50": "fc", "vit_b_16": "heads.head"}.get(name, "head.fc")
    state = backbone_state(tiny(name, seed=1))
    extra = {f"{classifier}.weight": torch.zeros(1000, 8), f"{classifier}.bias": torch.zeros(1000)}
    torch.save({"state_dict": state | extra}, tmp_path / "weights.pth")
    assert same(backbone_state(tiny(name, tmp_path / "weights.pth")), state)


def test_torchvision_names_are_translated_for_resnet50(tmp_path: Path) -> None:
    # Thin weights cannot come from torchvision, so that this is the one full network built on the CPU.
    original = torchvision.models.resnet50(weights=None).eval()
    torch.save(original.state_dict(), tmp_path / "resnet50.pth")
    model = build_model("resnet50", scale="full", image_size=64, pretrained=str(tmp_path), seed=0).eval()
    original.fc = torch.nn.Identity()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        expected = original((images / 255 - model.mean) / model.std)
        torch.testing.assert_close(model.embed(images), expected)


def test_vit_positions_are_interpolated_when_the_image_size_differs(tmp_path: Path) -> None:
    saved = tiny("vit_b_16", seed=1)
    write_backbone(saved, tmp_path / "weights.safetensors")
    loaded = backbone_state(tiny("vit_b_16", tmp_path / "weights.safetensors", image_size=64))
    before = backbone_state(saved)
    assert loaded["encoder.pos_embedding"].shape == (1, 8 * 8 + 1, 64)
    assert torch.equal(loaded["encoder.pos_embedding"][:, 0], before["encoder.pos_embedding"][:, 0])
    assert torch.equal(loaded["conv_proj.weight"], before["conv_proj.weight"])


@pytest.mark.parametrize("name", [key for key in BACKBONES if key != "resnet50"])
def test_weights_of_another_network_are_refused(name: str, tmp_path: Path) -> None:
    write_backbone(tiny("resnet50"), tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=f"do not fit backbone '{name}'"):
        tiny(name, tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"conv1.weight": None}, r"\(missing: conv1.weight\)"),
        ({"layer5.weight": torch.zeros(1)}, r"\(not in the network: layer5.weight\)"),
        ({"conv1.weight": torch.zeros(1)}, r"\(of another shape: conv1.weight\)"),
    ],
)
def test_tensor_that_does_not_fit_is_named(change: dict[str, Tensor | None], fault: str, tmp_path: Path) -> None:
    state = {key: value for key, value in (backbone_state(tiny("resnet50")) | change).items() if value is not None}
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match=fault):
        tiny("resnet50", tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("wrapper", "average"),
    [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("model", "average"), ("model", "ema_state_dict")],
)
def test_trained_weights_beside_averaged_ones_are_refused_with_the_choice(
    wrapper: str, average: str, tmp_path: Path
) -> None:
    state = backbone_state(tiny("resnet50"))
    spread = {f"module.{name}": value for name, value in state.items()}
    torch.save({wrapper: state, average: {"module": spread}, "epoch": 3}, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=f"hold both '{wrapper}' and '{average}'.* save the one that you mean"):
        tiny("resnet50", tmp_path / "weights.pth")


@pytest.mark.parametrize(
    ("name", "value"), [("conv1.weight", float("nan")), ("bn1.bias", float("inf")), ("bn1.running_var", -1e-3)]
)
def test_values_that_no_network_can_have_are_refused_by_name(name: str, value: float, tmp_path: Path) -> None:
    state = backbone_state(tiny("resnet50"))
    state[name].view(-1)[0] = value
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match=f"not finite, or variances below 0, in {name}: get the file again"):
        tiny("resnet50", tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda weight: weight.double() * 1e300, "not finite"),
        (lambda weight: (weight * 100).to(torch.int8), r"\(of another type: conv1.weight\)"),
        (lambda weight: weight.to(torch.complex64), r"\(of another type: conv1.weight\)"),
    ],
)
def test_values_that_the_network_cannot_hold_are_refused(
    change: Callable[[Tensor], Tensor], fault: str, tmp_path: Path
) -> None:
    state = backbone_state(tiny("resnet50"))
    torch.save(state | {"conv1.weight": change(state["conv1.weight"])}, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=fault):
        tiny("resnet50", tmp_path / "weights.pth")


def test_weights_that_are_all_zero_are_refused(tmp_path: Path) -> None:
    state = {name: torch.zeros_like(value) for name, value in backbone_state(tiny("resnet50")).items()}
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(WeightsError, match="are all 0: get the file again"):
        tiny("resnet50", tmp_path / "weights.safetensors")


def test_file_that_unpacks_to_more_than_it_is_is_refused_unread(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1_000_000)}, tmp_path / "plain.pth")
    packed = tmp_path / "packed.pth"
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for each in plain.infolist():
            file.writestr(each.filename, plain.read(each))
    with pytest.raises(WeightsError, match="unpacks to more than it is"):
        tiny("resnet50", packed)
    with pytest.raises(CheckpointError, match="unpacks to more than it is"):
        read_checkpoint(packed)


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(WeightsError, match="cannot be read"):
        tiny("resnet50", tmp_path / "weights.safetensors")


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("content", [b"<html>404</html>", b"version https://git-lfs\n", pickle.dumps({"a": 1}), None])
def test_file_that_pytorch_takes_for_code_gets_a_remedy_that_runs_nothing(
    content: bytes | None, tmp_path: Path
) -> None:
    if content is None:
        torch.jit.save(torch.jit.script(nn.Linear(1, 1)), tmp_path / "weights.pth")
    else:
        (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"no state dictionary that PyTorch has saved.*: fetch the file") as caught:
        tiny("resnet50", tmp_path / "weights.pth")
    assert "weights_only" not in str(caught.value)


def test_code_beside_the_tensors_is_named_with_the_remedy(tmp_path: Path) -> None:
    content = {"state_dict": {"conv1.weight": torch.zeros(1)}, "args": argparse.Namespace(lr=0.1)}
    torch.save(content, tmp_path / "timm.pth")
    with pytest.raises(WeightsError, match=r"hold argparse.Namespace beside the tensors, which is code") as caught:
        tiny("resnet50", tmp_path / "timm.pth")
    assert "if you trust this file, save its state dictionary" in str(caught.value)


def test_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not there"):
        tiny("resnet50", tmp_path / "nowhere.pth")


def test_folder_without_the_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"expected resnet50\.tv_in1k\.safetensors"):
        tiny("resnet50", tmp_path)


def test_folder_with_several_weights_of_a_backbone_is_refused(tmp_path: Path) -> None:
    for name in ("vgg16.safetensors", "vgg16.pth"):
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=r"holds vgg16.safetensors and vgg16.pth for 'vgg16': give the file"):
        find_weights(str(tmp_path), "vgg16", BACKBONES["vgg16"])


@pytest.mark.parametrize("key", DOWNLOADED)
def test_imagenet_is_refused_with_the_remedy_when_offline(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with torch.device("meta"), pytest.raises(WeightsError, match=BACKBONES[key].weights) as refusal:
        build_model(key, scale="full", image_size=224, pretrained="imagenet", seed=0)
    message = str(refusal.value)
    assert "HF_HUB_OFFLINE is set" in message
    assert "pretrained=PATH" in message
    assert "pretrained=none" in message
    assert "\n" not in message


def test_imagenet_is_refused_when_tiny() -> None:
    with pytest.raises(WeightsError, match="no ImageNet weights exist for scale=tiny"):
        tiny("resnet50", "imagenet")


@pytest.mark.parametrize("key", DOWNLOADED)
def test_declared_normalisation_is_one_half_for_resnetv2_only(key: str) -> None:
    mean, std = declared_normalisation(BACKBONES[key])
    half = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert (mean, std) == (half if key.startswith("resnetv2") else (IMAGENET_MEAN, IMAGENET_STD))


def test_model_normalises_as_its_weights_declare_unless_asked_otherwise() -> None:
    assert statistics("timm:test_vit2", "weights") == pytest.approx([0.5] * 6)
    assert statistics("timm:test_vit2", "imagenet") == pytest.approx([*IMAGENET_MEAN, *IMAGENET_STD])


def test_tiny_model_normalises_as_for_imagenet() -> None:
    assert statistics("resnetv2_50d_gn", "weights", "tiny") == pytest.approx([*IMAGENET_MEAN, *IMAGENET_STD])


def test_bytes_are_scaled_and_normalised_before_the_backbone() -> None:
    model = Classifier(
        backbone=torch.nn.Flatten(), head=build_head("linear", 3), mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.1)
    )
    embedding = model.embed(torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1))
    torch.testing.assert_close(embedding, torch.tensor([[-1.0, 2.0, -3.0]]))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_normalisation_is_the_same_to_the_bit_in_each_layout(layout: torch.memory_format, kind: torch.dtype) -> None:
    model = tiny("resnet50")
    images = torch.randint(0, 256, (4, 3, 10, 14)).to(kind).to(memory_format=layout)
    before = images.clone()
    assert torch.equal(model.normalise(images), (images.float() / 255 - model.mean) / model.std)
    assert torch.equal(images, before)
    wanted = images.float().requires_grad_()
    model.normalise(wanted).sum().backward()
    assert wanted.grad is not None
    assert wanted.grad.unique().numel() == 3  # one over 255 and each channel's deviation


def test_vit_refuses_an_image_that_its_patches_do_not_divide() -> None:
    with pytest.raises(ConfigError, match="image_size=50 does not divide into the patches of vit_b_16: 8 pixels"):
        tiny("vit_b_16", image_size=50)


def test_vgg_refuses_an_image_that_pools_to_nothing() -> None:
    with pytest.raises(ConfigError, match="vgg16 does not take image_size=16"):
        tiny("vgg16", image_size=16)


def test_timm_backbone_is_built_at_full_scale_only() -> None:
    assert (
        build_model("timm:test_resnet", scale="full", image_size=64, pretrained="none", seed=0).head[-1].out_features
        == 5
    )
    with pytest.raises(ConfigError, match="scale=full"):
        build_model("timm:test_resnet", scale="tiny", image_size=64, pretrained="none", seed=0)


def test_timm_transformer_takes_the_image_size() -> None:
    model = build_model("timm:test_vit", scale="full", image_size=96, pretrained="none", seed=0).eval()
    assert model(torch.zeros(1, 3, 96, 96, dtype=torch.uint8)).shape == (1, 5)
