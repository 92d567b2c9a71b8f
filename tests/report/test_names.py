"""What arms are called where people read."""

import pytest

from tests.report.conftest import arm
from tests.report.studies import at_home_and_away
from wbc.methods.catalog import ADAPTATIONS, METHODS, titles
from wbc.models.catalog import MODELS
from wbc.report.names import in_sentence, method_name, spoken
from wbc.report.study import Study


@pytest.fixture
def study() -> Study:
    return at_home_and_away(resnet50=[1])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet50", "ResNet50, batch norm"),
        ("resnet50_fc", "ResNet50, batch norm, FC layers"),
        ("resnet50_gn", "ResNet50, group norm"),
        ("resnet50_gn+mixup", "ResNet50, group norm + mixup"),
        ("resnet50+hed_jitter+ema", "ResNet50, batch norm + HED jitter + EMA"),
        ("resnet50+of_tomorrow", "ResNet50, batch norm + of_tomorrow"),
        ("resnet50_frozenbn_last16", "ResNet50, frozen batch norm, last 16 layers"),
        ("vit_b_16", "ViT-Base-16, layer norm"),
        ("lite0_frozenbn", "EfficientNet-Lite0, frozen batch norm"),
        ("lite0_last16", "EfficientNet-Lite0, batch norm, last 16 layers"),
        ("lite0_head", "EfficientNet-Lite0, linear layer only"),
        ("squeezenet", "SqueezeNet 1.1, no norm"),
        ("timm:resnet18", "resnet18"),
    ],
)
def test_name_is_network_norm_and_what_trains(study: Study, name: str, said: str) -> None:
    assert spoken(study, arm(name)) == said


def test_no_two_models_are_called_the_same(study: Study) -> None:
    assert len({spoken(study, arm(name)) for name in MODELS}) == len(MODELS)


def test_no_two_methods_or_adaptations_are_called_the_same() -> None:
    assert len({method_name(name) for name in titles()}) == len(METHODS) + len(ADAPTATIONS)


def test_name_within_a_sentence_has_no_comma_after_the_network(study: Study) -> None:
    assert in_sentence(study, arm("resnet50_gn")) == "ResNet50 with group norm"
