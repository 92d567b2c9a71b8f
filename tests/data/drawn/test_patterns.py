import numpy as np
import pytest

from wbc.data.drawn.patterns import PATTERN_CLASSES, draw_patterns


def test_images_are_rgb_bytes_of_the_size_asked_for_when_drawn() -> None:
    images, labels = draw_patterns(30, 24, seed=0)

    assert images.shape == (30, 24, 24, 3)
    assert images.dtype == np.uint8
    assert labels.shape == (30,)
    assert labels.dtype == np.int64


@pytest.mark.parametrize(("count", "smallest", "largest"), [(100, 10, 10), (25, 2, 3)])
def test_labels_are_balanced_when_drawn(count: int, smallest: int, largest: int) -> None:
    per_class = np.bincount(draw_patterns(count, 8, seed=1)[1], minlength=len(PATTERN_CLASSES))

    assert (per_class.min(), per_class.max()) == (smallest, largest)


def test_labels_are_shuffled_when_drawn() -> None:
    labels = draw_patterns(100, 8, seed=1)[1]

    assert len(set(labels[:20].tolist())) > 5
    assert not np.array_equal(labels, np.sort(labels))


def test_images_and_labels_are_equal_when_the_seed_is() -> None:
    first, second = draw_patterns(40, 16, seed=5), draw_patterns(40, 16, seed=5)

    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_images_differ_when_the_seed_does() -> None:
    first, second = draw_patterns(40, 16, seed=5), draw_patterns(40, 16, seed=6)

    assert not np.array_equal(first[0], second[0])


def test_no_image_is_flat_when_drawn() -> None:
    images, _ = draw_patterns(400, 48, seed=2)

    assert images.reshape(400, -1, 3).std(axis=1).max(axis=1).min() > 3


def test_mean_colour_tells_no_class_when_averaged() -> None:
    images, labels = draw_patterns(3000, 12, seed=3)
    colours = images.mean(axis=(1, 2))

    per_class = np.stack([colours[labels == label].mean(axis=0) for label in range(len(PATTERN_CLASSES))])

    assert np.ptp(per_class, axis=0).max() < 40
