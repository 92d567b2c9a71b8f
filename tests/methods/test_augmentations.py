"""Each change of an image against a plain computation on one image, and all of them on images that break such tools."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from tests.training.test_golden import golden_images
from wbc.methods import colour, spaces, view
from wbc.methods.catalog import METHODS, find_method
from wbc.methods.mix import mix
from wbc.methods.parts import Augmentation, build_parts
from wbc.methods.style import fourier, mix_styles
from wbc.models.build import build_model

AUGMENTATIONS: Final = [name for name, row in METHODS.items() if row.augmentation]
TRAIN: Final = golden_images("paper")


def made(name: str) -> Augmentation:
    parts = build_parts(name, build_model("vgg16", scale="tiny", image_size=32, pretrained="none", seed=0), TRAIN)
    assert parts.augmentation
    return parts.augmentation


def cells(count: int = 2, side: int = 8) -> Tensor:
    values = np.random.default_rng(0).integers(0, 256, (count, 3, side, side), np.uint8)
    return torch.from_numpy(values)


def numbers(augmentation: Augmentation, count: int = 2) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).random((count, augmentation.numbers), np.float32))


def applied(augmentation: Augmentation) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Returns the second of two images, what it becomes, and its numbers."""
    images, drawn = cells(), numbers(augmentation)
    out = augmentation.apply(images, drawn)
    return images[1].numpy().astype(float), out[1].numpy().astype(float), drawn[1].tolist()


def test_colour_jitter_is_torchvisions_four_steps() -> None:
    image, out, (b, c, s, h) = applied(colour.colour_jitter(TRAIN))
    steps = torch.from_numpy(image).float()[None] / 255
    steps = v2.functional.adjust_brightness(steps, 0.6 + 0.8 * b)
    steps = v2.functional.adjust_contrast(steps, 0.6 + 0.8 * c)
    steps = v2.functional.adjust_saturation(steps, 0.6 + 0.8 * s)
    steps = v2.functional.adjust_hue(steps, 0.2 * h - 0.1)
    np.testing.assert_allclose(out, 255 * steps[0].numpy(), atol=0.1)


def test_hed_jitter_scales_and_shifts_stains_of_each_pixel() -> None:
    image, out, drawn = applied(colour.hed_jitter(TRAIN))
    stains = np.array(colour.STAINS)
    for y, x in ((0, 0), (3, 5), (7, 2)):
        density = [-math.log((value + 1) / 256) for value in image[:, y, x]]
        amounts = np.linalg.solve(stains.T, density)
        jittered = [a * (0.8 + 0.4 * drawn[n]) - 0.2 + 0.4 * drawn[3 + n] for n, a in enumerate(amounts)]
        absorbed = [sum(jittered[n] * stains[n, channel] for n in range(3)) for channel in range(3)]
        expected = [min(255, max(0, 256 * math.exp(-each) - 1)) for each in absorbed]
        np.testing.assert_allclose(out[:, y, x], expected, atol=0.01)


def test_lab_is_that_of_the_standard_and_comes_back() -> None:
    known = torch.tensor([[255.0, 255, 255], [255, 0, 0], [0, 0, 255], [0, 0, 0]])[:, :, None, None]
    expected = [[100, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86], [0, 0, 0]]
    np.testing.assert_allclose(spaces.to_lab(known)[..., 0, 0], expected, atol=0.02)
    images = cells().float()
    np.testing.assert_allclose(spaces.from_lab(spaces.to_lab(images)), images, atol=0.05)


def test_lab_jitter_gives_the_mean_and_spread_that_were_drawn() -> None:
    found = spaces.statistics(TRAIN.pixels, spaces.to_lab)
    assert found.shape == (22, 2, 3)
    augmentation = colour.lab_jitter(TRAIN)
    grey = (120 + 10 * torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))).clamp(0, 255).byte()
    out = augmentation.apply(grey, torch.full((1, 6), 0.5))
    mean, spread = (part[0, :, 0, 0].numpy() for part in spaces.moments(spaces.to_lab(out)))
    np.testing.assert_allclose(mean, found.mean(0)[0], atol=0.5)  # half the numbers: the middle of the source
    np.testing.assert_allclose(spread, found.mean(0)[1], rtol=0.1)
    higher = augmentation.apply(grey, torch.tensor([[0.8413, 0.5, 0.5, 0.5, 0.5, 0.5]]))
    raised = spaces.moments(spaces.to_lab(higher))[0][0, 0, 0, 0] - mean[0]
    assert float(raised) == pytest.approx(found.std(0)[0, 0], rel=0.15)  # one standard deviation up


def test_colour_mixing_multiplies_each_pixel_by_a_matrix() -> None:
    image, out, drawn = applied(colour.colour_mixing(TRAIN))
    matrix = np.eye(3) - 0.3 + 0.6 * np.reshape(drawn, (3, 3))
    for y, x in ((0, 0), (3, 5), (7, 2)):
        np.testing.assert_allclose(out[:, y, x], np.clip(matrix @ image[:, y, x], 0, 255), atol=1e-3)


def test_random_view_interpolates_where_the_field_of_view_lies() -> None:
    image, out, (size, right, down) = applied(view.random_view(TRAIN))
    side = math.exp(math.log(0.6) + size * math.log(1.25 / 0.6))

    def place(index: int, shift: float) -> float:
        """From a pixel's index to where it lies in the image, mirrored at its borders."""
        centre = side * ((2 * index + 1) / 8 - 1) + (2 * shift - 1) * (1 - side)
        at = ((centre + 1) * 8 - 1) / 2
        at = abs(at + 0.5) - 0.5
        return min(max(at if at <= 7.5 else 15 - at, 0), 7)

    for y in range(8):
        for x in range(8):
            at_y, at_x = place(y, down), place(x, right)
            top, left = int(at_y), int(at_x)
            below, beside = min(top + 1, 7), min(left + 1, 7)
            v, u = at_y - top, at_x - left
            rows = [(1 - u) * image[:, row, left] + u * image[:, row, beside] for row in (top, below)]
            np.testing.assert_allclose(out[:, y, x], (1 - v) * rows[0] + v * rows[1], atol=0.05)


def test_trivial_augment_is_torchvisions_and_draws_for_each_image_alone() -> None:
    augmentation, images, drawn = view.trivial_augment(TRAIN), cells(6, 16), torch.arange(6)[:, None] / 6
    out = augmentation.apply(images, drawn)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(float(drawn[4]) * 2**32))
        assert torch.equal(out[4], v2.TrivialAugmentWide()(images[4]))
    assert torch.equal(augmentation.apply(images[3:5], drawn[3:5])[1], out[4])


def test_fourier_mixes_amplitudes_and_keeps_phases() -> None:
    images, drawn = cells(), torch.tensor([[0.3], [0.7]])
    out = fourier(TRAIN).apply(images, drawn)
    for channel in range(3):
        own, other = (np.fft.fft2(images[n, channel].numpy()) for n in (1, 0))
        mixed = (0.3 * np.abs(own) + 0.7 * np.abs(other)) * np.exp(1j * np.angle(own))
        np.testing.assert_allclose(out[1, channel], np.fft.ifft2(mixed).real.clip(0, 255), atol=0.01)


def test_mixstyle_changes_mean_and_spread_towards_anothers_and_nothing_else() -> None:
    features = torch.randn(64, 4, 6, 6, generator=torch.Generator().manual_seed(0)) * torch.rand(64, 4, 1, 1) + 3
    layer = torch.nn.Identity()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mixed = mix_styles(layer, None, features)
    assert mixed is not None
    (mean, spread), (new_mean, new_spread) = spaces.moments(features), spaces.moments(mixed)
    torch.testing.assert_close((mixed - new_mean) / new_spread, (features - mean) / spread, atol=1e-3, rtol=1e-3)
    moved = ((new_mean - mean).abs().amax((1, 2, 3)) > 1e-3).float().mean()
    assert 0.2 < moved < 0.7  # half, less those that keep most of their own
    assert new_mean.min() >= mean.min() - 1e-4
    assert new_mean.max() <= mean.max() + 1e-4
    assert mix_styles(layer.eval(), None, features) is None


@pytest.mark.parametrize(
    ("name", "neutral"),
    [
        ("colour_jitter", [0.5] * 4),
        ("hed_jitter", [0.5] * 6),
        ("colour_mixing", [0.5] * 9),
        ("random_view", [math.log(1 / 0.6) / math.log(1.25 / 0.6), 0.5, 0.5]),
        ("fourier", [0.0]),
    ],
)
def test_change_of_no_size_gives_the_image_back(name: str, neutral: list[float]) -> None:
    images = cells()
    out = made(name).apply(images, torch.tensor([neutral] * 2))
    torch.testing.assert_close(out, images.float(), atol=0.01, rtol=0)


SHAPES: Final[dict[str, Callable[[], Tensor]]] = {
    "white": lambda: torch.full((3, 3, 16, 16), 255, dtype=torch.uint8),
    "black": lambda: torch.zeros(3, 3, 16, 16, dtype=torch.uint8),
    "one colour": lambda: torch.tensor([200, 20, 90], dtype=torch.uint8)[None, :, None, None].repeat(3, 1, 16, 16),
    "one pixel": lambda: cells(3, 1),
    "four pixels": lambda: cells(3, 2),
    "oblong": lambda: cells(3, 12)[:, :, :5],
    "one image": lambda: cells(1, 16),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_no_augmentation_leaves_the_range_of_bytes_or_the_shape(name: str, shape: str) -> None:
    images, augmentation = SHAPES[shape](), made(name)
    for drawn in (
        torch.zeros,
        lambda *size: torch.full(size, 0.99999994),
        lambda *size: numbers(augmentation, size[0]),
    ):
        out = augmentation.apply(images, drawn(len(images), augmentation.numbers)).float()
        assert out.shape == images.shape
        assert torch.isfinite(out).all()
        assert 0 <= float(out.min()) <= float(out.max()) <= 255


def test_mixup_of_white_and_black_stays_in_the_range_of_bytes() -> None:
    white, labels = SHAPES["white"](), torch.tensor([0, 1, 2])
    mixed, soft = mix(white, labels, np.random.default_rng(0))
    assert torch.isfinite(soft).all()
    assert float(mixed.max()) == pytest.approx(255)


def test_changes_follow_each_other_in_the_catalogues_order_with_numbers_of_their_own() -> None:
    images = cells()
    both, one, other = made("random_view+colour_mixing"), made("random_view"), made("colour_mixing")
    drawn = numbers(both)
    assert both.numbers == one.numbers + other.numbers
    assert both.variants is None
    expected = other.apply(one.apply(images, drawn[:, :3]), drawn[:, 3:])
    assert torch.equal(both.apply(images, drawn), expected)


def test_combined_row_says_what_it_is_made_of() -> None:
    row = find_method("hed_jitter+balanced+ema")
    assert row.title == "HED jitter, 0.2 + balanced classes, by sampling + EMA, moving average of the weights"
    assert row.evens
