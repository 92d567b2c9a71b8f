"""Field of a dataclass = command-line option = MLproject parameter; and values that are not allowed."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from entrypoints.mlproject import ENTRIES, render
from wbc.compute import settle
from wbc.config import PlanConfig, ReproduceConfig, TrainConfig
from wbc.errors import ConfigError
from wbc.methods.catalog import find_method
from wbc.settings import Settings, settings_for
from wbc.studies import STUDIES, plan, resolve

ROOT = Path(__file__).parents[1]


def test_mlproject_is_what_the_options_make() -> None:
    assert (ROOT / "MLproject").read_text() == render(), "make mlproject"


@pytest.mark.parametrize("entry", ENTRIES)
def test_mlproject_parameters_are_the_fields_with_their_defaults(entry: str) -> None:
    declared = yaml.safe_load(render())["entry_points"][entry]
    fields = {field.name: field.default for field in dataclasses.fields(ENTRIES[entry])}
    words = {None: "auto", True: "on", False: "off"}
    told = {
        name: default if type(default) in (int, float) else words.get(default, default)
        for name, default in fields.items()
    }
    assert {name: parameter["default"] for name, parameter in declared["parameters"].items()} == told
    assert declared["command"].split()[:3] == ["python3", "-m", f"entrypoints.{entry}"]
    assert re.findall(r"--(\w+) \{(\w+)\}", declared["command"]) == [(name, name) for name in fields]


def test_options_of_train_are_the_settings_and_what_makes_an_arm() -> None:
    options = {field.name for field in dataclasses.fields(TrainConfig)}
    settings = {field.name for field in dataclasses.fields(Settings)}
    assert options - settings == {"model", "method", "seed", "profile", "source", "targets", "adapt"}
    assert settings <= options


def test_each_setting_says_what_it_is_for_or_is_known_by_its_content() -> None:
    by_content = {"recipe", "pretrained", "validation"}  # rows and images that the identity holds
    free = set(settings_for("free"))
    assert set(settings_for("trains")) | free | by_content == {field.name for field in dataclasses.fields(Settings)}
    assert not free & set(settings_for("trains"))


@pytest.mark.parametrize("profile", STUDIES)
def test_study_resolves_to_valid_runs(profile: str) -> None:
    runs = plan(PlanConfig(profile=profile))
    study = STUDIES[profile]
    trained = [
        (source, method)
        for source in study.sources
        for method in study.methods
        if len(source.split(",")) >= find_method(method).labs
    ]
    assert len(runs) == len(study.models) * len(trained) * study.seeds
    assert tuple(dict.fromkeys(run.model for run in runs)) == study.models


def test_paper_profile_has_the_settings_of_the_paper() -> None:
    run = resolve(TrainConfig(profile="paper", model="resnet50", seed=9))
    assert (run.lr, run.weight_decay, run.epochs, run.warmup_epochs) == (1e-4, 0.005, 100, 10)
    assert (run.image_size, run.batch_size, run.fast, run.recipe) == (224, 128, True, "paper")
    assert (run.source, run.targets) == ("raabin", ("raabin:test_b", "lisc", "bccd"))
    assert (run.scale, run.pretrained, run.precision) == ("full", "imagenet", "bf16")
    assert STUDIES["paper"].seeds == 10


def test_warm_up_is_a_tenth_of_the_epochs_unless_given() -> None:
    assert resolve(TrainConfig(epochs=1)).warmup_epochs == 0
    assert resolve(TrainConfig(epochs=25)).warmup_epochs == 2
    assert resolve(TrainConfig(epochs=10, warmup_epochs=9)).warmup_epochs == 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs=0: must be 1 or more"),
        ({"warmup_epochs": 10, "epochs": 10}, "less than epochs=10"),
        ({"lr": 0.0}, "lr=0.0: must be above 0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"batch_size": 1}, "batch_size=1: must be 2 or more"),
        ({"seed": -1}, "seed=-1: must be 0 or more"),
        ({"seed": 2**32}, "seed=4294967296: must be 0 or more, and below 4,294,967,296"),
        ({"image_size": 8}, "image_size=8: must be 16 or more"),
        ({"model": "resnet50_frozen"}, "unknown model 'resnet50_frozen'; did you mean 'resnet50_frozenbn'"),
        ({"recipe": "papers"}, "unknown recipe 'papers'; did you mean 'paper'"),
        ({"profile": "paperr"}, "unknown profile 'paperr'; did you mean 'paper'"),
        ({"scale": "tinny"}, "unknown scale 'tinny'; did you mean 'tiny'"),
        ({"model": "resnet50+mixupp"}, "unknown method 'mixupp'; did you mean 'mixup'"),
        ({"validation": 0.6}, "validation=0.6: must be 0.5 or less"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
    ],
)
def test_resolve_refuses_what_is_not_allowed(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        resolve(TrainConfig(**settings))  # type: ignore[arg-type]


def test_plan_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wbc.compute.computes_in_bf16", lambda device: False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    (first, *_) = plan(PlanConfig(profile="paper"))
    assert (first.precision, first.device) == ("bf16", "auto")


def test_precision_that_the_hardware_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wbc.compute.computes_in_bf16", lambda device: False)
    with pytest.raises(
        ConfigError, match=r"precision=bf16: this processor does not compute in it. Choose precision=fp32"
    ):
        settle(resolve(TrainConfig(precision="bf16", device="cpu")))
    assert settle(resolve(TrainConfig(device="cpu"))).device == "cpu"


@pytest.mark.parametrize(
    ("runner", "settings"),
    [
        ("local", {"image": "mine", "memory": "16g", "address": "auto", "cpus": 2, "gpus": 0.5}),
        ("docker", {"address": "auto", "gpus": 0.5}),
        ("ray", {"image": "mine", "memory": "16g"}),
    ],
)
def test_option_that_does_nothing_with_the_runner_is_refused(runner: str, settings: dict[str, object]) -> None:
    for name, value in settings.items():
        with pytest.raises(ConfigError, match=f"^{name}={value}: does nothing with runner={runner}, only with runner="):
            ReproduceConfig(runner=runner, **{name: value})  # type: ignore[arg-type]


def test_options_of_a_runner_are_taken() -> None:
    ReproduceConfig(runner="docker", image="mine", memory="16g", cpus=2)
    ReproduceConfig(runner="ray", address="auto", cpus=2, gpus=0.5)
