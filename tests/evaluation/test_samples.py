"""The picture of sample cells."""

import numpy as np

from wbc.cells import CLASSES
from wbc.data.cache import PixelCache
from wbc.evaluation.samples import SAMPLES, draw_samples


def test_samples_are_a_row_for_each_class_and_transparent_where_there_are_fewer() -> None:
    labels = np.array([0] * 8 + [4] * 2)
    shapes = np.full((10, 2), 20)
    pixels = PixelCache(np.repeat(np.where(labels == 0, 50, 200).astype(np.uint8), 20 * 20 * 3), shapes)
    sheet = np.asarray(draw_samples([f"{index}.png" for index in range(10)], labels, pixels))
    assert sheet.shape == (20 * len(CLASSES), 20 * SAMPLES, 4)
    assert (sheet[:20, :, :3] == 50).all()
    assert (sheet[:20, :, 3] == 255).all()
    assert (sheet[20:80, :, 3] == 0).all()
    assert (sheet[80:, :40, :3] == 200).all()
    assert (sheet[80:, 40:, 3] == 0).all()


def test_samples_of_images_that_are_not_square_are_their_middles() -> None:
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:, 10:20] = 255
    sheet = draw_samples(["a.png"], np.array([2]), PixelCache(picture.reshape(-1), np.array([[10, 30]])))
    assert (np.asarray(sheet)[20:30, :10] == 255).all()
