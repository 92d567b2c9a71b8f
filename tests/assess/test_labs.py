"""Slides that are of a known lab are told: by their files, by what is cut from fields, by the names of fields."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.assess.test_boxes import BOXES, draw_field, yolo_line
from tests.assess.test_slides import draw
from wbc.assess.appearance import PARTS, Distance
from wbc.assess.labs import Lab, how_to_crop, is_same_lab, shared, split_of
from wbc.assess.names import read_mapping
from wbc.assess.pixels import cut, decoded
from wbc.assess.reading import read_slides
from wbc.assess.runs import Known
from wbc.data import catalog
from wbc.data.cache import Geometry
from wbc.data.cut import as_bmp
from wbc.data.decode import decode
from wbc.data.prepare import prepare
from wbc.data.splits import Split
from wbc.surroundings import data_dir

CLASS = read_mapping("0=none")


def prepared(folder: Path, group: str, monkeypatch: pytest.MonkeyPatch) -> Split:
    """Makes a folder a lab of the catalogue, whose files' names begin with a slide's."""
    domain = replace(catalog.find_domain(f"folder:{folder}"), key="known", group=group)
    monkeypatch.setitem(catalog.DOMAINS, "known", domain)
    prepare(domain, None, data_dir=data_dir())
    return Split("known", "all")


def count(split: Split, folder: Path) -> int:
    with decoded(read_slides(str(folder), CLASS), [Geometry("squash", 32)]) as cells:
        return len(shared([split], cells).get(split.name, ()))


def test_images_of_a_known_lab_are_found_byte_for_byte(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(12):
        draw(workplace / f"lab/Neutrophil/{index}.png", seed=index)
        draw(workplace / f"ours/{index + 6}.png", seed=index + 6)
    split = prepared(workplace / "lab", "", monkeypatch)
    assert count(split, workplace / "ours") == 6
    assert is_same_lab(split, 6)
    assert not is_same_lab(split, 0)


def test_cells_cut_from_the_fields_of_a_known_lab_are_found(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(5):
        draw_field(workplace / f"ours/f{index}.png", index)
        (workplace / f"ours/f{index}.txt").write_text("".join(yolo_line(0, box) for box in BOXES))
    slides = read_slides(str(workplace / "ours"), CLASS)
    (workplace / "lab/Neutrophil").mkdir(parents=True)
    with decoded(slides, [Geometry("squash", 64)]) as cells:
        for place, cell in enumerate(cells.slides.cells[:7]):
            assert cell.box
            content = as_bmp(cut(decode(cell.path)[0], cell.box))
            (workplace / f"lab/Neutrophil/{place}.bmp").write_bytes(content)
    assert count(prepared(workplace / "lab", "", monkeypatch), workplace / "ours") == 7


def test_cells_of_fields_that_are_called_like_a_known_labs_are_found(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(workplace / "lab/Neutrophil/BloodImage_00001_0.png")
    draw(workplace / "lab/Neutrophil/BloodImage_00002_0.png")
    for seed, name in enumerate(("BloodImage_00001", "BloodImage_00003", "0001", "other", "last")):
        draw_field(workplace / f"ours/{name}.png", seed)
        (workplace / f"ours/{name}.txt").write_text("".join(yolo_line(0, box) for box in BOXES))
    assert count(prepared(workplace / "lab", "BloodImage_[0-9]+", monkeypatch), workplace / "ours") == 2


@pytest.mark.parametrize(("fills", "crop", "advised"), [(0.33, 1.0, "0.7"), (0.33, 0.8, "0.56"), (0.41, 1.0, "")])
def test_crop_is_advised_where_cells_fill_little_of_their_images(fills: float, crop: float, advised: str) -> None:
    near = Distance(parts=dict.fromkeys(PARTS, 0.0), told_apart=0.5)
    home = Lab(name="home", images=9, distance=near, embedded=1.0, fills=0.47, accuracy=0.9, balanced=0.9)
    said = how_to_crop([home, replace(home, name="your slides", fills=fills)], crop)
    assert bool(said) == bool(advised)
    assert not said or f'ARGS="--crop {advised}"' in said
    assert how_to_crop([replace(home, distance=None, fills=None), replace(home, fills=fills)], crop) is None


@pytest.mark.parametrize(("name", "split"), [("bccd_test", Split("bccd", "test")), ("bccd", Split("bccd", "all"))])
def test_scores_of_whole_labs_and_of_their_parts_are_known_by_name(name: str, split: Split) -> None:
    assert split_of(Known(study="labs", runs=(), domains=()), name) == split
