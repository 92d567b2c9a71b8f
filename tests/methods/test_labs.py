"""Methods of several labs: each by hand, refused for one lab, without effect where nothing is to be compared."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch

from tests.conftest import write_cells
from tests.training.test_golden import golden_config, golden_images
from wbc.config import PlanConfig, RunConfig, TrainConfig
from wbc.data.images import join
from wbc.errors import ConfigError
from wbc.inputs import load_inputs
from wbc.methods.catalog import METHODS, find_method
from wbc.methods.losses import coral, group_dro, v_rex
from wbc.methods.sampling import balanced, balanced_by_lab, by_lab
from wbc.models.build import build
from wbc.run import train_and_score
from wbc.studies import plan_arms, resolve
from wbc.training.feed import Feed

LABS: Final = np.array([0] * 70 + [1] * 25 + [2] * 5)
LABELS: Final = np.array([0] * 50 + [1] * 20 + [1] * 20 + [2] * 5 + [0] * 4 + [4])
SCORES: Final = torch.tensor([[1.0, 0, 0, 0, 0], [0, 2.0, 0, 0, 0], [0, 0, 0, 3.0, 0]])
TARGETS: Final = torch.tensor([0, 0, 1])
ENTROPIES: Final = [-1 + math.log(math.e + 4), math.log(math.exp(2) + 4), math.log(math.exp(3) + 4)]


def model_and_images() -> tuple[object, object]:
    return build(golden_config("resnet50_gn", "paper"), None), golden_images("paper")


def test_by_lab_visits_labs_alike_in_every_batch_and_each_image_of_the_large_one_at_most_once() -> None:
    visits = by_lab(LABELS, LABS, 0, 0)
    assert len(visits) == 100
    assert all(np.ptp(np.bincount(LABS[visits[at : at + 32]], minlength=3)) <= 2 for at in range(0, 100, 7))
    assert all(np.bincount(LABS[visits[at : at + 3]], minlength=3).tolist() == [1, 1, 1] for at in range(0, 99, 3))
    assert np.bincount(visits).max(initial=0) == 7
    assert np.bincount(visits)[:70].max() == 1
    assert by_lab(LABELS, LABS, 0, 0).tolist() == visits.tolist()
    assert by_lab(LABELS, LABS, 0, 1).tolist() != visits.tolist()


def test_balanced_by_lab_is_balanced_in_each_lab_where_balanced_is_only_over_all() -> None:
    visits = balanced_by_lab(LABELS, LABS, 0, 0)
    for lab in range(3):
        counts = np.bincount(LABELS[visits][LABS[visits] == lab], minlength=5)
        assert np.ptp(counts[counts > 0]) <= 2
    pooled = balanced(LABELS, LABS, 0, 0)
    assert np.bincount(LABELS[pooled]).tolist() == [25, 25, 25, 0, 25]
    assert set(LABS[pooled][LABELS[pooled] == 2]) == {1}


def test_group_dro_is_algorithm_1_over_two_steps() -> None:
    loss = group_dro(*model_and_images())  # type: ignore[arg-type]
    labs = torch.tensor([0, 0, 1])
    losses = [(ENTROPIES[0] + ENTROPIES[1]) / 2, ENTROPIES[2]]
    weights = [0.5, 0.5]
    for _ in range(2):
        grown = [weight * math.exp(0.01 * each) for weight, each in zip(weights, losses, strict=True)]
        weights = [each / sum(grown) for each in grown]
        expected = sum(weight * each for weight, each in zip(weights, losses, strict=True))
        assert float(loss.compute(SCORES, TARGETS, None, labs)) == pytest.approx(expected, abs=1e-6)
    assert loss.state["weights"].tolist() == pytest.approx(weights, abs=1e-6)
    alone = float(loss.compute(SCORES[:2], TARGETS[:2], None, labs[:2]))
    assert alone == pytest.approx(losses[0], abs=1e-6)


def test_v_rex_is_the_mean_of_the_labs_losses_and_their_variance() -> None:
    loss = v_rex(*model_and_images())  # type: ignore[arg-type]
    first, second = (ENTROPIES[0] + ENTROPIES[1]) / 2, ENTROPIES[2]
    expected = (first + second) / 2 + ((first - second) / 2) ** 2
    assert float(loss.compute(SCORES, TARGETS, None, torch.tensor([0, 0, 1]))) == pytest.approx(expected, abs=1e-5)
    assert float(loss.compute(SCORES, TARGETS, None, torch.tensor([1, 1, 1]))) == pytest.approx(
        sum(ENTROPIES) / 3, abs=1e-6
    )


def test_coral_is_cross_entropy_and_how_means_and_covariances_of_labs_differ() -> None:
    loss = coral(*model_and_images())  # type: ignore[arg-type]
    one, other = np.array([[0.0, 1], [2, 1], [4, 4]]), np.array([[1.0, 0], [3, 6]])
    apart = np.mean((one.mean(0) - other.mean(0)) ** 2) + np.mean((np.cov(one.T) - np.cov(other.T)) ** 2)
    embeddings = torch.tensor(np.concatenate([one, other, [[9.0, 9.0]]]), dtype=torch.float32)
    scores, targets, labs = torch.zeros(6, 5), torch.zeros(6, dtype=torch.int64), torch.tensor([0, 0, 0, 1, 1, 2])
    assert loss.embeddings
    assert float(loss.compute(scores, targets, embeddings, labs)) == pytest.approx(math.log(5) + apart, rel=1e-6)
    alone = loss.compute(scores[3:], targets[3:], embeddings[3:], labs[3:])
    assert float(alone) == pytest.approx(math.log(5), rel=1e-6)


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.labs > 1])
def test_method_of_several_labs_is_refused_for_one_with_the_reason(method: str) -> None:
    reason = rf"method '{method}' compares labs and needs 2 or more, and raabin:train,raabin:test_a is of one"
    with pytest.raises(ConfigError, match=reason):
        resolve(TrainConfig(model="resnet50", method=method, source="raabin:train,raabin:test_a"))
    with pytest.raises(ConfigError, match="smears_source is of one"):
        plan_arms(PlanConfig(methods=f"erm,{method}"))
    assert resolve(TrainConfig(model="resnet50", method=method, source="raabin,bccd:train")).method == method


def test_blended_images_have_no_lab() -> None:
    with pytest.raises(ConfigError, match=r"mixup blends images of several labs, which coral must part"):
        find_method("mixup+coral")
    assert find_method("mixup+by_lab").labs == 2


@pytest.mark.parametrize("visits", [None, 22, 30, 7])
def test_epoch_visits_as_many_images_as_it_is_told(visits: int | None, small_config: Callable[..., RunConfig]) -> None:
    config = small_config(model="resnet50_gn", visits=visits)
    feed = Feed(build(config, None), golden_images("paper"), config)
    orders = [feed.draw(epoch).order % 22 for epoch in range(3)]
    assert [len(order) for order in orders] == [visits or 22] * 3
    assert all(len(set(order[:22])) == min(22, visits or 22) for order in orders)
    plain = Feed(build(config, None), golden_images("paper"), small_config(model="resnet50_gn")).draw(1).order
    assert (orders[1].tolist() == plain.tolist()) == (visits in (None, 22))


def test_method_of_labs_trains_on_two_folders_and_is_found_again(
    small_config: Callable[..., RunConfig], store: Path
) -> None:
    write_cells(store / "third", 3, size_px=26)
    source = f"{small_config().source},folder:{store}/third"
    config = small_config(source=source, model="resnet50_gn", method="by_lab+coral", epochs=1, visits=24)
    labs = join(load_inputs(config).train).labs
    assert np.bincount(labs).tolist() == [30, 15]
    assert not train_and_score(config).done_already
    assert train_and_score(config).done_already
