"""How a plan stands by what the store holds, also where that is much."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.conftest import name_of, write_cells
from wbc.config import PlanConfig, RunConfig
from wbc.data.catalog import find_domain
from wbc.data.images import Listing, list_images
from wbc.data.prepare import prepare
from wbc.identity import scored_as
from wbc.inputs import load_inputs
from wbc.run import train_and_score
from wbc.studies import plan
from wbc.surroundings import data_dir
from wbc.sweep.plan import survey
from wbc.sweep.reproduce import _stand
from wbc.tracking import read, schema
from wbc.tracking.read import read_trainings
from wbc.tracking.store import search


def copy_run(database: Path, run_id: str, identities: Sequence[str], tests: Sequence[Listing]) -> None:
    """Adds a copy of a run, with all that it logged, for each of the identities, scored on the same images."""
    connection = sqlite3.connect(database)
    with connection:
        for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
            cursor = connection.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", [run_id])
            names = [column[0] for column in cursor.description]
            rows, marks = cursor.fetchall(), ", ".join("?" * len(names))
            copies = (
                [identity if name == "run_uuid" else value for name, value in zip(names, row, strict=True)]
                for identity in identities
                for row in rows
            )
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", copies)
        connection.executemany(
            "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id) "
            "SELECT input_uuid, source_type, source_id, destination_type, ? FROM inputs WHERE destination_id = ?",
            [[identity, run_id] for identity in identities],
        )
        connection.executemany(
            "UPDATE tags SET value = run_uuid WHERE key = 'trained_as' AND run_uuid = ?", [[it] for it in identities]
        )
        connection.executemany(
            "UPDATE tags SET value = ? WHERE key = ? AND run_uuid = ?",
            [[scored_as(it, test), schema.scored_as(test.name), it] for it in identities for test in tests],
        )
    connection.close()


def test_thousand_cells_of_which_most_are_done_are_planned_by_asking_the_store_once(
    small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [small_config(seed=0, epochs=1)]
    configs += [type(configs[0])(**{**vars(configs[0]), "seed": seed}) for seed in range(1, 1000)]
    outcome = train_and_score(configs[0])
    fingerprints = [cell.trained_as for cell in survey(configs, [])]
    assert len(set(fingerprints)) == 1000
    copy_run(
        store / "mlflow.db", outcome.run_id, [str(name) for name in fingerprints[1:990]], load_inputs(configs[0]).tests
    )
    asked: list[str] = []
    monkeypatch.setattr(read, "search_by_pages", lambda text: asked.append(text) or search(text))
    cells = survey(configs, read_trainings())
    assert len(asked) == 1
    assert [cell.state for cell in cells] == ["done"] * 990 + ["to run"] * 10
    assert {cell.outcome.accuracies[name_of("away")] for cell in cells if cell.outcome} == {
        outcome.accuracies[name_of("away")]
    }


def test_store_is_read_for_the_studys_runs_alone_when_all_are_done(
    small_config: Callable[..., RunConfig], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(epochs=1)
    outcome = train_and_score(config)
    others = [f"{number:032x}" for number in range(300)]
    copy_run(store / "mlflow.db", outcome.run_id, others, load_inputs(config).tests)
    with sqlite3.connect(store / "mlflow.db") as connection:
        connection.execute("UPDATE tags SET value = 'other' WHERE key = 'profile' AND run_uuid <> ?", [outcome.run_id])
    cells, records = _stand([config])
    assert ([cell.state for cell in cells], [run.id for run in records]) == (["done"], [outcome.run_id])
    cells, records = _stand([config, small_config(epochs=1, seed=1)])
    assert ([cell.state for cell in cells], len(records)) == (["done", "to run"], 301)


def test_matrix_of_twelve_labs_is_planned_by_looking_at_each_lab_once(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each lab alone, and all but one; scored on the labs that an arm does not train on."""
    labs = [f"folder:{write_cells(workplace / f'lab{number}', 2, size_px=24 + number)}" for number in range(12)]
    for lab in labs:
        prepare(find_domain(lab), None, data_dir=data_dir())
    sources = [*labs, *(",".join(lab for lab in labs if lab != left) for left in labs)]
    lines = {"sources": sources, "targets": labs, "models": ["resnet50", "vgg16", "lite0"], "methods": ["erm", "mixup"]}
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
    (workplace / "matrix.toml").write_text(f'{text}seeds = 3\nscale = "tiny"\npretrained = "none"\n')
    looked: list[str] = []
    look = list_images
    monkeypatch.setattr(
        "wbc.sweep.plan.list_images", lambda split, data_dir: looked.append(split.key) or look(split, data_dir=data_dir)
    )
    cells = survey(plan(PlanConfig(profile="matrix.toml")), [])
    assert len(cells) == len({cell.trained_as for cell in cells}) == 24 * 3 * 2 * 3
    assert {len(cell.config.targets) for cell in cells} == {11, 1}
    assert {cell.train_images for cell in cells} == {10, 110}
    assert sorted(looked) == sorted(find_domain(lab).key for lab in labs)
