"""Cells cut from fields: squares around boxes, the parts of masks, and images brought to 8 bits."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.samples import chula_fields, field_bytes, lisc_fields, tiff_bytes, write_tree
from wbc.data.cut import Box, cut_chula, cut_lisc, mask_boxes, square_crop, to_eight_bits, yolo_boxes
from wbc.data.decode import decode_deep
from wbc.data.layouts import read_split_folders
from wbc.errors import DataError

FIELD = np.arange(90 * 144 * 3, dtype=np.uint32).reshape(90, 144, 3).astype(np.uint8)


@pytest.mark.parametrize(
    ("box", "left", "top", "side"),
    [
        (Box(60, 20, 80, 50), 46, 11, 48),  # 1.6 × 30, around the middle (70, 35)
        (Box(0, 40, 20, 60), 0, 34, 32),  # shifted right
        (Box(130, 80, 144, 90), 122, 68, 22),  # shifted left and up
        (Box(-5, -5, 15, 15), 0, 0, 32),  # beyond the image in part
        (Box(10, 5, 130, 85), 25, 0, 90),  # as large as the shorter side
    ],
)
def test_crop_is_a_square_shifted_into_the_image(box: Box, left: int, top: int, side: int) -> None:
    found = square_crop(FIELD, box)
    assert np.array_equal(found, FIELD[top : top + side, left : left + side])
    assert found.shape == (side, side, 3)


def test_crop_without_a_margin_is_the_square_of_the_longer_side() -> None:
    assert square_crop(FIELD, Box(60, 20, 80, 50), margin=1.0).shape == (30, 30, 3)


@pytest.mark.parametrize("box", [Box(144, 0, 150, 10), Box(0, -9, 5, 0), Box(5, 5, 5, 9), Box(9, 5, 5, 9)])
def test_box_that_lies_nowhere_is_refused(box: Box) -> None:
    with pytest.raises(DataError, match="lies on no part of 144 × 90 pixels"):
        square_crop(FIELD, box)


def test_yolo_boxes_are_centre_and_size_as_shares() -> None:
    assert yolo_boxes("3 0.5 0.25 0.1 0.2\n\n0 0 0 1 1 0.9\n", 1000, 400) == [
        (3, Box(450, 60, 550, 140)),
        (0, Box(-500, -200, 500, 200)),
    ]


@pytest.mark.parametrize("line", ["1 0.5 0.5 0.1", "one 0.5 0.5 0.1 0.1", "1 a b c d"])
def test_line_that_is_no_box_is_named(line: str) -> None:
    with pytest.raises(DataError, match=f"the line '{line}' is not '<class> <x> <y> <width> <height>'"):
        yolo_boxes(line, 10, 10)


def test_each_part_of_a_mask_is_a_box_and_specks_are_none() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[2:12, 3:13], mask[20:30, 40:60], mask[35, 5] = 1, 255, 7
    assert mask_boxes(mask) == [Box(3, 2, 13, 12), Box(40, 20, 60, 30)]
    assert mask_boxes(np.zeros((4, 4), np.uint8)) == []


def test_cells_of_chula_are_cut_by_their_boxes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_tree(tmp_path, {f"chula/{path}": content for path, content in chula_fields().items()})
    with caplog.at_level(logging.INFO):
        cut_chula(root)
    found = {entry.path: entry.label for entry in read_split_folders(root)}
    eosinophil, neutrophil = "all/Eosinophil/train_E-11_0001_0.bmp", "all/Neutrophil/valid_L-8_0730_0.bmp"
    assert found == {eosinophil: 1, neutrophil: 4}
    assert "left out: 1 boxes without their field, 1 too small to hold a cell" in caplog.text
    assert [path.name for path in root.iterdir()] == ["all"]
    pixels = np.asarray(Image.open(root / eosinophil))
    assert pixels.shape == (32, 32, 3)
    assert (pixels[6:26, :20] == (200, 0, 0)).all()
    assert (pixels[6:26, :20] == (200, 0, 0)).all(axis=2).sum() == (pixels == (200, 0, 0)).all(axis=2).sum()


def test_class_that_chula_does_not_have_is_named(tmp_path: Path) -> None:
    files = {name: b"7 0.5 0.5 0.2 0.2" if name.endswith(".txt") else each for name, each in chula_fields().items()}
    with pytest.raises(DataError, match=r"'E-11_0001\.txt' has the class 7; known are 0 to 4"):
        cut_chula(write_tree(tmp_path, files))


def test_cells_of_lisc_are_cut_by_their_masks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_tree(tmp_path, {f"LISC/{path}": content for path, content in lisc_fields().items()})
    with caplog.at_level(logging.INFO):
        cut_lisc(root)
    sizes = {path.name: Image.open(path).size for path in sorted(root.rglob("*.bmp"))}
    assert sizes == {"eosi_2_0.bmp": (32, 32), "mono_1_0.bmp": (32, 32), "mono_1_1.bmp": (48, 48)}
    assert "left out: 1 fields without a mask; the folders mixt" in caplog.text
    cells = [np.asarray(Image.open(root / f"all/{name}.bmp")) for name in ("Eosinophil/eosi_2_0", "Monocyte/mono_1_0")]
    assert np.array_equal(*cells)  # the small mask, brought to the field's size, has the same box


def test_field_that_does_not_decode_is_named(tmp_path: Path) -> None:
    files = {name: b"" if name.endswith("2.bmp") else each for name, each in lisc_fields().items()}
    with pytest.raises(DataError, match=r"'2\.bmp' cannot be read: an empty file"):
        cut_lisc(write_tree(tmp_path, files))


def test_tiffs_are_brought_to_8_bits_only_where_nothing_else_reads_them(tmp_path: Path) -> None:
    files = {
        "a/1.TIF": tiff_bytes(16),
        "a/2.tiff": tiff_bytes(8, "RGBA"),
        "a/3.tif": tiff_bytes(8, pages=2),
        "a/x.txt": b"",
    }
    to_eight_bits(write_tree(tmp_path, files))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["1.bmp", "2.tiff", "3.bmp", "x.txt"]
    counted = np.arange(120).reshape(10, 12)
    for name in ("1.bmp", "3.bmp"):
        assert (np.asarray(Image.open(tmp_path / "a" / name)) == counted[..., None]).all()


def test_tiff_of_12_bits_in_16_is_refused_and_not_turned_black(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), 4095, np.uint16)).save(stream, "TIFF")
    write_tree(tmp_path, {"1.tif": stream.getvalue()})
    with pytest.raises(DataError, match=r"'1\.tif' uses at most 12 of its 16 bits, and would be black"):
        to_eight_bits(tmp_path)


@pytest.mark.parametrize("content", [b"", b"II*\0", field_bytes((4, 4), {})])
def test_file_that_is_no_tiff_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"'1\.tif' cannot be read"):
        decode_deep(write_tree(tmp_path, {"1.tif": content}) / "1.tif")
