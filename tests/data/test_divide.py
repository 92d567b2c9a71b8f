"""Domains of one split, cut into a training and a test part, and which splits hold each other's images."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.data.test_hold_out import listing
from wbc.cells import CLASSES
from wbc.data.cache import Geometry
from wbc.data.catalog import DOMAINS, find_domain
from wbc.data.divide import choose, with_copies
from wbc.data.images import list_images, load_images
from wbc.data.splits import Split, expand_targets, parse_source

MIRROR = Path(os.environ.get("WBC_MIRROR", "no-mirror")).resolve()
SMALL = Geometry("squash", 16)


def test_groups_with_a_copy_of_one_file_are_joined_also_by_way_of_others() -> None:
    groups, contents = ["c", "b", "a", "d", "d"], ["1", "2", "2", "1", "3"]
    assert with_copies(groups, contents) == ["c", "a", "a", "c", "c"]
    assert with_copies(["x", "y"], ["1", "2"]) == ["x", "y"]


def test_each_class_gives_its_share_and_keeps_an_image() -> None:
    images = listing([0, 0, 0, *([1] * 10), 2])
    held = choose(images.groups, images.labels, 0.3)
    assert np.bincount(images.labels[held], minlength=5).tolist() == [1, 3, 0, 0, 0]


def test_parts_of_a_domain_of_one_split_are_all_of_it_once(tmp_path: Path) -> None:
    key = "smears_target"
    whole, train, test = (load_images(Split(key, each), SMALL, data_dir=tmp_path) for each in ("all", "train", "test"))
    assert (whole.name, train.name, test.name) == (key, f"{key}_train", f"{key}_test")
    assert sorted(train.ids + test.ids) == sorted(whole.ids)
    assert np.bincount(test.labels).tolist() == [round(0.3 * count) for count in np.bincount(whole.labels)]
    row = whole.ids.index(test.ids[5])
    np.testing.assert_array_equal(test.pixels[5], whole.pixels[row])
    listed = list_images(Split(key, "test"), data_dir=tmp_path)
    assert listed
    assert (listed.ids, listed.digest) == (test.ids, test.digest)


def test_whole_lab_overlaps_its_parts_and_the_parts_do_not() -> None:
    whole, train, test = (parse_source(f"bccd:{each}") for each in ("all", "train", "test"))
    assert whole.overlaps(train)
    assert test.overlaps(whole)
    assert not train.overlaps(test)
    assert not whole.overlaps(parse_source("tecom:train"))
    assert expand_targets("bccd") == (whole,)


def test_domains_with_a_split_of_their_own_and_folders_have_no_parts(tmp_path: Path) -> None:
    cut = {key for key, row in DOMAINS.items() if row.parts}
    assert {"lisc", "bccd", "tecom", "cellavision", "smears_target"} <= cut
    assert not {"raabin", "pbc", "pbc2500", "smears_source"} & cut
    assert find_domain(f"folder:{tmp_path}").parts == ()
    assert {key: DOMAINS[key].home_of("train") for key in ("raabin", "pbc2500", "bccd")} == {
        "raabin": "test_a",
        "pbc2500": "test",
        "bccd": "test",
    }


@pytest.mark.skipif(not (MIRROR / "bccd").is_dir(), reason="no mirror with the small labs; set WBC_MIRROR")
@pytest.mark.parametrize("key", ["bccd", "tecom", "cellavision"])
def test_small_labs_have_all_classes_to_train_on_and_no_image_in_both_parts(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WBC_MIRROR", str(MIRROR))
    train, test = (load_images(Split(key, each), SMALL, data_dir=tmp_path) for each in ("train", "test"))
    assert len(set(train.labels)) == len(CLASSES)
    assert not set(train.contents) & set(test.contents)
    assert not set(train.groups) & set(test.groups)
    assert len(test.ids) == pytest.approx(0.3 * sum(DOMAINS[key].counts["all"]), abs=2.5)
