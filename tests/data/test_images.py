from pathlib import Path

import numpy as np
import pytest

from tests.data.samples import image_bytes, write_tree
from tests.data.samples import images as files
from wbc.data.cache import Geometry
from wbc.data.images import Images, join, list_images, load_images, pick
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
    assert np.shares_memory(joined.pixels[4], parts[1].pixels[1])
    for run, part in zip(joined.pixels.runs(), parts, strict=True):
        assert np.shares_memory(run, part.pixels.square)
    assert np.array_equal(joined.pixels.square, np.concatenate([part.pixels.square for part in parts]))


def test_join_has_another_digest_in_another_order(parts: list[Images]) -> None:
    assert join(parts).digest != join(parts[::-1]).digest
    assert join(parts).digest == join(parts).digest


def test_pick_of_joined_images_is_a_view_of_each_lab(parts: list[Images]) -> None:
    picked = pick(join(parts), np.array([4, 0, 3]), "some")
    assert (picked.name, picked.labels.tolist(), picked.labs.tolist()) == ("some", [2, 4, 0], [1, 0, 1])
    for row, image in enumerate([parts[1].pixels[1], parts[0].pixels[0], parts[1].pixels[0]]):
        assert np.shares_memory(picked.pixels[row], image)
    assert [run.shape for run in picked.pixels.runs()] == [(1, 16, 16, 3)] * 3


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
    assert [content.partition("@")[0] for content in part.contents] == list(whole.contents)
    assert not np.array_equal(whole.pixels.square, part.pixels.square)
