"""Places to run: a new one is a class and its name; one whose packages are missing says so."""

import sys
from collections.abc import Sequence
from pathlib import Path

import mlflow
import pytest

from tests.conftest import write_cells
from tests.forks import run_anew
from wbc.config import RUNNERS, ReproduceConfig, RunConfig, TrainConfig
from wbc.errors import RunnerError
from wbc.inputs import load_inputs
from wbc.run import train_and_score
from wbc.studies import Study, resolve
from wbc.sweep.reproduce import reproduce_study
from wbc.sweep.runners import containers
from wbc.sweep.runners.base import Results, Runner, find_runner, for_elsewhere

ROOT = Path(__file__).parents[3]


class InThisProcess(Runner):
    """A place that needs nothing."""

    def run(self, configs: Sequence[RunConfig]) -> Results:
        for config in configs:
            yield config, train_and_score(config)


def test_place_is_added_by_a_class_and_its_name(
    small_study: Study,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RUNNERS, "here", f"{__name__}:InThisProcess")
    reproduce_study(ReproduceConfig(runner="here", seeds="0"))
    runs = mlflow.search_runs(search_all_experiments=True, filter_string="tags.complete = 'true'", output_format="list")
    assert [run.info.run_name for run in runs] == ["resnet50/seed0"]


@pytest.mark.parametrize("name", RUNNERS)
def test_every_place_is_found_by_its_name(name: str) -> None:
    assert find_runner(name).__module__ == f"wbc.sweep.runners.{name}"


@pytest.mark.parametrize(("name", "package"), [("docker", "docker"), ("ray", "ray")])
def test_place_whose_packages_are_not_installed_says_how_to_get_them(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [each for each in sys.modules if each.startswith(f"wbc.sweep.runners.{name}")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RunnerError, match=rf"runner={name} needs the package {package}.*make setup.*'\.\[{name}\]'"):
        find_runner(name)


def test_plan_on_this_machine_loads_neither_docker_nor_ray() -> None:
    script = "import sys, wbc.sweep.reproduce; print({'docker', 'ray'} & set(sys.modules))"
    assert run_anew(ROOT, "-c", script).stdout == "set()\n"


def test_folders_are_found_from_another_working_folder_and_where_only_they_are_seen(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = store / "our lab"
    write_cells(lab, 2)
    (store / "link").symlink_to(lab)
    monkeypatch.chdir(store)
    monkeypatch.setattr(containers, "store_location", lambda: ("http://server", set()))
    config = resolve(TrainConfig(model="vgg16", source="folder:link?crop=0.9", targets="folder:our lab"))
    sent = for_elsewhere(config)
    assert (sent.source, sent.targets) == (f"folder:{lab}?crop=0.9", (f"folder:{lab}",))
    assert [load.name for load in load_inputs(sent).tests] == [load.name for load in load_inputs(config).tests]
    seen = containers.container_settings([sent], None, cpus=1, jobs=1, gpus=0)["mounts"]
    assert {mount["Target"] for mount in seen if mount["ReadOnly"]} == {str(store / "data"), str(lab)}
