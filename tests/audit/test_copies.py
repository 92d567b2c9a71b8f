"""Copies are found whatever became of them, and different cells are none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.audit.conftest import EACH, part_of
from wbc.audit import copies
from wbc.audit.copies import MOST, same_look, same_pixels
from wbc.audit.findings import find_copies
from wbc.audit.measures import measure
from wbc.data.splits import Split

TURNS = tuple(Image.Transpose)


def first_of(folder: Path, name: str = "Monocyte") -> Path:
    return min((folder / name).iterdir())


@pytest.mark.parametrize("turn", TURNS, ids=[turn.name for turn in TURNS])
def test_turned_and_mirrored_copy_looks_the_same_and_another_cell_does_not(drawn: Path, turn: Image.Transpose) -> None:
    cell, other = Image.open(first_of(drawn)), Image.open(first_of(drawn, "Lymphocyte"))
    looks = np.array([measure(image.convert("RGB")).look for image in (cell, cell.transpose(turn), other)])
    pairs = same_look(looks, np.zeros(3, int))
    assert pairs[["a", "b"]].to_numpy().tolist() == [[0, 1]]
    assert pairs["distance"][0] <= 5


def test_copies_of_each_kind_are_named_and_nothing_else(
    slides: Path, found: Callable[[], list[dict[str, str]]]
) -> None:
    cell = Image.open(first_of(slides)).convert("RGB")
    folder = slides / "Monocyte"
    (folder / "x1.png").write_bytes(first_of(slides).read_bytes())
    cell.save(folder / "x2.bmp")
    cell.transpose(Image.Transpose.ROTATE_90).save(folder / "x3.jpg", quality=75)
    cell.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "x4.png")
    rows = found()
    kinds = {Path(row["image_2"]).name: row["kind"] for row in rows}
    assert kinds == {"x1.png": "same file", "x2.bmp": "same pixels", "x3.jpg": "same look", "x4.png": "same look"}
    assert {Path(row["image_1"]).name for row in rows} <= {first_of(slides).name, "x3.jpg"}
    assert {row["scope"] for row in rows} == {"within a split"}
    assert all(int(row["distance"]) <= MOST for row in rows if row["kind"] == "same look")


def test_copy_under_another_label_comes_first_and_is_said_to_have_two(
    slides: Path, found: Callable[[], list[dict[str, str]]]
) -> None:
    first_of(slides).rename(slides / "Monocyte" / "00.png")
    (slides / "Neutrophil" / "copy.png").write_bytes((slides / "Monocyte" / "00.png").read_bytes())
    Image.open(slides / "Monocyte" / "00.png").save(slides / "Monocyte" / "x.bmp")
    first, second = found()
    assert (first["two_labels"], first["label_1"], first["label_2"]) == ("True", "Monocyte", "Neutrophil")
    assert (second["two_labels"], second["label_1"], second["label_2"]) == ("False", "Monocyte", "Monocyte")


def test_copies_in_train_and_test_and_in_another_lab_are_told_apart(drawn: Path) -> None:
    files = sorted((drawn / "Monocyte").iterdir())[:6]
    train, test, other = Split("pbc2500", "train"), Split("pbc2500", "test"), Split("bccd", "all")
    parts = [
        part_of(split, those, [3] * len(those))
        for split, those in ((train, files[:3]), (test, [files[0], files[3]]), (other, [files[3], *files[4:]]))
    ]
    assert [(each.scope, each.splits) for each in find_copies(parts)] == [
        ("one lab", ("pbc2500_train", "pbc2500_test")),
        ("two labs", ("pbc2500_test", "bccd")),
    ]


def test_group_of_equal_images_is_paired_with_the_first_of_each_split() -> None:
    pairs = same_pixels(["x", "y", "x", "x", "x"], np.array([0, 0, 0, 1, 1]))
    assert pairs.to_numpy().tolist() == [[0, 2], [0, 3], [0, 4], [3, 4]]


def test_blocks_of_any_size_give_the_pairs_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    looks = rng.random((150, 16, 16)) < 0.5
    looks[:, 0, 0] = False
    looks[[40, 90, 149]] = looks[7]
    looks[90, 15, 3:9] ^= True
    splits = np.repeat([0, 1], 75)
    whole = same_look(looks, splits)
    assert whole.to_numpy().tolist() == [[7, 40, 0], [7, 149, 0], [7, 90, 6], [90, 149, 6]]
    for name, size in (("_ROWS", 7), ("_COLUMNS", 16), ("_MANY", 1)):
        monkeypatch.setattr(copies, name, size)
    assert same_look(looks, splits).to_numpy().tolist() == whole.to_numpy().tolist()


def test_drawn_cells_are_as_many_as_they_should_be(drawn: Path) -> None:
    assert len(list(drawn.rglob("*.png"))) == 5 * EACH
