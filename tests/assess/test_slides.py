"""What a laboratory brings: folders of any depth, tables, names in several languages; what is not taken is counted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wbc.assess.names import UNLABELLED, label_of, read_mapping
from wbc.assess.pixels import decoded
from wbc.assess.reading import read_slides
from wbc.assess.slides import counted
from wbc.data.cache import Geometry
from wbc.errors import ConfigError, DataError


def draw(path: Path, size_px: int = 24, seed: int | None = None) -> Path:
    """Writes an image of noise, another for each path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(abs(hash(path.name)) % 2**32 if seed is None else seed)
    Image.fromarray(rng.integers(0, 255, (size_px, size_px, 3), np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "label"),
    [("Neutrófilos", 4), ("Lymphozyten", 2), ("limfocyty", 2), ("lymfocyter", 2), ("03_EOS", 1), ("Blasts", None)],
)
def test_name_is_known_in_several_languages(name: str, label: int | None) -> None:
    assert label_of(name, {}) == label


def test_mapping_of_the_user_comes_first_whatever_case_and_spaces() -> None:
    mapping = read_mapping("Segs=Neutrophil, band  forms=neut,Mono=none")
    assert [label_of(name, mapping) for name in ("SEGS", "Band forms", "mono", "Eos")] == [4, 4, UNLABELLED, 1]


@pytest.mark.parametrize("text", ["Segs", "Segs=Blast", "=Neutrophil", "Segs=Neutrophil,segs=Monocyte"])
def test_mapping_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="classes="):
        read_mapping(text)


def test_folder_of_slides_and_classes_is_read_whatever_its_depth(tmp_path: Path) -> None:
    for name in (
        "a/Neutrophil/1.png",
        "a/eos/2.png",
        "b/deep/Segs/3.png",
        "b/deep/Mono/4.png",
        "b/deep/Artefact/5.png",
    ):
        draw(tmp_path / name)
    (tmp_path / "a/Neutrophil/notes.txt").touch()
    slides = read_slides(str(tmp_path), read_mapping("segs=Neutrophil"))
    assert {cell.id: (cell.label, cell.slide) for cell in slides.cells} == {
        "a/Neutrophil/1.png": (4, "a"),
        "a/eos/2.png": (1, "a"),
        "b/deep/Mono/4.png": (3, "b/deep"),
        "b/deep/Segs/3.png": (4, "b/deep"),
    }
    assert ("b/deep/Artefact", "no class: left out", 1) in slides.taken_for
    assert counted(slides.left_out) == ("Left out: 1 (in a folder that names no class), 1 (not an image: .txt).")


def test_folders_without_classes_are_slides(tmp_path: Path) -> None:
    for name in ("slide 1/1.png", "slide 1/2.png", "slide 2/3.png"):
        draw(tmp_path / name)
    slides = read_slides(str(tmp_path), {})
    assert slides.slides == ("slide 1", "slide 2")
    assert {cell.label for cell in slides.cells} == {UNLABELLED}


def test_table_is_read_with_semicolons_and_any_case(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        draw(tmp_path / "cells" / name)
    table = tmp_path / "cells.csv"
    table.write_text("Path;LABEL;Patient\ncells/1.png;Segs;p1\ncells/2.png;;p2\n", encoding="utf-8")
    slides = read_slides(str(table), read_mapping("Segs=Neutrophil"))
    assert [(cell.label, cell.patient) for cell in slides.cells] == [(4, "p1"), (UNLABELLED, "p2")]
    assert slides.clusters == ("p1", "p2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\ngone.png,Neutrophil\n", "has 1 row without its file, such as 'gone.png'"),
        ("path,label\n1.png,Blast\n", "no class: 'Blast'.* add CLASSES=Blast=CLASS"),
        ("file,label\n1.png,Neutrophil\n", "has no column 'path'"),
        ("path,label\n", "lists no image"),
        ("path,label,Label\n1.png,mono,eos\n", "has the column 'label' twice"),
        ("path,label,slide\n1.png,mono,3, left\n", "more cells than columns in the row of '1.png': quote its commas"),
    ],
)
def test_table_that_cannot_be_taken_is_refused(tmp_path: Path, text: str, message: str) -> None:
    draw(tmp_path / "1.png")
    (tmp_path / "cells.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_slides(str(tmp_path / "cells.csv"), {})


def test_images_that_cannot_be_used_are_counted_by_reason(tmp_path: Path) -> None:
    for index in range(10):
        draw(tmp_path / f"{index}.png")
    draw(tmp_path / "small.png", 10)
    (tmp_path / "copy.png").write_bytes((tmp_path / "0.png").read_bytes())
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    Image.new("L", (10_000, 10_000)).save(tmp_path / "huge.png")
    geometry = Geometry("squash", 32)
    with decoded(read_slides(str(tmp_path), {}), [geometry]) as cells:
        assert len(cells.slides.cells) == len(cells.pixels[geometry]) == len(cells.looks) == 10
        assert cells.pixels[geometry][9].shape == (32, 32, 3)
    assert cells.slides.left_out == {
        "fewer than 16 pixels high or wide": 1,
        "a copy of another file": 1,
        "an empty file": 1,
        "damaged, or no image": 1,
        "more than 40 million pixels: crop it to its cell": 1,
    }


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp", "webp", "jp2"])
def test_format_is_read(tmp_path: Path, suffix: str) -> None:
    for index in range(10):
        draw(tmp_path / f"{index}.{suffix}")
    with decoded(read_slides(str(tmp_path), {}), [Geometry("squash", 32)]) as cells:
        assert len(cells.slides.cells) == 10


def test_masks_beside_cells_are_left_out_by_their_colours_or_their_name(tmp_path: Path) -> None:
    for index in range(10):
        draw(tmp_path / f"{index}.bmp")
        shape = np.zeros((24, 24), np.uint8)
        shape[6:18, 6:18], shape[9:15, 9 : 12 + index % 4] = 128, 255
        Image.fromarray(shape).save(tmp_path / f"{index}.png")
    draw(tmp_path / "0_mask.jpg")
    draw(tmp_path / "masks/1.jpg")
    draw(tmp_path / "masks/alone.jpg")
    with decoded(read_slides(str(tmp_path), {}), [Geometry("squash", 32)]) as cells:
        assert {cell.path.suffix for cell in cells.slides.cells} == {".bmp", ".jpg"}
        assert [cell.id for cell in cells.slides.cells if cell.path.suffix == ".jpg"] == ["masks/alone.jpg"]
    assert cells.slides.left_out == {
        "a mask, not a cell: 16 colours or fewer": 10,
        "a mask, by its name": 2,
    }


def test_class_folders_of_one_name_in_several_places_are_taken_together_and_their_slides_kept_apart(
    tmp_path: Path,
) -> None:
    for name in ("a/Neutrophil/1.png", "b/x/neutrophil/1.png", "b/x/Neutrophil/1.png", "Neutrophil/Neutrophil/1.png"):
        draw(tmp_path / name)
    draw(tmp_path / "Ba/Monocyte/1.png")
    draw(tmp_path / "train/images/Monocyte/2.png")
    slides = read_slides(str(tmp_path), {})
    assert {cell.id: (cell.label, cell.slide) for cell in slides.cells} == {
        "a/Neutrophil/1.png": (4, "a"),
        "b/x/neutrophil/1.png": (4, "b/x"),
        "b/x/Neutrophil/1.png": (4, "b/x"),
        "Neutrophil/Neutrophil/1.png": (4, ""),
        "Ba/Monocyte/1.png": (3, "Ba"),
        "train/images/Monocyte/2.png": (3, ""),
    }
    assert ("Neutrophil", "Neutrophil", 3) in slides.taken_for
    assert ("neutrophil", "Neutrophil", 1) in slides.taken_for


def test_copy_under_another_label_is_told_from_a_copy(tmp_path: Path) -> None:
    for index in range(11):
        draw(tmp_path / f"Neutrophil/{index}.png")
    draw(tmp_path / "Monocyte/other.png", seed=99)
    for name, of in (("Neutrophil/copy.png", "Neutrophil/0.png"), ("Neutrophil/same.png", "Monocyte/other.png")):
        (tmp_path / name).write_bytes((tmp_path / of).read_bytes())
    with decoded(read_slides(str(tmp_path), {}), [Geometry("squash", 32)]) as cells:
        assert len(cells.slides.cells) == 12
    assert cells.slides.left_out == {"a copy of another file": 1, "a copy of another file, under another label": 1}
