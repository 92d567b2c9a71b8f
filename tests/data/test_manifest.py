import os
from pathlib import Path

import pandas as pd
import pytest

from tests.data.samples import CELLS, cells_domain, image_bytes, images, write_tree
from wbc.data.manifest import (
    build_manifest,
    changed_files,
    count_classes,
    digest,
    read_manifest,
    write_table,
)
from wbc.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "root", CELLS)


@pytest.fixture
def rows(root: Path) -> pd.DataFrame:
    return build_manifest(cells_domain(), root)


def test_manifest_has_a_row_per_image_in_the_order_of_paths(rows: pd.DataFrame) -> None:
    assert rows.drop(columns="sha256").to_numpy().tolist() == [
        ["all/Lymph/1.png", 2, "cells", "all", 12, 10],
        ["all/Neut/1.png", 4, "cells", "all", 12, 10],
        ["all/Neut/2.png", 4, "cells", "all", 12, 10],
    ]


def test_manifest_reads_back_as_written(rows: pd.DataFrame, tmp_path: Path) -> None:
    write_table(rows, tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "manifest.csv"), rows)


@pytest.mark.parametrize("text", ["", "path,label\na,1\n", "path,label,domain,split,width,height,sha256\na,x,,,,,\n"])
def test_manifest_that_is_damaged_reads_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    assert read_manifest(tmp_path / "manifest.csv") is None


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"a\r.png", b"a\n.png"])
def test_file_whose_name_cannot_be_printed_is_named_in_one_line(root: Path, name: bytes) -> None:
    (root / "all/Neut" / os.fsdecode(name)).write_bytes(image_bytes())
    with pytest.raises(DataError, match="is not UTF-8, or holds a control character: rename the file") as caught:
        build_manifest(cells_domain(), root)
    assert str(caught.value).isprintable()


def test_counts_are_those_of_the_split(rows: pd.DataFrame) -> None:
    assert count_classes(rows, "all") == (0, 0, 1, 0, 2)


def test_counts_that_differ_are_both_named(root: Path) -> None:
    domain = cells_domain(counts={"all": (0, 0, 1, 4, 1)})
    with pytest.raises(DataError, match="all Monocyte: 0 found, 4 expected; all Neutrophil: 2 found, 1 expected"):
        build_manifest(domain, root)


def test_split_that_is_unknown_is_named(root: Path) -> None:
    write_tree(root, images("more/Neut/1.png"))
    with pytest.raises(DataError, match="unknown splits: more; known: all"):
        build_manifest(cells_domain(), root)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"no image at all", r"not an image \(BMP, .*WEBP\), or cut off in its header"),
        (image_bytes(size=(60, 60), kind="JPEG")[:700], "image file is truncated"),
        (image_bytes(size=(60, 60), kind="BMP")[:5000], "image file is truncated"),
        (image_bytes(size=(60, 60))[:300], "image file is truncated"),
    ],
    ids=["zero bytes", "no image", "cut jpeg", "cut bmp", "cut png"],
)
def test_broken_image_is_named(root: Path, content: bytes, reason: str) -> None:
    (root / "all/Neut/2.png").write_bytes(content)
    with pytest.raises(DataError, match=rf"1 unusable image\(s\): 'all/Neut/2.png' \({reason}"):
        build_manifest(cells_domain(), root)


def test_broken_images_are_counted_when_many(root: Path) -> None:
    write_tree(root, {f"all/Neut/bad{number}.png": b"" for number in range(5)})
    with pytest.raises(DataError, match=r"5 unusable image\(s\): .*, and 2 more"):
        build_manifest(cells_domain(), root)


def test_digest_is_a_literal_for_known_rows() -> None:
    rows = pd.DataFrame({"path": ["a.png"], "label": [4], "split": ["all"], "sha256": ["ff"], "width": [1]})
    assert digest(rows) == "fd79f4fd1dc048c81a3be70458073f1a6aaa26d9fddd033ed9609c28471344e7"


@pytest.mark.parametrize(("column", "value"), [("path", "b"), ("label", 3), ("split", "test"), ("sha256", "0")])
def test_digest_changes_with_what_decides_the_outcome(rows: pd.DataFrame, column: str, value: object) -> None:
    assert digest(rows.assign(**{column: value})) != digest(rows)


def test_digest_does_not_change_with_the_domains_name(rows: pd.DataFrame) -> None:
    assert digest(rows.assign(domain="other")) == digest(rows)


def test_changed_files_are_those_added_removed_and_altered(rows: pd.DataFrame, root: Path) -> None:
    (root / "all/Lymph/1.png").unlink()
    write_tree(root, {"all/Neut/1.png": image_bytes(9), "all/Neut/3.png": image_bytes(8)})
    assert changed_files(rows, cells_domain(), root) == ["all/Lymph/1.png", "all/Neut/1.png", "all/Neut/3.png"]
