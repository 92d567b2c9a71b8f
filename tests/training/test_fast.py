"""The fast paths give what the plain ones give: to the bit where the arithmetic is the same, else to rounding."""

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from functorch.compile import nop
from torch import Tensor
from torch._dynamo.backends.common import aot_autograd
from torch.nn.functional import cosine_similarity

from tests.forks import run_anew, run_command
from wbc import compute
from wbc.compute import computes_in_bf16, place
from wbc.config import RunConfig
from wbc.data.batches import draw_augmentation
from wbc.evaluation.predict import predict_pixels
from wbc.inputs import load_inputs
from wbc.models.build import Classifier, build, write_backbone
from wbc.models.catalog import MODELS, PAPER_ROWS
from wbc.surroundings import data_dir
from wbc.training import features, feed
from wbc.training.feed import Feed
from wbc.training.loop import batches, build_optimiser, train_epoch

LAST16 = "resnet50_frozenbn_last16"


def trained(config: RunConfig, epochs: int, weights: Path | None = None) -> tuple[list[float], Classifier]:
    """Returns the losses of a few epochs and the model after them."""
    (train,) = load_inputs(config).train
    model = build(config, weights)
    place(model, config)
    optimiser, images = build_optimiser(model, config), Feed(model, train, config)
    return [train_epoch(model, optimiser, images, epoch, config).loss for epoch in range(epochs)], model


def flat(model: Classifier) -> Tensor:
    return torch.cat([parameter.detach().flatten().cpu() for parameter in model.parameters()])


def both_ways(make: Callable[..., RunConfig], **settings: object) -> tuple[list[float], list[float], float]:
    """Returns the losses of three epochs the fast and the plain way, and the cosine of how far the weights moved."""
    losses, moved = [], []
    for fast in (True, False):
        config = make(fast=fast, lr=1e-6, epochs=12, **settings)
        before = flat(build(config, None))
        found, network = trained(config, epochs=3)
        losses.append(found)
        moved.append(flat(network) - before)
    return losses[0], losses[1], cosine_similarity(moved[0], moved[1], dim=0).item()


@pytest.mark.parametrize("model", [*PAPER_ROWS, "resnet50_gn+mixup"])
def test_fast_training_agrees_with_the_plain_one_to_rounding(
    small_config: Callable[..., RunConfig], model: str
) -> None:
    fast, plain, cosine = both_ways(small_config, model=model)
    assert fast == pytest.approx(plain, rel=1e-4)
    # AdamW's first steps are as long whatever the gradient: one near 0 may change its sign by rounding.
    assert cosine > 0.98


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_features_computed_once_train_the_same_weights(
    small_config: Callable[..., RunConfig], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(model=LAST16, precision=precision, epochs=12)
    losses, model = trained(config, epochs=12)
    monkeypatch.setattr(feed, "compute_features", lambda *arguments: None)
    plain_losses, plain = trained(config, epochs=12)
    found, expected = flat(model), flat(plain)
    if precision == "bf16":
        assert losses == plain_losses
        assert torch.equal(found, expected)
    else:  # oneDNN's sums in fp32 depend on how many images it is given
        assert losses == pytest.approx(plain_losses, rel=1e-4)
        assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_model_is_split_only_where_it_begins_frozen_and_without_changing_a_bit(
    small_config: Callable[..., RunConfig], name: str
) -> None:
    config = small_config(model=name)
    model, images = build(config, None), torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    parts = model.split_frozen()
    assert (parts is not None) == (MODELS[name].trainable != "all")
    if parts:
        first, rest = parts
        assert not first(images).requires_grad
        assert torch.equal(rest(first(images)), model(images))


@pytest.mark.parametrize("settings", [{"recipe": "released"}, {"epochs": 2}, {"fast": False}, {"model": "resnet50"}])
def test_features_are_not_kept_of_random_crops_nor_for_a_few_epochs(
    small_config: Callable[..., RunConfig], settings: dict[str, object]
) -> None:
    config = small_config(**({"model": LAST16, "epochs": 12} | settings))
    model = build(config, None)
    assert Feed(model, load_inputs(config).train[0], config).plain is model


def test_features_without_room_are_computed_again_and_that_is_said(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    config = small_config(model=LAST16, epochs=12)
    monkeypatch.setattr(features, "SHARED_BYTES", 0)
    with monkeypatch.context() as patch:
        patch.setattr(features, "DISK_SHARE", 0)
        losses, _ = trained(config, 1)
    assert "too much for" in caplog.text
    with monkeypatch.context() as patch:
        patch.setattr(features.os, "posix_fallocate", full_disk)
        assert trained(config, 1)[0] == losses
    assert "No space left on device" in caplog.text


def test_features_too_large_to_share_leave_no_file_behind(
    small_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(features, "SHARED_BYTES", 0)
    config = small_config(model=LAST16, epochs=12)
    model = build(config, None)
    kept = Feed(model, load_inputs(config).train[0], config)
    assert kept.plain is not model
    assert not list(scratch.iterdir())


def shared_files(store: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (store / "data" / "features").glob("*/features")}


def test_features_are_shared_by_runs_that_start_from_the_same_weights_and_images(
    small_config: Callable[..., RunConfig], store: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    write_backbone(build(small_config(model=LAST16), None), weights)
    config = small_config(model=LAST16, pretrained=str(weights), epochs=4)
    other = dataclasses.replace(config, seed=1, lr=1e-2, method="balanced")
    losses, _ = trained(config, 1, weights)
    made = shared_files(store)
    assert len(made) == 1
    trained(other, 1, weights)
    assert trained(config, 1, weights)[0] == losses
    assert shared_files(store) == made
    for changed in ({"precision": "bf16"}, {"image_size": 40}):
        trained(dataclasses.replace(config, **changed), 1, weights)  # type: ignore[arg-type]
    trained(small_config(model=LAST16, epochs=4, seed=1), 1)  # which starts from weights of its own
    assert len(shared_files(store)) == 4


def test_features_that_are_damaged_are_made_again(small_config: Callable[..., RunConfig], store: Path) -> None:
    config = small_config(model=LAST16, epochs=4)
    losses, _ = trained(config, 1)
    ((path, _),) = shared_files(store).items()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert trained(config, 1)[0] == losses
    assert path.read_bytes() == whole


def test_features_that_were_made_first_go_where_the_data_folder_holds_too_many(
    small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(small_config(model=LAST16, epochs=4), 1)
    ((first, _),) = shared_files(store).items()
    monkeypatch.setattr(features, "SHARED_BYTES", first.stat().st_size * 3 // 2)
    trained(small_config(model=LAST16, epochs=4, seed=1), 1)  # which starts from weights of its own
    (second,) = shared_files(store)
    assert second != first


def test_batches_fetched_ahead_are_those_fetched_in_turn(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tensor, "pin_memory", Tensor.clone)  # which needs a GPU
    config = small_config(recipe="released")
    (train,) = load_inputs(config).train
    drawn = draw_augmentation(0, 0, len(train.labels))
    rows, images = batches(drawn.order, 8), Feed(build(config, None), train, config)
    in_turn = list(images.load(rows, drawn))
    images._fetches_ahead = True
    for (pixels, labels), (expected, truth) in zip(images.load(rows, drawn), in_turn, strict=True):
        assert torch.equal(pixels, expected)
        assert torch.equal(labels, truth)


def test_images_in_the_memory_of_a_gpu_give_the_same_batches(small_config: Callable[..., RunConfig]) -> None:
    config = small_config()
    (train,) = load_inputs(config).train
    drawn = draw_augmentation(0, 0, len(train.labels))
    rows, images = batches(drawn.order, 8), Feed(build(config, None), train, config)
    copied = list(images.load(rows, drawn))
    images._resident = torch.tensor(train.pixels.square)  # on this CPU, but as on a GPU
    for (pixels, _), (expected, _) in zip(images.load(rows, drawn), copied, strict=True):
        assert torch.equal(pixels, expected)


COMPILED = ("resnet50_gn fp32", "resnet50 fp32", "resnet50 bf16", "vit_b_16 bf16", f"{LAST16} bf16")


@pytest.fixture(scope="module")
def compiled_steps() -> dict[str, list[dict[str, float]]]:
    """The steps of two seeds of each of `COMPILED`, from one process: PyTorch takes seconds to compile the first."""
    done = run_command("tests.training.compiled", "cpu", "aot_eager", "tiny", *COMPILED)
    steps = list(map(json.loads, done.stdout.splitlines()))
    return {case: steps[2 * index : 2 * index + 2] for index, case in enumerate(COMPILED)}


@pytest.mark.parametrize("case", COMPILED)
def test_compiled_code_computes_the_same_and_is_shared_by_seeds(
    compiled_steps: dict[str, list[dict[str, float]]], case: str
) -> None:
    first, second = compiled_steps[case]
    for step in (first, second):
        assert step["loss"] == pytest.approx(step["expected"], rel=1e-5)
        assert step["cosine"] > 0.9999
        assert step["averages"] < 1e-5
    assert first["frames"] > 0
    assert second["frames"] == 0


def fail_to_compile(*arguments: object) -> None:
    raise RuntimeError("no such kernel")


@pytest.mark.parametrize(
    "backend",
    [fail_to_compile, aot_autograd(fw_compiler=nop, bw_compiler=fail_to_compile)],
    ids=["forward", "gradient"],
)
def test_model_that_does_not_compile_runs_as_it_is(
    backend: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    model, inputs = torch.nn.Linear(4, 3), torch.randn(5, 4)
    compiled = compute._Compiled(model, backend=backend)
    for _ in range(2):
        outputs = compiled(inputs)
        assert torch.equal(outputs, model(inputs))
        outputs.sum().backward()
    assert caplog.text.count("not compiled for the GPU: ") == 1
    assert "no such kernel" in caplog.text


@pytest.mark.parametrize("model", [*PAPER_ROWS, "resnetv2_50"])
@pytest.mark.parametrize("recipe", ["paper", "released"])
def test_fast_scoring_agrees_with_the_plain_one_to_rounding(
    small_config: Callable[..., RunConfig], model: str, recipe: str
) -> None:
    found = []
    for fast in (True, False):
        config = small_config(model=model, recipe=recipe, fast=fast)
        (train,) = load_inputs(config).train
        network = build(config, None)
        place(network, config)
        found.append(predict_pixels(network, train.pixels, config, device="cpu"))
    for fast_values, plain_values in zip(*found, strict=True):
        np.testing.assert_allclose(fast_values, plain_values, rtol=1e-4, atol=1e-5)


def test_only_full_models_on_a_gpu_are_compiled(
    small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = torch.nn.Linear(4, 3)
    assert compute.compiled(model, small_config()) is model
    full = small_config(scale="full", pretrained="none")
    assert compute.compiled(model, full) is model
    monkeypatch.setattr(compute.shutil, "which", lambda name: name)
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    assert isinstance(compute.compiled(model, dataclasses.replace(full, device="cuda")), compute._Compiled)
    assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).parent == data_dir()
    monkeypatch.setattr(compute.shutil, "which", lambda name: None)
    assert compute.compiled(model, dataclasses.replace(full, device="cuda")) is model


@pytest.mark.parametrize(("flags", "found"), [("fma avx512f avx512_bf16", True), ("fma avx512f", False)])
def test_cpu_computes_in_bf16_if_it_has_instructions_for_it(
    flags: str, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: f"processor : 0\nflags : {flags}\n")
    assert computes_in_bf16("cpu") is found


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_memory_that_is_kept_is_not_cleared_again_by_the_system() -> None:
    script = (
        "import resource, torch\n"
        "from wbc.compute import keep_memory\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "def of_large_tensors():\n"
        "    for _ in range(4): torch.ones(2**24)\n"  # the first find room of their own between other blocks
        "    before = faults()\n"
        "    for _ in range(16): torch.ones(2**24)\n"
        "    return faults() - before\n"
        "given = of_large_tensors()\n"
        "keep_memory()\n"
        "print(of_large_tensors(), given)"
    )
    kept, given = map(int, run_anew(Path.cwd(), "-c", script).stdout.split())
    assert kept < given / 4
