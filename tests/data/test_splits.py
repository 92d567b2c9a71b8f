from pathlib import Path

import pytest

from wbc.data.catalog import DOMAINS
from wbc.data.splits import Split, expand_targets, parse_source, parse_sources, split_list
from wbc.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("raabin:test_b", "raabin_test_b"),
        ("bccd", "bccd"),
        ("bccd:all", "bccd"),
        (" pbc2500:test ", "pbc2500_test"),
        ("folder:/some/My cells (2)", "folder_My_cells_2_18518810"),
        ("folder:/some/Zürich", "folder_Zurich_df4ff97b"),
        ("folder:/some/клетки", "folder_afb113fc"),
    ],
)
def test_name_is_fit_for_a_metric(text: str, name: str) -> None:
    assert expand_targets(text)[0].name == name


@pytest.mark.parametrize(
    "paths",
    [
        ("/a/lab A", "/a/lab_A"),
        ("/a/images", "/b/images"),
        ("/a/一院2020", "/a/二院2020"),
        ("/a/" + "x" * 218, "/a/" + "x" * 219),
    ],
)
def test_two_folders_never_share_a_name(paths: tuple[str, str]) -> None:
    first, second = (expand_targets(f"folder:{path}")[0].name for path in paths)
    assert first != second
    assert max(len(first), len(second)) <= 57


def test_name_of_a_folder_is_the_same_beside_any_other() -> None:
    assert expand_targets("folder:/b/images,folder:/a/images")[1] == expand_targets("folder:/a/images")[0]


@pytest.mark.parametrize("name", ["caf\udce9", "line\nbreak", "ic\ron", "n\0ul"])
def test_folder_whose_name_cannot_be_printed_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ConfigError, match="is not UTF-8, or holds a control character: rename the folder") as caught:
        expand_targets(f"folder:/some/{name}")
    assert str(caught.value).isascii()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("folder:/a/one, two,lisc", ["folder:/a/one, two", "lisc"]),
        ("folder:/a/1,2, folder:/b,raabin:test_a", ["folder:/a/1,2", "folder:/b", "raabin:test_a"]),
        ("lisc,folder:/a/lisc, too", ["lisc", "folder:/a/lisc, too"]),
        ("lisc, rabin", ["lisc", "rabin"]),
        ("folder:/a/my slides bccd raabin:test_a", ["folder:/a/my slides", "bccd", "raabin:test_a"]),
        ("bccd folder:/a/x", ["bccd", "folder:/a/x"]),
    ],
)
def test_comma_or_space_in_the_path_of_a_folder_is_part_of_it(text: str, items: list[str]) -> None:
    assert split_list(text) == items


def test_folder_without_its_prefix_is_told_how_to_be_written_also_where_its_name_has_spaces(workplace: Path) -> None:
    (workplace / "our lab").mkdir()
    with pytest.raises(ConfigError, match="a folder of images is written folder:our lab"):
        expand_targets("our lab")
    assert len(split_list(",".join(100 * ["bccd:test"]))) == 100


@pytest.mark.parametrize("key", DOMAINS)
def test_reference_reads_back_from_its_text(key: str) -> None:
    for split in DOMAINS[key].splits:
        assert parse_source(str(Split(key, split)) if split != "all" else f"{key}:all") == Split(key, split)


def test_folder_is_known_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert expand_targets("folder:cells")[0] == Split(f"folder:{tmp_path / 'cells'}", "all")


def test_target_names_the_splits_when_unknown() -> None:
    with pytest.raises(ConfigError, match=r"unknown split of raabin 'test_c'.*Known: train, test_a, test_b"):
        expand_targets("raabin:test_c")


def test_parse_source_takes_the_training_split() -> None:
    assert parse_source("raabin") == Split("raabin", "train")


def test_parse_source_says_what_to_write_when_the_domain_is_for_testing() -> None:
    with pytest.raises(ConfigError, match="name the split: lisc:all"):
        parse_source("lisc")


def test_parse_source_takes_any_split_that_is_named() -> None:
    assert parse_source("lisc:all") == Split("lisc", "all")


def test_parse_sources_keeps_the_order_given() -> None:
    assert [str(split) for split in parse_sources("raabin, lisc:all,pbc2500")] == [
        "raabin:train",
        "lisc",
        "pbc2500:train",
    ]


@pytest.mark.parametrize("text", ["raabin,raabin:train", "folder:/a,folder:/b/../a"])
def test_parse_sources_refuses_a_split_named_twice(text: str) -> None:
    with pytest.raises(ConfigError, match="twice: name each split once"):
        parse_sources(text)


def test_expand_targets_takes_the_test_splits_of_a_bare_domain() -> None:
    assert [target.name for target in expand_targets("raabin, lisc")] == ["raabin_test_a", "raabin_test_b", "lisc"]


@pytest.mark.parametrize("text", ["", " ", "lisc,", "lisc,,bccd"])
def test_expand_targets_refuses_an_empty_name(text: str) -> None:
    with pytest.raises(ConfigError, match="empty name"):
        expand_targets(text)


@pytest.mark.parametrize("text", ["lisc,lisc", "raabin,raabin:test_b", "folder:/a/cells,folder:/a/b/../cells"])
def test_expand_targets_refuses_a_split_named_twice(text: str) -> None:
    with pytest.raises(ConfigError, match="twice: name each split once"):
        expand_targets(text)


def test_folder_that_is_named_like_a_domain_is_given_the_right_spelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slides").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="a folder of images is written folder:slides"):
        expand_targets("slides")
