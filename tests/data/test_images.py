import logging
from pathlib import Path

import numpy as np
import pytest

from tests.data.samples import image_bytes, write_tree
from tests.data.samples import images as files
from wbc.data.cache import Geometry
from wbc.data.images import Images, join, list_images, load_images, pick, shared_images
from wbc.data.splits import parse_source

SQUASH = Geometry("squash", 16)
SPLITS = {
    "first": ("Neutrophil/1.png", "lymph/1.png", "lymph/2.png"),
    "second": ("Basophil/1.png", "lymph/1.png"),
}


@pytest.fixture
def parts(tmp_path: Path) -> list[Images]:
    """Two labs; the lymphocyte 1.png of both has the same path."""
    folders = [write_tree(tmp_path / name, files(*paths)) for name, paths in SPLITS.items()]
    return [load_images(parse_source(f"folder:{folder}"), SQUASH, data_dir=tmp_path / "data") for folder in folders]


def test_listing_says_what_the_images_say(parts: list[Images], tmp_path: Path) -> None:
    listing = list_images(parse_source(f"folder:{tmp_path / 'first'}"), data_dir=tmp_path / "data")
    assert listing is not None
    assert (listing.name, listing.ids, listing.digest) == (parts[0].name, parts[0].ids, parts[0].digest)
    assert (listing.contents, listing.groups) == (parts[0].contents, parts[0].ids)
    assert listing.labels.tolist() == [4, 2, 2]


def test_listing_of_images_that_are_not_ready_is_none(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "cells", files("Neutrophil/1.png"))
    assert list_images(parse_source(f"folder:{folder}"), data_dir=tmp_path / "data") is None


def test_join_of_one_part_is_that_part(parts: list[Images]) -> None:
    assert join(parts[:1]) is parts[0]


def test_join_puts_the_labs_behind_each_other(parts: list[Images]) -> None:
    joined = join(parts)
    assert joined.labels.tolist() == [4, 2, 2, 0, 2]
    assert joined.labs.tolist() == [0, 0, 0, 1, 1]
    assert len(joined.pixels) == len(joined.ids) == len(set(joined.ids)) == 5
    assert joined.ids[1] == f"{parts[0].name}/lymph/1.png"
    for row, image in enumerate([*parts[0].pixels, *parts[1].pixels]):
        assert np.array_equal(joined.pixels[row], image)


def test_join_copies_no_pixel(parts: list[Images]) -> None:
    joined = join(parts)
    for row, image in enumerate([*parts[0].pixels, *parts[1].pixels]):
        assert np.shares_memory(joined.pixels[row], image)
    assert np.array_equal(joined.pixels.square, np.concatenate([part.pixels.square for part in parts]))


def test_join_has_another_digest_in_another_order(parts: list[Images]) -> None:
    assert join(parts).digest != join(parts[::-1]).digest
    assert join(parts).digest == join(parts).digest


def test_pick_of_joined_images_is_a_view_of_each_lab(parts: list[Images]) -> None:
    picked = pick(join(parts), np.array([4, 0, 3]), "some")
    assert (picked.name, picked.labels.tolist(), picked.labs.tolist()) == ("some", [2, 4, 0], [1, 0, 1])
    for row, image in enumerate([parts[1].pixels[1], parts[0].pixels[0], parts[1].pixels[0]]):
        assert np.shares_memory(picked.pixels[row], image)


def test_crop_changes_what_images_are_known_by_and_not_what_files_they_share(tmp_path: Path) -> None:
    folder = write_tree(
        tmp_path / "cells", {f"{name}/1.png": image_bytes(size=(40, 30)) for name in ("Neutrophil", "lymph")}
    )
    whole, part = (
        load_images(parse_source(f"folder:{folder}{crop}"), SQUASH, data_dir=tmp_path / "data")
        for crop in ("", "?crop=0.9")
    )
    assert whole.digest != part.digest
    assert pick(whole, np.array([1]), "one").digest != pick(part, np.array([1]), "one").digest
    assert part.contents != whole.contents
    assert shared_images([whole], part) == 2
    assert not np.array_equal(whole.pixels.square, part.pixels.square)


def test_counts_by_class_are_logged_when_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_tree(tmp_path / "cells", files("Neutrophil/1.png", "lymph/1.png", "lymph/2.png"))
    with caplog.at_level(logging.INFO):
        load_images(parse_source(f"folder:{folder}"), SQUASH, data_dir=tmp_path / "data")
    assert ": 3 images: Basophil 0, Eosinophil 0, Lymphocyte 2, Monocyte 0, Neutrophil 1" in caplog.text


def test_images_that_two_sets_share_are_counted_by_content(tmp_path: Path, parts: list[Images]) -> None:
    copied = write_tree(
        tmp_path / "third", files("mono/other.png", "eos/another.png") | {"eos/own.png": image_bytes(9)}
    )
    third = load_images(parse_source(f"folder:{copied}"), SQUASH, data_dir=tmp_path / "data")
    assert shared_images(parts[:1], third) == 2
    assert shared_images([third, third], parts[0]) == 2
    assert shared_images(parts[:1], pick(third, np.flatnonzero(np.array(third.ids) == "eos/own.png"), "own")) == 0


def test_one_picture_under_two_labels_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_tree(
        tmp_path / "cells", files("Neutrophil/1.png") | {"lymph/2.png": image_bytes(0), "lymph/3.png": image_bytes(1)}
    )
    with caplog.at_level(logging.WARNING):
        load_images(parse_source(f"folder:{folder}"), SQUASH, data_dir=tmp_path / "data")
    assert "2 images have a copy under another label, such as 'Neutrophil/1.png' and 'lymph/2.png'" in caplog.text
