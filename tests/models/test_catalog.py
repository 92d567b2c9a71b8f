"""The rows as the paper and the pages of their weights have them."""

import subprocess
import sys

import pytest
import timm
import torchvision

from wbc.errors import ConfigError
from wbc.models.catalog import BACKBONES, MODELS, PAPER_ROWS, find_backbone, find_model


def test_paper_rows_follow_table_4() -> None:
    indices = [MODELS[name].index for name in PAPER_ROWS]
    assert indices == ["(a)", "(a')", "(i)", "(ii)", "(iii)", "(b)", "(b')", "(c)", "(d)"]
    assert [name for name, row in MODELS.items() if row.index] == list(PAPER_ROWS)


def test_resnet50_rows_share_their_weights() -> None:
    rows = ("resnet50", "resnet50_fc", "resnet50_frozenbn", "resnet50_frozenbn_last16")
    assert {MODELS[name].backbone for name in rows} == {"resnet50"}


@pytest.mark.parametrize("key", [key for key, backbone in BACKBONES.items() if not backbone.package])
def test_library_knows_the_weights(key: str) -> None:
    backbone = BACKBONES[key]
    if backbone.library == "torchvision":
        assert torchvision.models.get_weight(backbone.weights).meta["num_params"] == 86_567_656
    else:
        assert backbone.weights in timm.list_pretrained(backbone.name + ".*")


def test_find_model_names_the_nearest_when_misspelt() -> None:
    with pytest.raises(ConfigError, match="unknown model 'resnet50_gm'; did you mean 'resnet50_gn'"):
        find_model("resnet50_gm")


@pytest.mark.parametrize(
    ("name", "nearest"), [("resnet18x", "timm:resnet18"), ("resnet18.a1_in1", "timm:resnet18.a1_in1k")]
)
def test_find_model_names_the_nearest_when_timm_lacks_it(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown timm backbone '{name}'; did you mean '{nearest}'"):
        find_model(f"timm:{name}")


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("timm:resnet18", "resnet18.a1_in1k"),
        ("timm:resnet18.tv_in1k", "resnet18.tv_in1k"),
        ("timm:test_vit", "test_vit.r160_in1k"),
    ],
)
def test_timm_row_takes_the_tag_or_its_default(name: str, weights: str) -> None:
    row = find_model(name)
    assert (row.norm, row.head, row.index) == ("own", "linear", "")
    assert find_backbone(row.backbone).weights == weights


def test_catalogue_imports_no_torch() -> None:
    code = "import sys, wbc.models.catalog; assert not {'torch', 'timm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
