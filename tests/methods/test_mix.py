import numpy as np
import torch

from wbc.methods.mix import mix


def test_mix_blends_opposite_images_and_their_smoothed_labels() -> None:
    images = torch.tensor([0, 100], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 4, 4)
    weight = float(np.random.default_rng(0).beta(1.0, 1.0))
    mixed, soft = mix(images, torch.tensor([0, 4]), np.random.default_rng(0))
    torch.testing.assert_close(mixed[:, 0, 0, 0], torch.tensor([100 * (1 - weight), 100 * weight]))
    torch.testing.assert_close(
        soft[0], torch.tensor([0.9 * weight + 0.02, 0.02, 0.02, 0.02, 0.9 * (1 - weight) + 0.02])
    )


def test_mix_of_a_single_image_changes_nothing() -> None:
    image = torch.full((1, 3, 2, 2), 7, dtype=torch.uint8)
    mixed, soft = mix(image, torch.tensor([2]), np.random.default_rng(1))
    assert torch.equal(mixed, image.float())
    torch.testing.assert_close(soft.sum(), torch.tensor(1.0))
