"""The contract of each row, at scale=tiny."""

import numpy as np
import pytest
import torch
from beartype import beartype
from jaxtyping import jaxtyped
from torch import Tensor, nn

from wbc.models.build import Classifier, build_model
from wbc.models.catalog import BACKBONES, MODELS

NORM_CLASSES = {
    "batch": {"BatchNorm2d"},
    "frozen_batch": {"BatchNorm2d"},
    "group": {"GroupNorm"},
    "layer": {"LayerNorm"},
    "none": set(),
}

each_row = pytest.mark.parametrize("name", MODELS)


def tiny(name: str, seed: int = 0, image_size: int = 48) -> Classifier:
    return build_model(name, scale="tiny", image_size=image_size, pretrained="none", seed=seed)


def some_images(size: int = 48) -> Tensor:
    return torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@each_row
def test_forward_gives_five_scores_of_the_declared_shapes(name: str) -> None:
    model = tiny(name)
    forward = jaxtyped(typechecker=beartype)(Classifier.forward)
    scores = forward(model, some_images())
    assert scores.shape == (4, 5)
    assert scores.dtype == torch.float32


@each_row
def test_embedding_is_the_input_of_the_last_linear_layer(name: str) -> None:
    model = tiny(name).eval()
    with torch.no_grad():
        embedding = jaxtyped(typechecker=beartype)(Classifier.embed)(model, some_images())
        torch.testing.assert_close(model.head[-1](embedding), model(some_images()))


@each_row
def test_float_images_score_as_bytes_do(name: str) -> None:
    model = tiny(name).eval()
    with torch.no_grad():
        assert torch.equal(model(some_images().float()), model(some_images()))


@each_row
def test_gradients_reach_exactly_the_trainable_parameters(name: str) -> None:
    model = tiny(name)
    model(some_images()).sum().backward()
    reached = {key for key, value in model.named_parameters() if value.grad is not None}
    assert reached == {key for key, value in model.named_parameters() if value.requires_grad}
    frozen = len(list(model.parameters())) - len(reached)
    assert (frozen > 0) == (MODELS[name].norm == "frozen_batch" or MODELS[name].trainable != "all")


@each_row
def test_norms_are_the_ones_the_row_names(name: str) -> None:
    kinds = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
    found = {kind.__name__ for kind in kinds for module in tiny(name).modules() if isinstance(module, kind)}
    assert found == NORM_CLASSES[MODELS[name].norm]


@each_row
def test_seed_decides_the_weights_and_leaves_the_global_generators_alone(name: str) -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    one, same, other = tiny(name), tiny(name), tiny(name, seed=1)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert equal(one, same)
    assert not equal(one.backbone, other.backbone)
    assert not equal(one.head, other.head)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("image_size", [32, 72])
def test_other_image_sizes_are_taken(name: str, image_size: int) -> None:
    assert tiny(name, image_size=image_size).eval()(some_images(image_size)).shape == (4, 5)


def test_head_does_not_depend_on_the_backbone() -> None:
    assert equal(tiny("resnet50").head, tiny("resnet50_gn").head)


def test_rows_of_one_backbone_start_from_the_same_weights() -> None:
    assert equal(tiny("resnet50").backbone, tiny("resnet50_frozenbn_last16").backbone)
