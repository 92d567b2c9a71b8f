import json
import logging
import os
import tempfile
from pathlib import Path

import pytest

from tests.data.samples import image_bytes, images, write_tree
from wbc.data.domain import Entry
from wbc.data.layouts import (
    read_anywhere,
    read_below,
    read_class_folders,
    read_lisc,
    read_pbc,
    read_pbc2500,
    read_split_folders,
    read_zheng,
)
from wbc.errors import DataError


def test_class_folders_are_read_in_any_common_spelling(tmp_path: Path) -> None:
    write_tree(tmp_path, images("baso/1.png", "02_Lymphocytes/sub/2.jpg", "NEU/3.bmp"))
    assert read_class_folders(tmp_path) == [
        Entry("02_Lymphocytes/sub/2.jpg", 2, "all"),
        Entry("NEU/3.bmp", 4, "all"),
        Entry("baso/1.png", 0, "all"),
    ]


def test_class_folders_are_named_in_the_log_when_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tree(tmp_path, images("Monocyte/1.png", "platelet/1.png"))
    with caplog.at_level(logging.INFO):
        assert read_class_folders(tmp_path) == [Entry("Monocyte/1.png", 3, "all")]
    assert "ignored, not the name of a class: 'platelet'" in caplog.text


def test_class_folders_are_named_when_none_is_known(tmp_path: Path) -> None:
    write_tree(tmp_path, images("train/Monocyte/1.png", "test/Monocyte/1.png"))
    with pytest.raises(DataError, match="There: 'test', 'train'"):
        read_class_folders(tmp_path)


def test_class_folders_hold_no_image(tmp_path: Path) -> None:
    write_tree(tmp_path, {"Monocyte/notes.txt": b"none"})
    with pytest.raises(DataError, match="hold no image"):
        read_class_folders(tmp_path)


def test_whatever_is_not_read_is_counted_by_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_tree(
        tmp_path, images("Monocyte/1.png", "Monocyte/2.png") | {"Monocyte/a.txt": b"", "Monocyte/b.TXT": b""}
    )
    (root / "Monocyte/gone.png").symlink_to(root / "nowhere.png")
    (root / "Monocyte/.hidden.png").write_bytes(image_bytes())
    with caplog.at_level(logging.WARNING):
        assert len(read_class_folders(root)) == 2
    assert f"{root}: 4 files are not read: 2 (not an image: .txt), 1 (hidden), 1 (a broken link)" in caplog.text


def test_images_beside_the_class_folders_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tree(tmp_path, images("Monocyte/1.png", "2.png", "3.jpg") | {"notes.txt": b""})
    with caplog.at_level(logging.WARNING):
        assert len(read_class_folders(tmp_path)) == 1
    assert f"{tmp_path}: 2 images lie beside the class folders and are not read" in caplog.text


def test_of_class_folders_in_each_other_the_innermost_counts(tmp_path: Path) -> None:
    write_tree(tmp_path, images("Neutrophil/1.png", "Neutrophil/slide 3/2.png", "Neutrophil/Lymphocyte/old/3.png"))
    labels = {Path(entry.path).name: entry.label for entry in read_class_folders(tmp_path)}
    assert labels == {"1.png": 4, "2.png": 4, "3.png": 2}


def test_masks_in_class_folders_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tree(tmp_path, images(*(f"Neutrophil/{name}" for name in ("1.png", "1_mask.png", "2.jpg", "masks/2.png"))))
    with caplog.at_level(logging.WARNING):
        assert [entry.path for entry in read_class_folders(tmp_path)] == ["Neutrophil/1.png", "Neutrophil/2.jpg"]
    assert "2 files are not read: 2 (a mask, by its name)" in caplog.text


def test_linked_folders_are_followed_and_a_circle_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = write_tree(tmp_path / "elsewhere", images("slide/1.png", "slide/2.png"))
    root = write_tree(tmp_path / "root", images("Monocyte/3.png"))
    (root / "Monocyte/more").symlink_to(elsewhere)
    (elsewhere / "slide/back").symlink_to(root / "Monocyte")
    (root / "Neutrophil").symlink_to(elsewhere / "slide")
    with caplog.at_level(logging.WARNING):
        paths = [entry.path for entry in read_class_folders(root)]
    assert [path for path in paths if path.startswith("Mono")] == [
        "Monocyte/3.png",
        "Monocyte/more/slide/1.png",
        "Monocyte/more/slide/2.png",
    ]
    assert {"Neutrophil/1.png", "Neutrophil/2.png"} <= set(paths)
    assert "a link to a folder above it" in caplog.text


def test_class_folder_that_is_a_broken_link_stops(tmp_path: Path) -> None:
    (write_tree(tmp_path, images("Monocyte/1.png")) / "Basophil").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="Basophil' cannot be looked into: No such file"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "JP2", "tiff", "webp"])
def test_images_of_any_common_suffix_are_read(tmp_path: Path, suffix: str) -> None:
    write_tree(tmp_path, {f"Monocyte/1.{suffix}": image_bytes()})
    assert [entry.path for entry in read_class_folders(tmp_path)] == [f"Monocyte/1.{suffix}"]


def test_class_folder_that_ends_empty_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tree(tmp_path, images("Monocyte/1.png") | {"Basophil/1.czi": b"x"})
    with caplog.at_level(logging.WARNING):
        read_class_folders(tmp_path)
    assert "no image in the class folder 'Basophil'" in caplog.text
    assert "1 files are not read: 1 (not an image: .czi)" in caplog.text


def test_folder_that_cannot_be_looked_into_stops() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_tree(folder, images("Monocyte/1.png"))
        (folder / "Monocyte/shut").mkdir(mode=0)
        root = os.geteuid() == 0  # who may look into any folder
        if root:
            os.seteuid(65534)
        try:
            with pytest.raises(DataError, match="shut' cannot be looked into: Permission denied"):
                read_class_folders(folder)
        finally:
            if root:
                os.seteuid(0)


def test_excluded_images_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tree(tmp_path, images("Monocyte/1.png", "Monocyte/2, old.png"))
    (tmp_path / "excluded.csv").write_text('path,reason\n"Monocyte/2, old.png",cut off\n')
    with caplog.at_level(logging.WARNING):
        assert [entry.path for entry in read_class_folders(tmp_path)] == ["Monocyte/1.png"]
    assert "1 files are not read: 1 (named in excluded.csv)" in caplog.text
    assert "leave nothing out" not in caplog.text


@pytest.mark.parametrize(
    "path", ["./Monocyte/1.png", "Monocyte\\1.png", "1.png", "{root}/Monocyte/1.png", "Monocyte/1.png "]
)
def test_path_that_leaves_no_image_out_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str) -> None:
    write_tree(tmp_path, images("Monocyte/1.png"))
    (tmp_path / "excluded.csv").write_text(f"path\n{path.format(root=tmp_path)}\n")
    assert len(read_class_folders(tmp_path)) == 1
    assert "1 of its paths leave nothing out, such as" in caplog.text


@pytest.mark.parametrize("content", [b"Monocyte/1.png\nMonocyte/2.png\n", b"path\n\xff\n"])
def test_table_of_excluded_images_that_is_none_stops(tmp_path: Path, content: bytes) -> None:
    write_tree(tmp_path, images("Monocyte/1.png", "Monocyte/2.png") | {"excluded.csv": content})
    with pytest.raises(DataError, match=r"excluded\.csv' is no CSV in UTF-8 with a column 'path'"):
        read_class_folders(tmp_path)


def test_class_folders_of_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        read_class_folders(tmp_path / "absent")


def test_hidden_files_and_what_macos_adds_are_no_images(tmp_path: Path) -> None:
    files = images("a/Neut/1.png", "a/Neut/._1.png", "a/__MACOSX/Neut/1.png", "a/.Trash/Neut/1.png")
    write_tree(tmp_path, files | {"a/Neut/Thumbs.db": b"x"})
    assert read_split_folders(tmp_path) == [Entry("a/Neut/1.png", 4, "a")]


@pytest.mark.parametrize("top", ["TestB/", "Test-B/", ""])
def test_split_folders_are_found_below_whatever_the_archive_puts_on_top(tmp_path: Path, top: str) -> None:
    write_tree(tmp_path, images(f"test_b/{top}Lymph/20190520_1_0.jpg"))
    assert read_split_folders(tmp_path) == [Entry(f"test_b/{top}Lymph/20190520_1_0.jpg", 2, "test_b")]


def test_bccd_is_read_from_its_cropped_images_only(tmp_path: Path) -> None:
    write_tree(tmp_path, images("BCCD/b/BCCD_cropped/Eosinophil/1.jpg", "BCCD/b/other/Eosinophil/1.jpg"))
    assert read_below(tmp_path, "BCCD_cropped") == [Entry("BCCD/b/BCCD_cropped/Eosinophil/1.jpg", 1, "all")]


def test_bccd_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'BCCD_cropped' is nowhere"):
        read_below(tmp_path, "BCCD_cropped")


def test_pbc2500_split_depends_on_the_file_names_alone(tmp_path: Path) -> None:
    names = [f"BA_{number}.jpg" for number in range(10)]
    write_tree(tmp_path, {f"x/dataset_leukocytes/basophil/{name}": b"" for name in names})
    train = {Path(path).name for path, _, split in read_pbc2500(tmp_path) if split == "train"}
    assert sorted(set(names) - train) == ["BA_1.jpg", "BA_2.jpg", "BA_4.jpg"]


def test_tecom_is_labelled_by_its_table_and_leaves_out_the_masks(tmp_path: Path) -> None:
    table = b"image ID,class label\r\n1,2\r\n2,1\r\n3,5\r\n"
    files = images("s/Dataset 1/001.bmp", "s/Dataset 1/001.png", "s/Dataset 1/002.bmp", "s/Dataset 1/003.bmp")
    write_tree(tmp_path, files | {"s/Class Labels of Dataset 1.csv": table})
    assert [entry.label for entry in read_zheng(tmp_path, "Dataset 1")] == [2, 4, 0]


def test_tecom_names_the_image_that_its_table_lists_in_vain(tmp_path: Path) -> None:
    write_tree(tmp_path, {"s/Class Labels of Dataset 1.csv": b"image ID,class label\r\n7,2\r\n"})
    with pytest.raises(DataError, match=r"lists 's/Dataset 1/007.bmp', which is not there"):
        read_zheng(tmp_path, "Dataset 1")


def test_tecom_refuses_a_label_it_does_not_know(tmp_path: Path) -> None:
    files = images("s/Dataset 1/001.bmp") | {"s/Class Labels of Dataset 1.csv": b"image ID,class label\r\n1,6\r\n"}
    with pytest.raises(DataError, match=r"labels '001.bmp' as '6'; known are 1, 2, 3, 4, 5"):
        read_zheng(write_tree(tmp_path, files), "Dataset 1")


def test_lisc_keeps_apart_equal_names_of_train_and_test(tmp_path: Path) -> None:
    files = images("LISC/Train/1.bmp", "LISC/Test/1.bmp", "LISC/Train_Aug/1.bmp")
    files |= {
        "LISC/Train.json": json.dumps({"1.bmp": "4"}).encode(),
        "LISC/Test.json": json.dumps({"1.bmp": 5}).encode(),
    }
    assert read_lisc(write_tree(tmp_path, files)) == [
        Entry("LISC/Train/1.bmp", 1, "all"),
        Entry("LISC/Test/1.bmp", 0, "all"),
    ]


def test_lisc_names_the_table_that_is_none(tmp_path: Path) -> None:
    write_tree(tmp_path, {"LISC/Train.json": b"<html>", "LISC/Train/1.bmp": image_bytes()})
    with pytest.raises(DataError, match=r"'LISC/Train.json' is no JSON object"):
        read_lisc(tmp_path)


def test_images_are_found_below_class_folders_however_deep(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = images("x/train/NGS/1.png", "x/test/NGS/2.png", "y/LYA/3.png", "x/masks/NGS/1.png", "LYT/._4.png")
    write_tree(tmp_path, files)
    assert read_anywhere(tmp_path, skip="mask") == [
        Entry("x/test/NGS/2.png", 4, "all"),
        Entry("x/train/NGS/1.png", 4, "all"),
    ]
    assert "images left out, in folders that have no name of a class: 1 in 'LYA'" in caplog.text


def _pbc(tmp_path: Path, row: bytes, header: bytes = b"img_name,label,path") -> Path:
    tables = {f"w/pbc_attr_v1_{split}.csv": header + b"\n" + row for split in ("train", "val", "test")}
    return write_tree(tmp_path, images("PBC/a/neutrophil/BNE_1.jpg") | tables)


def test_pbc_is_read_in_the_split_of_the_tables(tmp_path: Path) -> None:
    root = _pbc(tmp_path, b"BNE_1.jpg,Neutrophil,PBC_dataset_normal_DIB/neutrophil/BNE_1.jpg\n")
    assert read_pbc(root) == [Entry("PBC/a/neutrophil/BNE_1.jpg", 4, split) for split in ("train", "test", "val")]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (b"BNE_2.jpg,Neutrophil,P/neutrophil/BNE_2.jpg\n", "lists 'P/neutrophil/BNE_2.jpg', which is not there"),
        (b"BNE_1.jpg,Blast,P/neutrophil/BNE_1.jpg\n", "lists 'P/neutrophil/BNE_1.jpg', under no class's name"),
    ],
)
def test_pbc_names_the_row_that_leads_nowhere(tmp_path: Path, row: bytes, fault: str) -> None:
    with pytest.raises(DataError, match=rf"'w/pbc_attr_v1_train\.csv' {fault}"):
        read_pbc(_pbc(tmp_path, row))


def test_pbc_names_the_table_of_other_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no columns 'path' and 'label'"):
        read_pbc(_pbc(tmp_path, b"a,b\n", header=b"name,class"))
