import logging
from dataclasses import replace

import numpy as np
import pytest

from wbc.data.catalog import DOMAINS
from wbc.data.hold_out import hold_out
from wbc.data.images import Listing, pick
from wbc.errors import ConfigError, DataError
from wbc.seeding import generator


def listing(labels: list[int], groups: list[str] | None = None) -> Listing:
    ids = tuple(f"{row}.png" for row in range(len(labels)))
    return Listing(
        name="lab",
        ids=ids,
        labels=np.array(labels, np.int64),
        contents=ids,
        groups=tuple(groups or ids),
        digest="whole",
    )


def random_listing(seed: int) -> Listing:
    """Up to 400 images of five classes on slides of one to thirty, of which some hold one class only."""
    rng = generator("hold out", seed)
    rows: list[tuple[int, str]] = []
    for slide in range(rng.integers(5, 40)):
        classes = rng.permutation(5)[: rng.integers(1, 6)]
        rows += [(int(label), f"slide{slide}") for label in rng.choice(classes, rng.integers(1, 31))]
    return listing([label for label, _ in rows], [group for _, group in rows])


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(20))
def test_each_image_is_on_one_side_and_no_group_on_both(seed: int, share: float) -> None:
    images = random_listing(seed)
    train, held = hold_out(images, share)
    assert sorted(train.ids + held.ids) == sorted(images.ids)
    assert not set(train.groups) & set(held.groups)
    assert set(train.labels) == set(images.labels)
    for part in (train, held):
        rows = [images.ids.index(each) for each in part.ids]
        assert rows == sorted(rows)
        assert part.labels.tolist() == images.labels[rows].tolist()


@pytest.mark.parametrize("seed", range(20))
def test_no_copy_of_a_file_is_on_both_sides(seed: int) -> None:
    drawn = generator("copies", seed)
    images = replace(listing([0, 1] * 50), contents=tuple(f"{number}" for number in drawn.integers(0, 60, 100)))
    train, held = hold_out(images, 0.2)
    assert held.ids
    assert not set(train.contents) & set(held.contents)


@pytest.mark.parametrize("share", [0.1, 0.25, 1 / 3, 0.5])
@pytest.mark.parametrize("seed", range(20))
def test_each_class_gives_its_share_when_each_image_stands_alone(seed: int, share: float) -> None:
    images = listing(generator("alone", seed).integers(0, 5, 200).tolist())
    _, held = hold_out(images, share)
    counts, given = np.bincount(images.labels, minlength=5), np.bincount(held.labels, minlength=5)
    assert (np.abs(given - share * counts) <= 0.5).all()


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_near_when_there_are_many_slides(seed: int) -> None:
    rng = generator("slides", seed)
    labels = rng.integers(0, 5, 2000).tolist()
    _, held = hold_out(listing(labels, [f"slide{row // 20}" for row in range(2000)]), 0.2)
    assert np.abs(np.bincount(held.labels, minlength=5) / np.bincount(labels, minlength=5) - 0.2).max() < 0.06


def test_choice_does_not_depend_on_the_order_of_the_images() -> None:
    images = random_listing(3)
    _, held = hold_out(images, 0.2)
    _, again = hold_out(pick(images, np.arange(len(images.ids))[::-1], "lab"), 0.2)
    assert set(held.ids) == set(again.ids)


def test_choice_is_a_literal_for_known_names() -> None:
    _, held = hold_out(listing([0] * 5 + [1] * 5), 0.2)
    assert held.ids == ("0.png", "6.png")


def test_digests_follow_the_content_of_each_part() -> None:
    images = random_listing(1)
    train, held = hold_out(images, 0.2)
    again = hold_out(replace(images, digest="other"), 0.2)
    assert (train.digest, held.digest) == (again[0].digest, again[1].digest)
    assert len({images.digest, train.digest, held.digest}) == 3
    assert (train.name, held.name) == ("lab", "lab_validation")


def test_class_with_one_image_stays_in_training_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        train, held = hold_out(listing([3] + [4] * 20), 0.5)
    assert 3 in train.labels
    assert 3 not in held.labels
    assert "lab_validation: no image of Monocyte; too few images or groups" in caplog.text


def test_one_slide_cannot_be_parted() -> None:
    with pytest.raises(DataError, match=r"of 20 images in 1 groups none can be held out at validation=0\.2"):
        hold_out(listing([0, 1] * 10, ["slide"] * 20), 0.2)


@pytest.mark.parametrize("share", [0.0, -0.1, 0.51, 1.0, float("nan")])
def test_share_beyond_a_half_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=r"must be above 0 and at most 0\.5"):
        hold_out(random_listing(0), share)


def test_slides_of_raabin_are_told_by_the_files_names() -> None:
    group_of = DOMAINS["raabin"].group_of
    assert group_of("train/Train/Neutrophil/95-4-3-1_12_3.jpg") == group_of("train/Train/Monocyte/95-4-3-1_40_1.jpg")
    assert group_of("train/Train/Neutrophil/95-4-3-1_12_3.jpg") != group_of("train/Train/Neutrophil/95-4-3-2_12_3.jpg")
    assert DOMAINS["pbc2500"].group_of("a/b_1.jpg") == "a/b_1.jpg"
