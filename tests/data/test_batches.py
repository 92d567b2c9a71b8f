import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as transforms

from wbc.data.batches import draw_augmentation, flip, gather
from wbc.data.cache import Geometry, PixelCache


def cache_of(images: list[np.ndarray]) -> PixelCache:
    return PixelCache(
        np.concatenate([image.ravel() for image in images]), np.array([image.shape[:2] for image in images])
    )


def cells(count: int, height: int, width: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def test_squashed_batch_equals_the_plain_torchvision_computation() -> None:
    images = cells(3, 90, 70)
    cache = cache_of([np.asarray(Geometry("squash", 32).apply(Image.fromarray(image))) for image in images])
    batch = gather(cache, np.array([2, 0]))
    for row, image in zip(batch, (images[2], images[0]), strict=True):
        plain = transforms.pil_to_tensor(transforms.resize(Image.fromarray(image), [32, 32]))
        assert torch.equal(row, plain)


def test_centre_crop_equals_the_plain_torchvision_computation() -> None:
    images = cells(4, 361, 300) + cells(1, 300, 333)
    cache = cache_of([np.asarray(Geometry("short_side", 64).apply(Image.fromarray(image))) for image in images])
    batch = gather(cache, np.arange(5), crop_px=56)
    for row, image in zip(batch, images, strict=True):
        resized = transforms.resize(Image.fromarray(image), 64)
        assert torch.equal(row, transforms.pil_to_tensor(transforms.center_crop(resized, [56, 56])))


def test_random_crop_starts_anywhere_it_fits() -> None:
    image = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10, 1).repeat(3, axis=2)
    corners = np.random.default_rng(0).random((400, 2))
    batch = gather(cache_of([image] * 400), np.arange(400), crop_px=8, corners=corners)
    firsts = {int(value) for value in batch[:, 0, 0, 0]}
    assert firsts == {10 * top + left for top in range(5) for left in range(3)}


def test_flip_equals_flipping_each_image_by_itself() -> None:
    images = torch.from_numpy(np.stack(cells(4, 6, 6))).permute(0, 3, 1, 2)
    flips = torch.tensor([[False, False], [True, False], [False, True], [True, True]])
    flipped = flip(images, flips)
    assert torch.equal(
        gather(cache_of([*images.permute(0, 2, 3, 1).numpy()]), np.arange(4), flips=flips.numpy()), flipped
    )
    assert torch.equal(flipped[0], images[0])
    assert torch.equal(flipped[1], transforms.horizontal_flip(images[1]))
    assert torch.equal(flipped[2], transforms.vertical_flip(images[2]))
    assert torch.equal(flipped[3], transforms.rotate(images[3], 180))


def test_augmentation_is_a_permutation_and_fair_flips() -> None:
    drawn = draw_augmentation(0, 0, 4000)
    assert sorted(drawn.order) == list(range(4000))
    assert np.abs(drawn.flips.mean(axis=0) - 0.5).max() < 0.05


def test_augmentation_changes_with_seed_and_epoch_and_nothing_else() -> None:
    first, again = draw_augmentation(1, 2, 100), draw_augmentation(1, 2, 100)
    assert (first.order == again.order).all()
    assert (first.flips == again.flips).all()
    assert (first.corners == again.corners).all()
    for other in (draw_augmentation(1, 3, 100), draw_augmentation(2, 2, 100)):
        assert (first.order != other.order).any()
        assert (first.flips != other.flips).any()
