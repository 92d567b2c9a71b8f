"""Folded batch norm against the plain one, in double precision, and that nothing of it stays behind."""

import copy

import pytest
import torch
from torch import Tensor, nn

from wbc.models.build import Classifier, build_model
from wbc.models.folding import folded
from wbc.models.surgery import frozen_batch_norms

FOLDED = ("resnet50_frozenbn", "resnet50_frozenbn_last16", "lite0_frozenbn", "lite0_frozenbn_last16", "lite0_last16")


def classifier(name: str) -> Classifier:
    """Returns the thin row in double precision, its norms with statistics and parameters other than 0 and 1."""
    model = build_model(name, scale="tiny", image_size=48, pretrained="none", seed=0).double()
    draw = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_var, module.weight.data):
                values.uniform_(0.5, 2, generator=draw)
            for values in (module.running_mean, module.bias.data):
                values.normal_(0, 0.1, generator=draw)
    return model


def scores_and_gradient(model: Classifier) -> tuple[Tensor, Tensor]:
    images = torch.randint(0, 256, (4, 3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    scores = model(images.double())
    scores.square().sum().backward()
    return scores.detach(), torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])


@pytest.mark.parametrize("name", FOLDED)
def test_function_and_gradient_are_the_same_when_folded(name: str) -> None:
    model = classifier(name)
    plain, gradient = scores_and_gradient(copy.deepcopy(model))
    with folded(model.backbone):
        found, found_gradient = scores_and_gradient(model)
    torch.testing.assert_close(found, plain, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found_gradient, gradient, rtol=1e-7, atol=1e-9 * float(gradient.abs().max()))


@pytest.mark.parametrize("name", FOLDED)
def test_frozen_norms_do_not_normalise_when_folded_and_do_afterwards(name: str) -> None:
    model = classifier(name)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    frozen = frozen_batch_norms(model.backbone)
    names = list(model.state_dict())
    with folded(model.backbone):
        assert [norm for norm in norms if "forward" in vars(norm)] == frozen
        assert list(model.state_dict()) == names
    assert frozen
    assert not any("forward" in vars(module) for module in model.modules())


@pytest.mark.parametrize("name", ["lite0", "vgg16_bn", "vit_b_16"])
def test_live_norms_stay_as_they_are(name: str) -> None:
    model = build_model(name, scale="tiny", image_size=48, pretrained="none", seed=0)
    with folded(model.backbone):
        assert not any("forward" in vars(module) for module in model.modules())
