from collections.abc import Callable

import numpy as np
import pytest
import torch

from wbc.config import RunConfig
from wbc.errors import DataError, TrainingError
from wbc.inputs import load_inputs
from wbc.models.build import build
from wbc.training.feed import Feed
from wbc.training.loop import batches, build_optimiser, finite_sum, train_epoch


def test_batches_leave_out_a_last_batch_of_one() -> None:
    assert [len(rows) for rows in batches(np.arange(9), 4)] == [4, 4]
    assert [len(rows) for rows in batches(np.arange(10), 4)] == [4, 4, 2]


def test_batches_of_a_single_image_are_refused() -> None:
    with pytest.raises(DataError, match="at least 2"):
        batches(np.arange(1), 4)


def test_finite_sum_names_epoch_and_step_of_a_loss_that_is_not_finite() -> None:
    losses = [torch.tensor(1.0), torch.tensor(float("nan")), torch.tensor(float("inf"))]
    with pytest.raises(TrainingError, match=r"loss is nan in epoch 5, step 2 of 3"):
        finite_sum(losses, epoch=4)


@pytest.mark.parametrize("model", ["resnet50", "resnet50_frozenbn_last16", "vgg16", "resnet50_gn+mixup"])
@pytest.mark.parametrize("recipe", ["paper", "released"])
def test_train_epoch_moves_the_trainable_parameters_and_no_others(
    small_config: Callable[..., RunConfig], model: str, recipe: str
) -> None:
    config = small_config(model=model, recipe=recipe)
    (train,) = load_inputs(config).train
    network = build(config, None)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    result = train_epoch(network, build_optimiser(network, config), Feed(network, train, config), 1, config)
    moved = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    trainable = {name for name, value in network.named_parameters() if value.requires_grad and value.grad is not None}
    assert moved == trainable
    assert moved
    assert np.isfinite(result.loss)
    assert 0 <= result.accuracy <= 1


def test_train_epoch_learns_what_tells_the_classes_apart(small_config: Callable[..., RunConfig]) -> None:
    config = small_config(epochs=12, lr=3e-3)
    (train,) = load_inputs(config).train
    network = build(config, None)
    optimiser = build_optimiser(network, config)
    feed = Feed(network, train, config)
    results = [train_epoch(network, optimiser, feed, epoch, config) for epoch in range(config.epochs)]
    assert results[-1].loss < results[0].loss / 2
    assert results[-1].accuracy > 1.5 * results[0].accuracy


def test_train_epoch_tells_after_each_step_what_share_it_has_done(small_config: Callable[..., RunConfig]) -> None:
    config, shares = small_config(), list[float]()
    (train,) = load_inputs(config).train
    network = build(config, None)
    feed = Feed(network, train, config)
    train_epoch(network, build_optimiser(network, config), feed, 1, config, advance=shares.append)
    assert shares == [images / 30 for images in (8, 8, 8, 6)]


def test_train_epoch_leaves_the_global_generators_alone(small_config: Callable[..., RunConfig]) -> None:
    config = small_config(model="vgg16")
    (train,) = load_inputs(config).train
    network = build(config, None)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    train_epoch(network, build_optimiser(network, config), Feed(network, train, config), 0, config)
    assert torch.equal(torch.get_rng_state(), before)


def test_train_epoch_in_bf16_stays_close_to_fp32(small_config: Callable[..., RunConfig]) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        config = small_config(precision=precision, lr=1e-6)
        (train,) = load_inputs(config).train
        network = build(config, None)
        losses.append(
            train_epoch(network, build_optimiser(network, config), Feed(network, train, config), 0, config).loss
        )
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
