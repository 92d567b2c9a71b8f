"""Studies: rows of the catalogue, files of a user's, the arms they come to, and what is refused."""

from pathlib import Path

import pytest

from wbc.arms import Arm, parse_arm, short_names
from wbc.config import PlanConfig, TrainConfig
from wbc.errors import ConfigError
from wbc.inputs import splits_of
from wbc.methods.catalog import ADAPTATIONS, METHODS
from wbc.studies import STUDIES, find_study, plan, plan_arms, resolve, study_name

FILE = """
claim = "Does group norm hold from two labs to a third?"
sources = ["pbc2500", "pbc2500,tecom:all"]
targets = ["bccd", "tecom"]
models = ["resnet50", "resnet50_gn"]
methods = ["erm", "mixup"]
seeds = 2
epochs = 3
lr = 1
"""


@pytest.fixture
def study(tmp_path: Path) -> str:
    path = tmp_path / "two-labs.toml"
    path.write_text(FILE)
    return str(path)


@pytest.mark.parametrize("name", STUDIES)
def test_each_study_opens_with_its_claim_command_cost_and_expectation(name: str) -> None:
    study = STUDIES[name]
    assert all((study.claim, study.command, study.cost, study.expect))
    assert study.command in ("make reproduce", f"make reproduce PROFILE={name}")


def test_file_is_a_study(study: str) -> None:
    assert study_name(study) == "two-labs"
    read = find_study(study)
    assert (read.lr, read.epochs, read.batch_size) == (1.0, 3, 128)
    assert read.domains() == ("pbc2500", "tecom", "bccd")


def test_plan_of_a_file_is_sources_times_methods_times_models_times_seeds(study: str) -> None:
    runs = plan(PlanConfig(profile=study))
    assert len(runs) == len(set(runs)) == 2 * 2 * 2 * 2
    assert {run.profile for run in runs} == {"two-labs"}
    assert runs[0].arm == Arm("resnet50", "erm", ("pbc2500",))
    assert runs[0].targets == ("bccd", "tecom")
    assert [run.seed for run in runs] == [0] * 8 + [1] * 8
    assert {run.targets for run in runs if run.arm.sources == ("pbc2500", "tecom:all")} == {("bccd",)}


def test_labs_are_trained_on_alone_and_left_out_and_never_scored_on_what_was_trained_on() -> None:
    runs = plan(PlanConfig(profile="labs", models="lite0", seeds="0"))
    singles = [run for run in runs if len(run.arm.sources) == 1]
    assert {run.method for run in singles} == {"erm", "colour_jitter"}
    for run in runs:
        sources, homes, targets = splits_of(run)
        assert [split.key for split in homes] == [split.key for split in sources]
        assert {split.key for split in targets} == {"pbc2500", "bccd", "tecom", "cellavision"} - {
            split.key for split in sources
        }
    left_out = {tuple(split.key for split in splits_of(run)[2]) for run in runs if len(run.arm.sources) == 3}
    assert left_out == {("pbc2500",), ("bccd",), ("tecom",), ("cellavision",)}


def test_whole_lab_is_refused_beside_a_part_of_it_that_is_trained_on() -> None:
    config = resolve(TrainConfig(source="bccd:train", targets="bccd"))
    with pytest.raises(ConfigError, match="target bccd overlaps bccd:train, which is what the model trains on"):
        splits_of(config)


def test_all_arms_of_methods_are_scored_under_all_adaptations() -> None:
    runs = plan(PlanConfig(profile="methods"))
    assert len(runs) == 3 * sum(row.labs == 1 for row in METHODS.values()) * 3
    joined, *_ = plan(PlanConfig(profile="methods", methods="hed_jitter+ema"))
    one = resolve(TrainConfig(profile="methods", model="lite0+mixup"))
    assert all(set(run.adapt) == set(ADAPTATIONS) - {"none"} for run in (*runs, joined, one))


def test_former_name_of_a_model_with_mixup_is_its_arm() -> None:
    assert parse_arm("resnet50_gn_mixup", ("a",)) == Arm("resnet50_gn", "mixup", ("a",))
    assert resolve(TrainConfig(model="resnet50_gn_mixup")).arm.name == "resnet50_gn+mixup"
    assert resolve(TrainConfig(model="resnet50_gn+mixup")) == resolve(TrainConfig(model="resnet50_gn", method="mixup"))


def test_models_may_name_their_method() -> None:
    arms = plan_arms(PlanConfig(models="resnet50,resnet50+mixup", methods="erm"))
    assert [arm.name for arm in arms] == ["resnet50", "resnet50+mixup"]
    assert arms[1].full_name == "resnet50+mixup@smears_source"


def test_terminal_names_arms_of_all_labs_but_one_by_the_one() -> None:
    labs = ("a", "b:train", "c")
    alone = [Arm("lite0", "erm", (lab,)) for lab in labs]
    rest = [Arm("lite0", "coral", tuple(lab for lab in labs if lab != left)) for left in labs]
    assert list(short_names(alone + rest).values()) == [
        *("lite0@a", "lite0@b:train", "lite0@c"),
        *("lite0+coral@all but a", "lite0+coral@all but b:train", "lite0+coral@all but c"),
    ]
    assert list(short_names(alone[:1]).values()) == ["lite0"]
    assert list(short_names(alone[:2]).values()) == ["lite0@a", "lite0@b:train"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("epoch = 3", "unknown field 'epoch'; did you mean 'epochs'"),
        ("epochs = 0", "epochs=0: must be 1 or more"),
        ("epochs = 1.5", "epochs=1.5: must be of type int"),
        ("fast = 1", "fast=1: must be of type bool"),
        ("precision = 'fp16'", "unknown precision 'fp16'"),
        ("models = 'resnet50'", "models='resnet50': must be a list of names"),
        ("models = [", "is no TOML"),
        ("models = " + "[" * 100_000, "is no TOML"),
        ("seeds = 0", "seeds=0: must be 1 to 1,000"),
        ("seeds = -1", "seeds=-1: must be 1 to 1,000"),
        ("seeds = 1000000000", "seeds=1000000000: must be 1 to 1,000"),
        ("image_size = 100000", "image_size=100000: must be 4096 or less"),
    ],
)
def test_study_with_a_field_or_value_that_is_not_allowed_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    seeds = "" if line.startswith("seeds") else "seeds = 1\n"
    path.write_text(f'sources = ["bccd:all"]\ntargets = ["tecom"]\n{seeds}{line}\n')
    with pytest.raises(ConfigError, match=r"^profile=\S*mine.toml: ") as refused:
        find_study(str(path))
    assert message in str(refused.value)


@pytest.mark.parametrize("name", ["it's.toml", 'a"b.toml', "a\nb.toml", "a;b.toml", "a%b.toml", "\x1b[31m.toml"])
def test_study_whose_name_would_not_pass_through_a_store_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILE)
    with pytest.raises(ConfigError, match=r"a study is called like its file: use letters"):
        find_study(str(tmp_path / name))


def test_study_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path, study: str) -> None:
    (tmp_path / "windows.toml").write_text(Path(study).read_text(), encoding="utf-8-sig")
    assert find_study(str(tmp_path / "windows.toml")) == find_study(study)


def test_study_that_lacks_what_it_needs_or_takes_a_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("seeds = 1\n")
    with pytest.raises(ConfigError, match="lacks sources, targets"):
        find_study(str(tmp_path / "mine.toml"))
    (tmp_path / "demo.toml").write_text(FILE)
    with pytest.raises(ConfigError, match="'demo' is a study of this project"):
        find_study(str(tmp_path / "demo.toml"))
    with pytest.raises(ConfigError, match="cannot be read"):
        find_study(str(tmp_path / "gone.toml"))
