from pathlib import Path

import pytest

from wbc.data.catalog import DOMAINS
from wbc.data.splits import Reference, expand_targets, parse_source
from wbc.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("raabin:test_b", "raabin_test_b"),
        ("bccd", "bccd"),
        ("bccd:all", "bccd"),
        (" pbc2500:test ", "pbc2500_test"),
        ("folder:/some/My cells (2)", "folder_My_cells_2"),
    ],
)
def test_name_is_fit_for_a_metric(text: str, name: str) -> None:
    assert expand_targets(text)[0].name == name


def test_name_of_a_folder_in_another_script_is_a_hash() -> None:
    assert expand_targets("folder:/some/клетки")[0].name == "folder_afb113fc"


@pytest.mark.parametrize("key", DOMAINS)
def test_reference_reads_back_from_its_text(key: str) -> None:
    for split in DOMAINS[key].splits:
        assert parse_source(str(Reference(key, split)) if split != "all" else f"{key}:all") == Reference(key, split)


def test_folder_is_known_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert expand_targets("folder:cells")[0] == Reference(f"folder:{tmp_path / 'cells'}", "all")


def test_target_names_the_splits_when_unknown() -> None:
    with pytest.raises(ConfigError, match=r"unknown split of raabin 'test_c'.*Known: train, test_a, test_b"):
        expand_targets("raabin:test_c")


def test_parse_source_takes_the_training_split() -> None:
    assert parse_source("raabin") == Reference("raabin", "train")


def test_parse_source_says_what_to_write_when_the_domain_is_for_testing() -> None:
    with pytest.raises(ConfigError, match="name the split: lisc:all"):
        parse_source("lisc")


def test_parse_source_takes_any_split_that_is_named() -> None:
    assert parse_source("lisc:all") == Reference("lisc", "all")


def test_expand_targets_takes_the_test_splits_of_a_bare_domain() -> None:
    assert [target.name for target in expand_targets("raabin, lisc")] == ["raabin_test_a", "raabin_test_b", "lisc"]


@pytest.mark.parametrize("text", ["", " ", "lisc,", "lisc,,bccd"])
def test_expand_targets_refuses_an_empty_name(text: str) -> None:
    with pytest.raises(ConfigError, match="empty name"):
        expand_targets(text)


@pytest.mark.parametrize("text", ["lisc,lisc", "raabin,raabin:test_b", "folder:/a/cells,folder:/b/cells"])
def test_expand_targets_refuses_two_of_one_name(text: str) -> None:
    with pytest.raises(ConfigError, match="2 targets are called"):
        expand_targets(text)
