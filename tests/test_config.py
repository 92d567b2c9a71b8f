"""Field of a dataclass = command-line option = MLproject parameter; and values that are not allowed."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from wbc.config import EvaluateConfig, PrepareConfig, ReportConfig, ReproduceConfig, TrainConfig
from wbc.errors import ConfigError
from wbc.models.catalog import PAPER_ROWS
from wbc.studies import PROFILES, plan, resolve

MLPROJECT = yaml.safe_load((Path(__file__).parents[1] / "MLproject").read_text())
ENTRIES = {
    "prepare": PrepareConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "reproduce": ReproduceConfig,
    "report": ReportConfig,
}


def test_mlproject_has_the_entries_and_no_others() -> None:
    assert set(MLPROJECT["entry_points"]) == set(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES)
def test_mlproject_parameters_are_the_fields_with_their_defaults(entry: str) -> None:
    declared = MLPROJECT["entry_points"][entry]
    fields = {
        field.name: "auto" if field.default is None else field.default for field in dataclasses.fields(ENTRIES[entry])
    }
    assert {name: parameter["default"] for name, parameter in declared["parameters"].items()} == fields
    assert declared["command"].split()[:3] == ["python3", "-m", f"entrypoints.{entry}"]
    assert re.findall(r"--(\w+) \{(\w+)\}", declared["command"]) == [(name, name) for name in fields]


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_resolves_to_valid_runs(profile: str) -> None:
    runs = plan(profile, models=None, seeds=None, epochs=None)
    assert len(runs) == 9 * PROFILES[profile].seeds
    assert tuple(dict.fromkeys(run.model for run in runs)) == PAPER_ROWS


def test_paper_profile_has_the_settings_of_the_paper() -> None:
    run = resolve(TrainConfig(profile="paper", model="resnet50", seed=9))
    assert (run.lr, run.weight_decay, run.epochs, run.warmup_epochs) == (1e-4, 0.005, 100, 10)
    assert (run.image_size, run.batch_size, run.fast, run.recipe) == (224, 128, True, "paper")
    assert (run.source, run.targets) == ("raabin", ("raabin:test_b", "lisc", "bccd"))
    assert (run.scale, run.pretrained) == ("full", "imagenet")
    assert PROFILES["paper"].seeds == 10


def test_warm_up_is_a_tenth_of_the_epochs_unless_given() -> None:
    assert resolve(TrainConfig(epochs=1)).warmup_epochs == 0
    assert resolve(TrainConfig(epochs=25)).warmup_epochs == 2
    assert resolve(TrainConfig(epochs=10, warmup_epochs=9)).warmup_epochs == 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs=0: must be 1 or more"),
        ({"warmup_epochs": 10, "epochs": 10}, "less than epochs=10"),
        ({"lr": 0.0}, "lr=0.0: must be a finite number above 0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"batch_size": 1}, "batch_size=1: must be 2 or more"),
        ({"seed": -1}, "seed=-1: must be 0 or more"),
        ({"image_size": 8}, "image_size=8: must be 16 or more"),
        ({"model": "resnet50_frozen"}, "unknown model 'resnet50_frozen'; did you mean 'resnet50_frozenbn'"),
        ({"recipe": "papers"}, "unknown recipe 'papers'; did you mean 'paper'"),
        ({"profile": "paperr"}, "unknown profile 'paperr'; did you mean 'paper'"),
        ({"scale": "tinny"}, "unknown scale 'tinny'; did you mean 'tiny'"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
    ],
)
def test_resolve_refuses_what_is_not_allowed(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        resolve(TrainConfig(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hardware", "scale", "precision"), [(True, "full", "bf16"), (False, "full", "fp32"), (True, "tiny", "fp32")]
)
def test_precision_is_bf16_for_full_models_where_the_hardware_has_it_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch, hardware: bool, scale: str, precision: str
) -> None:
    monkeypatch.setattr("wbc.compute.computes_in_bf16", lambda device: hardware)
    run = TrainConfig(profile="paper", scale=scale, device="cpu")
    assert resolve(run).precision == precision
    assert resolve(dataclasses.replace(run, fast=False)).precision == "fp32"
    for wanted in ("fp32", "bf16"):
        assert resolve(dataclasses.replace(run, precision=wanted)).precision == wanted


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
