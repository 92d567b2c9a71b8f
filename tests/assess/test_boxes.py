"""Whole fields with boxes, as YOLO, COCO and Pascal VOC have them: which cells are cut, and what is counted."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wbc.assess.names import UNLABELLED, read_mapping
from wbc.assess.pixels import decoded, thumbnail
from wbc.assess.reading import read_slides
from wbc.assess.sheet import order, sheet, write_sheet
from wbc.assess.slides import Slides, counted
from wbc.data.cache import Geometry
from wbc.data.cut import Box
from wbc.errors import DataError

BOXES = ((10, 20, 40, 60), (90, 30, 130, 60))
"""Of both, the class Neutrophil and Monocyte: left, top, right, bottom in pixels."""
SIZE = (160, 100)
VOC = """<annotation><filename>{name}</filename><size><width>160</width></size>{objects}</annotation>"""
OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def draw_field(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def yolo_line(number: int, box: tuple[int, int, int, int]) -> str:
    (left, top, right, bottom), (across, down) = box, SIZE
    middle, size = (
        ((left + right) / 2 / across, (top + bottom) / 2 / down),
        (
            (right - left) / across,
            (bottom - top) / down,
        ),
    )
    return f"{number} {middle[0]:.6f} {middle[1]:.6f} {size[0]:.6f} {size[1]:.6f}\n"


def write_yolo(root: Path) -> None:
    draw_field(root / "f1.png")
    (root / "f1.txt").write_text("".join(yolo_line(number, box) for number, box in enumerate(BOXES)))
    (root / "classes.txt").write_text("Neutrophil\nMonocyte\n")


def write_yolo_apart(root: Path) -> None:
    draw_field(root / "train/images/f1.png")
    (root / "train/labels").mkdir()
    (root / "train/labels/f1.txt").write_text("".join(yolo_line(number, box) for number, box in enumerate(BOXES)))
    (root / "data.yaml").write_text("train: train/images\nnames:\n  0: neut\n  1: mono\n")


def write_coco(root: Path) -> None:
    draw_field(root / "images/f1.png")
    boxes = [[left, top, right - left, bottom - top] for left, top, right, bottom in BOXES]
    table = {
        "images": [{"id": 7, "file_name": "f1.png"}],
        "categories": [{"id": 3, "name": "Neutrophil"}, {"id": 4, "name": "Monocyte"}],
        "annotations": [{"image_id": 7, "category_id": 3 + place, "bbox": box} for place, box in enumerate(boxes)],
    }
    (root / "annotations.json").write_text(json.dumps(table))


def voc_text(*objects: tuple[object, ...]) -> str:
    return VOC.format(name="f1.png", objects="".join(OBJECT.format(*each) for each in objects))


def write_voc(root: Path) -> None:
    draw_field(root / "JPEGImages/f1.png")
    (root / "Annotations").mkdir()
    pairs = [
        (name, left + 1, top + 1, right, bottom)
        for name, (left, top, right, bottom) in zip(("neut", "mono"), BOXES, strict=True)
    ]
    (root / "Annotations/f1.xml").write_text(voc_text(*pairs))


@pytest.mark.parametrize(
    ("write", "title"),
    [(write_yolo, "YOLO"), (write_yolo_apart, "YOLO"), (write_coco, "COCO"), (write_voc, "Pascal VOC")],
)
def test_cells_are_cut_from_fields_whatever_the_format(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, write: Callable[[Path], None], title: str
) -> None:
    write(tmp_path)
    with caplog.at_level(logging.INFO, logger="wbc"):
        slides = read_slides(str(tmp_path), {})
    assert [cell.label for cell in slides.cells] == [4, 3]
    assert [cell.box for cell in slides.cells] == [pytest.approx(Box(*map(float, box)), abs=0.01) for box in BOXES]
    assert [cell.id.rpartition("/")[2] for cell in slides.cells] == ["f1.png#0", "f1.png#1"]
    assert len(set(slides.clusters)) == 1
    assert slides.left_out == {}
    assert slides.slides == ()
    (line,) = caplog.messages
    assert f"2 boxes on 1 field ({title}): each cell is cut out as a square, 1.6 times" in line


def test_cut_is_the_square_of_1_6_times_the_longer_side_shifted_into_the_field(tmp_path: Path) -> None:
    for index in range(5):
        draw_field(tmp_path / f"f{index}.png", index)
        (tmp_path / f"f{index}.txt").write_text("".join(yolo_line(0, box) for box in BOXES))
    slides = read_slides(str(tmp_path), read_mapping("0=none"))
    geometry = Geometry("squash", 64)
    with decoded(slides, [geometry]) as cells:
        assert len(cells.slides.cells) == 10
        field = np.asarray(Image.open(tmp_path / "f0.png"))
        assert np.array_equal(cells.pixels[geometry][0], field[8:72, 0:64])  # 1.6 × 40, shifted right by 7
    assert np.array_equal(np.asarray(thumbnail(slides.cells[0], 64)), field[8:72, 0:64])


def test_boxes_that_give_no_cell_are_counted_by_reason(tmp_path: Path) -> None:
    draw_field(tmp_path / "f1.png")
    draw_field(tmp_path / "f2.png", 2)
    named = ("WBC", 10, 20, 40, 60), ("RBC", 50, 20, 70, 40), ("Platelets", 80, 20, 90, 30), ("WBC", 5, 5, 11, 9)
    (tmp_path / "f1.xml").write_text(voc_text(*named))
    (tmp_path / "gone.xml").write_text(voc_text(*named))
    slides = read_slides(str(tmp_path), {})
    assert [(cell.label, cell.id) for cell in slides.cells] == [(UNLABELLED, "f1.png#0")]
    assert slides.left_out == {
        "a box that names no class": 2,
        "a box of fewer than 8 pixels": 1,
        "a box whose image is not there": 4,
        "a field without a box": 1,
    }
    assert ("RBC", "no class: left out", 1) in slides.taken_for


def test_box_beyond_its_field_is_counted(tmp_path: Path) -> None:
    for index in range(10):
        draw_field(tmp_path / f"f{index}.png", index)
        (tmp_path / f"f{index}.xml").write_text(voc_text(("WBC", 10, 20, 40, 60), ("WBC", 200, 20, 240, 60)))
    with decoded(read_slides(str(tmp_path), {}), [Geometry("squash", 32)]) as cells:
        assert len(cells.slides.cells) == 10
    assert counted(cells.slides.left_out) == "Left out: 10 (a box that lies on no part of its image)."


def test_numbers_without_names_say_how_to_map_them(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"2 \(a box that names no class\).*CLASSES=0=CLASS,1=CLASS"):
        read_slides(str(tmp_path), {})
    assert [cell.label for cell in read_slides(str(tmp_path), read_mapping("0=Neut,1=none")).cells] == [4, UNLABELLED]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("f1.txt", "0 0.5 0.5 0.1 0.1\n0 0.5 0.5\n", "f1.txt': the line '0 0.5 0.5' is not"),
        ("f1.txt", "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n", "f1.txt': its lines hold outlines"),
        ("f1.xml", voc_text(("WBC", 1, 2, 3, "")), "f1.xml' is no Pascal VOC file of boxes"),
        ("boxes.json", '{"images": [{"id": 1}], "annotations": []}', "boxes.json' is no COCO file of boxes"),
    ],
)
def test_file_of_boxes_that_is_damaged_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    draw_field(tmp_path / "f1.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_slides(str(tmp_path), {})


def test_image_with_boxes_in_two_files_is_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "f1.xml").write_text(voc_text(("WBC", 10, 20, 40, 60)))
    with pytest.raises(DataError, match=r"f1.png' has boxes in two files, one of them 'f1.xml': keep one"):
        read_slides(str(tmp_path), {})


def test_texts_that_hold_no_boxes_are_passed_over(tmp_path: Path) -> None:
    draw_field(tmp_path / "f1.png")
    for name, text in {"f1.txt": "stained by hand", "f1.xml": "<svg/>", "a.json": "[1, 2]", "b.json": "{"}.items():
        (tmp_path / name).write_text(text)
    slides = read_slides(str(tmp_path), {})
    assert [(cell.id, cell.box) for cell in slides.cells] == [("f1.png", None)]
    assert slides.left_out == {
        f"not an image: .{suffix}": count for suffix, count in (("txt", 1), ("xml", 1), ("json", 2))
    }


def test_sheet_of_a_field_reads_back_its_boxes(tmp_path: Path) -> None:
    draw_field(tmp_path / "fields/f1.png")
    write_yolo(tmp_path / "fields")
    slides = read_slides(str(tmp_path / "fields"), {})
    write_sheet(sheet(slides, order(slides, np.eye(5)[[0, 1]])), tmp_path / "sheet.csv")
    again: Slides = read_slides(str(tmp_path / "sheet.csv"), {})
    assert {(cell.path, cell.label) for cell in again.cells} == {(cell.path, cell.label) for cell in slides.cells}
    assert sorted(cell.box or () for cell in again.cells) == [pytest.approx(box, abs=0.01) for box in BOXES]
    (tmp_path / "bad.csv").write_text("path,box\nfields/f1.png,1 2 3\n")
    with pytest.raises(DataError, match=r"has the box '1 2 3': write left, top, right and bottom"):
        read_slides(str(tmp_path / "bad.csv"), {})


@pytest.mark.parametrize("title", ["COCO", "Pascal VOC"])
def test_image_of_another_size_than_its_boxes_were_drawn_on_stops(tmp_path: Path, title: str) -> None:
    if title == "COCO":
        write_coco(tmp_path)
        table = json.loads((tmp_path / "annotations.json").read_text())
        table["images"][0] |= {"width": 320, "height": 200}
        (tmp_path / "annotations.json").write_text(json.dumps(table))
    else:
        draw_field(tmp_path / "f1.png")
        whole = voc_text(("neut", 1, 1, 30, 30)).replace("</width>", "</width><height>200</height>")
        (tmp_path / "f1.xml").write_text(whole.replace("160", "320"))
    with pytest.raises(DataError, match=r"f1.png' has 160 × 100 pixels, and '.*' has boxes for one of 320 × 200"):
        read_slides(str(tmp_path), {})


def test_field_that_is_shown_turned_is_left_out_and_counted(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    for index in range(12):
        path = draw_field(tmp_path / f"f{index}.png", index)
        if index == 0:
            Image.open(path).save(path, exif=turned)
        (tmp_path / f"f{index}.txt").write_text(yolo_line(0, BOXES[0]))
    with decoded(read_slides(str(tmp_path), read_mapping("0=none")), [Geometry("squash", 32)]) as cells:
        assert len(cells.slides.cells) == 11
        assert counted(cells.slides.left_out) == (
            "Left out: 1 (a field that is shown turned (EXIF), so that its box may be elsewhere)."
        )


@pytest.mark.parametrize("box", ["0.5 0.5 inf 0.3", "0.5 nan 0.2 0.3", "-inf 0.5 0.2 0.3"])
def test_box_of_no_finite_size_is_left_out_and_counted(tmp_path: Path, box: str) -> None:
    for index in range(11):
        draw_field(tmp_path / f"f{index}.png", index)
        (tmp_path / f"f{index}.txt").write_text(yolo_line(0, BOXES[0]) + (f"0 {box}\n" if not index else ""))
    with decoded(read_slides(str(tmp_path), read_mapping("0=none")), [Geometry("squash", 32)]) as cells:
        assert dict(cells.slides.left_out) == {"a box that lies on no part of its image": 1}


@pytest.mark.parametrize("name", ["deep.json", "deep.yaml"])
def test_text_of_endless_brackets_is_told_in_one_line_or_passed_over(tmp_path: Path, name: str) -> None:
    write_yolo(tmp_path)
    (tmp_path / name).write_text("[" * 100_000)
    if name.endswith("json"):
        with pytest.raises(DataError, match=r"deep.json' is no COCO file of boxes: .*Correct or remove it"):
            read_slides(str(tmp_path), {})
    else:
        assert len(read_slides(str(tmp_path), {}).cells) == 2


def test_two_files_of_names_that_contradict_each_other_stop(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text("names: [neutrophil, lymphocyte]")
    with pytest.raises(DataError, match=r"'classes.txt' and 'data.yaml' call the boxes of number 1 .*correct or"):
        read_slides(str(tmp_path), {})
    (tmp_path / "data.yaml").write_text("names: [neutrophil, monocyte, platelet]")
    assert [cell.label for cell in read_slides(str(tmp_path), {}).cells] == [4, 3]


def test_names_that_refer_to_each_other_are_not_spelled_out(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "classes.txt").unlink()
    rows = (f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 40))
    (tmp_path / "data.yaml").write_text("\n".join(["a0: &a0 [x]", *rows, "names: [Neutrophil, Monocyte, *a39]"]))
    assert [cell.label for cell in read_slides(str(tmp_path), {}).cells] == [4, 3]


@pytest.mark.parametrize("name", ["huge.json", "huge.csv"])
def test_text_too_large_to_be_one_is_refused_unread(tmp_path: Path, name: str) -> None:
    write_yolo(tmp_path)
    with (tmp_path / name).open("wb") as handle:
        handle.truncate(1 << 40)
    slides = tmp_path / name if name.endswith("csv") else tmp_path
    with pytest.raises(DataError, match=rf"{name}' has 1,099,511,627,776 bytes; of a text at most 134,217,728 are"):
        read_slides(str(slides), {})
