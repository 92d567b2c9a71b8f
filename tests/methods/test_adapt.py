"""Adaptations: norms and scores against computations by hand, and all of them on images that break such tools."""

import dataclasses
import math
from typing import Any, Final

import numpy as np
import pytest
import torch
from torch import nn

from tests.methods.seams import labelled
from tests.training.test_golden import golden_config, golden_images
from wbc.config import RunConfig
from wbc.data.cache import PixelCache
from wbc.data.images import Images
from wbc.errors import ConfigError
from wbc.evaluation.predict import predict
from wbc.evaluation.records import Predictions
from wbc.methods import adapt_norms
from wbc.methods.adapt import predict_adapted
from wbc.methods.adapt_norms import adabn, adabn_mixed, entropy, sar, tent
from wbc.methods.adapt_scores import drawn, em_shares, prior, reweighted, shots
from wbc.methods.adapt_views import flips, in_lab, in_rgb
from wbc.methods.catalog import ADAPTATIONS, find_adaptation, model_changes, unsuited
from wbc.methods.spaces import moments, same, statistics, to_lab
from wbc.models.build import Classifier, build
from wbc.seeding import generator

IMAGES: Final = golden_images("paper")


def source() -> Images:
    return golden_images("paper")


def made(model: str = "resnet50", **settings: Any) -> tuple[Classifier, RunConfig]:
    """Returns a thin model whose answers differ from image to image, and its run."""
    config = dataclasses.replace(golden_config(model, "paper"), **settings)
    network = build(config, None).eval()
    with torch.no_grad():
        network.head[-1].weight.mul_(20)
    return network, config


def pixels_of(images: Images) -> torch.Tensor:
    return torch.from_numpy(np.array(images.pixels.square)).permute(0, 3, 1, 2)


def filled(value: int | None) -> Images:
    """Returns images of one grey, or white, black and grey in turn."""
    values = np.full(22, value, np.uint8) if value is not None else np.array([255, 0, 90], np.uint8)[np.arange(22) % 3]
    return dataclasses.replace(IMAGES, pixels=PixelCache(np.repeat(values, 32 * 32 * 3), np.full((22, 2), 32)))


def predictions(scores: Any, labels: Any = None, embeddings: Any = None) -> Predictions:
    scores = np.asarray(scores, np.float32)
    labels = np.zeros(len(scores), np.int64) if labels is None else labels
    embeddings = scores if embeddings is None else embeddings
    ids = tuple(map(str, range(len(scores))))
    return Predictions(domain="drawn", ids=ids, labels=labels, scores=scores, embeddings=embeddings)


def adapted(name: str, *arguments: Any) -> Predictions:
    """Returns the predictions under one row."""
    ((_, found),) = predict_adapted([name], *arguments)
    return found


def batch_norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("batch", [64, 11])
def test_adabn_gives_each_norm_the_statistics_of_what_it_was_given(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapt_norms, "BATCH", batch)
    model, config = made("resnet50_frozenbn")
    seen: dict[nn.Module, list[torch.Tensor]] = {norm: [] for norm in batch_norms(model)}
    hooks = [norm.register_forward_pre_hook(lambda norm, inputs: seen[norm].append(inputs[0])) for norm in seen]
    adabn(model, IMAGES, source, config)
    for hook in hooks:
        hook.remove()
    assert not model.training
    for norm, inputs in seen.items():
        assert len(inputs) == -(-22 // batch)
        by_channel = [each.transpose(0, 1).flatten(1).double() for each in inputs]
        mean = torch.stack([each.mean(1) for each in by_channel]).mean(0)
        variance = torch.stack([each.var(1, correction=1) for each in by_channel]).mean(0)
        torch.testing.assert_close(norm.running_mean, mean.float(), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(norm.running_var, variance.float(), atol=1e-4, rtol=1e-3)


def test_mixed_adabn_weighs_the_sources_statistics_as_128_images() -> None:
    (plain, config), (target, _), (mixed, _) = made(), made(), made()
    adabn(target, IMAGES, source, config)
    adabn_mixed(mixed, IMAGES, source, config)
    for own, new, between in zip(*map(batch_norms, (plain, target, mixed)), strict=True):
        for name in ("running_mean", "running_var"):
            expected = (128 * getattr(own, name) + 22 * getattr(new, name)) / 150
            torch.testing.assert_close(getattr(between, name), expected)


def test_entropy_is_that_of_the_probabilities() -> None:
    shares = torch.tensor([[0.5, 0.25, 0.125, 0.0625, 0.0625]])
    assert float(entropy(shares.log())) == pytest.approx(1.875 * math.log(2), abs=1e-6)
    assert float(entropy(torch.zeros(1, 5))) == pytest.approx(math.log(5), abs=1e-6)


@pytest.mark.parametrize("function", [tent, sar])
@pytest.mark.parametrize("name", ["resnet50", "resnet50_frozenbn_last16", "resnet50_gn"])
def test_tent_and_sar_make_answers_surer_and_change_norms_alone(
    name: str, function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt_norms, "BATCH", 22)  # one step, with the statistics of all
    monkeypatch.setattr(adapt_norms, "MARGIN", 2.0)  # all images of a model that has learned nothing
    monkeypatch.setattr(adapt_norms, "LR", 1e-4)  # random weights are steep
    (before, config), (model, _) = made(name), made(name)
    if batch_norms(before):
        adabn(before, IMAGES, source, config)
    with torch.no_grad():  # answers that are sure already leave nothing to learn
        spread = before.eval()(pixels_of(IMAGES)).std()
        for each in (before, model):
            each.head[-1].weight.div_(spread)
    function(model, IMAGES, source, config)
    with torch.no_grad():
        unsure = [float(entropy(each.eval()(pixels_of(IMAGES))).mean()) for each in (before, model)]
    assert unsure[1] < unsure[0]
    pairs = {key: (value, model.state_dict()[key]) for key, value in before.state_dict().items()}
    changed = {key.rpartition(".")[0] for key, (old, new) in pairs.items() if not torch.equal(old, new)}
    layers = dict(model.named_modules())
    assert changed
    assert all(isinstance(layers[key], nn.BatchNorm2d | nn.GroupNorm) for key in changed)


def test_sar_learns_nothing_from_images_it_is_unsure_of() -> None:
    (plain, config), (model, _) = made("resnet50_gn"), made("resnet50_gn")
    for network in (plain, model):
        with torch.no_grad():
            network.head[-1].weight.zero_()  # all classes alike
            network.head[-1].bias.zero_()
    sar(model, IMAGES, source, config)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in plain.state_dict().items())


def test_sar_begins_anew_when_one_class_is_about_to_take_all() -> None:
    (plain, config), (model, _) = made("resnet50_gn"), made("resnet50_gn")
    for network in (plain, model):
        with torch.no_grad():
            network.head[-1].bias.copy_(torch.tensor([50.0, 0, 0, 0, 0]))
    sar(model, IMAGES, source, config)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in plain.state_dict().items())


def test_em_finds_the_shares_of_a_worked_example() -> None:
    # A classifier that says 0.8 or 0.2 where both classes are as common, and is right in saying so, meets images of
    # which q are of the first class: it says 0.8 of 0.8 q + 0.2 (1 - q) of them. Of 100, 68: q is 0.8.
    scores = np.array([[0.8, 0.2, 0, 0, 0]] * 68 + [[0.2, 0.8, 0, 0, 0]] * 32)
    trained = np.array([0.5, 0.5, 0, 0, 0])
    found = em_shares(scores, trained)
    np.testing.assert_allclose(found, [0.8, 0.2, 0, 0, 0], atol=1e-4)
    # Bayes: 0.8 * 0.8 / (0.8 * 0.8 + 0.2 * 0.2) and 0.2 * 0.8 / (0.2 * 0.8 + 0.8 * 0.2).
    weighed = reweighted(scores, trained, found)
    np.testing.assert_allclose(weighed[[0, 99], 0], [16 / 17, 0.5], atol=1e-4)


def test_em_of_sure_answers_is_their_counts() -> None:
    scores = np.eye(5)[[0, 0, 0, 1, 4]]
    np.testing.assert_allclose(em_shares(scores, np.full(5, 0.2)), [0.6, 0.2, 0, 0, 0.2])


def test_prior_divides_by_the_sources_shares_unless_training_has() -> None:
    labels = np.array([0] * 60 + [1] * 20 + [2] * 10 + [3] * 5 + [4] * 5)
    train = dataclasses.replace(IMAGES, **labelled(labels))
    given = predictions([[0.6, 0.2, 0.1, 0.05, 0.05], [0.6, 0.3, 0.1, 0, 0]])
    found = prior(given, lambda: train, golden_config("resnet50", "paper")).scores
    np.testing.assert_allclose(found[0], [0.2] * 5, atol=1e-6)
    np.testing.assert_allclose(found[1], np.array([1, 1.5, 1, 0, 0]) / 3.5, atol=1e-6)
    for method in ("balanced", "logit_adjustment", "balanced+ema"):
        kept = prior(given, lambda: train, golden_config(f"resnet50+{method}", "paper")).scores
        np.testing.assert_allclose(kept, given.scores, atol=1e-6)


def test_shots_draw_k_of_each_class_and_score_the_others_five_times() -> None:
    labels = np.array([0] * 20 + [1] * 8 + [3] * 3 + [4])
    rng = np.random.default_rng(0)
    told = predictions(np.full((32, 5), 0.2), labels, (np.eye(5)[labels] + rng.normal(0, 0.01, (32, 5))))
    learned = drawn(labels, 5, generator(0, "shots", 5, 0))
    assert np.bincount(labels[learned], minlength=5).tolist() == [5, 4, 0, 1, 0]
    scored = shots(told, source, golden_config("resnet50", "paper"), k=5)
    assert len(scored.ids) == 5 * (32 - 10)
    first = [name.partition("#")[0] for name in scored.ids if name.endswith("#0")]
    assert sorted(map(int, first)) == [row for row in range(32) if row not in learned]
    assert {name.partition("#")[2] for name in scored.ids} == set("01234")
    np.testing.assert_allclose(scored.scores.sum(1), 1, atol=1e-5)
    right = scored.scores.argmax(1) == scored.labels
    assert right[scored.labels != 4].mean() > 0.95
    assert not right[scored.labels == 4].any()  # of its one image none is labelled
    again = shots(told, source, golden_config("resnet50", "paper"), k=5)
    assert again.ids == scored.ids


def test_shots_of_a_single_class_are_refused() -> None:
    with pytest.raises(ConfigError, match="drawn: fewer than two classes have two images"):
        shots(predictions(np.full((4, 5), 0.2)), source, golden_config("resnet50", "paper"), k=1)


@pytest.mark.parametrize(("function", "space"), [(in_rgb, same), (in_lab, to_lab)])
def test_colours_become_the_sources_in_each_image(function: Any, space: Any) -> None:
    model, config = made()
    found = statistics(IMAGES.pixels, space).mean(0)
    noise = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    cells = (110 + 10 * noise).clamp(0, 255).round().byte()
    (moved,) = function(model, IMAGES, source, config)._views(cells)
    mean, spread = (part[:, :, 0, 0].numpy() for part in moments(space(moved)))
    np.testing.assert_allclose(mean, np.repeat(found[:1], 3, 0), atol=1.5)
    np.testing.assert_allclose(spread, np.repeat(found[1:], 3, 0), rtol=0.1)
    own = dataclasses.replace(IMAGES, pixels=IMAGES.pixels.pick(np.array([4])))
    (kept,) = function(model, own, lambda: own, config)._views(pixels_of(own))
    torch.testing.assert_close(kept, pixels_of(own).float(), atol=0.1, rtol=0)


def test_flips_average_the_scores_of_eight_views_by_hand_and_turned_images_score_alike() -> None:
    model, config = made()
    cells = pixels_of(IMAGES)[:4]
    averaged = flips(model, IMAGES, source, config)
    views = [view for turns in range(4) for one in [torch.rot90(cells, turns, (2, 3))] for view in (one, one.flip(2))]
    with torch.no_grad():
        expected = torch.stack([model(view) for view in views]).mean(0)
        torch.testing.assert_close(averaged(cells), expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(averaged(cells.rot90(1, (2, 3)).flip(3)), averaged(cells), atol=1e-4, rtol=1e-4)


def test_plain_score_is_that_of_the_model_to_the_bit_and_no_adaptation_changes_the_model() -> None:
    model, config = made()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    plain = predict(model, IMAGES, config)
    for name in ADAPTATIONS:
        if not name.startswith("shots"):
            adapted(name, model, IMAGES, source, config)
    assert np.array_equal(adapted("none", model, IMAGES, source, config).scores, plain.scores)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())


def test_rows_that_change_the_model_alike_share_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model, config = made()
    names = ["none", "adabn", "em", "adabn+em", "prior", "shots_1"]
    alone = {name: adapted(name, model, IMAGES, source, config).scores for name in names}
    passes = []
    monkeypatch.setattr("wbc.methods.adapt.predict", lambda *given: passes.append(1) or predict(*given))
    together = dict(predict_adapted(names, model, IMAGES, source, config))
    assert len(passes) == 2
    assert together.keys() == set(names)
    assert all(np.array_equal(together[name].scores, scores) for name, scores in alone.items())


def test_rows_that_change_the_model_name_their_passes() -> None:
    assert {name for name, row in ADAPTATIONS.items() if row.passes} == {
        name for name in ADAPTATIONS if model_changes(name)
    }
    assert find_adaptation("adabn+flips").passes == 10


@pytest.mark.parametrize("name", [*ADAPTATIONS, "lab+adabn+flips+em", "rgb+tent+prior"])
@pytest.mark.parametrize("value", [255, 0, 128, None])
def test_probabilities_stay_finite_on_white_black_and_constant_images(name: str, value: int | None) -> None:
    model, config = made()
    images = filled(value)
    found = adapted(name, model, images, lambda: images, config)
    assert np.isfinite(found.scores).all()
    np.testing.assert_allclose(found.scores.sum(1), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("adabn+tent", "adabn and tent both act on the norms: choose one"),
        ("rgb+lab", "rgb and lab both act on the colour"),
        ("em+adabn", "write adabn+em"),
        ("none+em", "none means no adaptation: leave it out"),
        ("adabm", "unknown adaptation 'adabm'; did you mean 'adabn'"),
    ],
)
def test_adaptations_that_do_not_combine_say_why(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason.replace("+", r"\+")):
        find_adaptation(name)


def test_combination_sees_what_its_parts_see() -> None:
    assert find_adaptation("lab+flips").access == "source"
    assert find_adaptation("rgb+em").access == "target"
    assert find_adaptation("adabn+shots_5").access == "labels"


@pytest.mark.parametrize(
    ("name", "norm", "reason"),
    [
        ("adabn", "none", "adabn changes batch norm's statistics, and this model has none"),
        ("adabn+em", "group", "adabn+em changes batch norm's statistics, and this model has group norm"),
        ("tent", "none", "tent changes the weights of norm layers, and this model has none"),
        ("tent", "layer", None),
        ("adabn", "frozen_batch", None),
        ("em", "none", None),
    ],
)
def test_adaptation_of_a_model_without_its_norms_says_why_not(name: str, norm: str, reason: str | None) -> None:
    assert unsuited(name, norm) == reason


@pytest.mark.parametrize(
    ("function", "name", "reason"),
    [(adabn, "resnet50_gn", "has no batch norm"), (tent, "squeezenet", "has none"), (sar, "vgg16", "has none")],
)
def test_network_that_turns_out_to_lack_norms_is_refused(function: Any, name: str, reason: str) -> None:
    model, config = made(name)
    with pytest.raises(ConfigError, match=reason):
        function(model, IMAGES, source, config)


def test_single_image_is_no_target_to_adapt_to() -> None:
    model, config = made()
    alone = dataclasses.replace(IMAGES, **labelled(IMAGES.labels[:1]), pixels=IMAGES.pixels.pick(np.array([0])))
    with pytest.raises(ConfigError, match="drawn has 1 image: to adapt to it takes at least 2"):
        adabn(model, alone, source, config)
