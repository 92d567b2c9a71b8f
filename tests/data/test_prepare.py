import hashlib
import logging
import os
import re
import resource
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.data.conftest import Site
from tests.data.samples import (
    CELLS,
    cells_domain,
    chula_fields,
    image_bytes,
    images,
    lisc_fields,
    tiff_bytes,
    write_tree,
    zip_bytes,
)
from wbc.cells import CLASSES
from wbc.data.cache import Geometry
from wbc.data.catalog import DOMAINS, find_domain
from wbc.data.domain import Counts, Domain
from wbc.data.images import load_images
from wbc.data.manifest import build_manifest, digest
from wbc.data.prepare import prepare
from wbc.data.splits import Split, expand_targets
from wbc.errors import DataError

SQUASH = Geometry("squash", 16)
ZHENG = "segmentation_WBC-fa9c"
PBC = images(
    "PBC_dataset_normal_DIB/neutrophil/BNE_1.jpg",
    "PBC_dataset_normal_DIB/neutrophil/SNE_2.jpg",
    "PBC_dataset_normal_DIB/lymphocyte/LY_3.jpg",
    "PBC_dataset_normal_DIB/basophil/BA_4.jpg",
    "PBC_dataset_normal_DIB/platelet/PLATELET_5.jpg",
)
PBC_SPLITS = {
    "train": b"BNE_1.jpg,Neutrophil,PBC_dataset_normal_DIB/neutrophil/BNE_1.jpg\n"
    b"LY_3.jpg,Lymphocyte,PBC_dataset_normal_DIB/lymphocyte/LY_3.jpg\n",
    "val": b"SNE_2.jpg,Neutrophil,PBC_dataset_normal_DIB/neutrophil/SNE_2.jpg\n",
    "test": b"BA_4.jpg,Basophil,PBC_dataset_normal_DIB/basophil/BA_4.jpg\n",
}
ARCHIVES: dict[str, dict[str, dict[str, bytes]]] = {
    "raabin": {
        "Train.rar": images(*(f"Train/{name}/1.jpg" for name in CLASSES)),
        "TestA.rar": images("TestA/Neutrophil/1.jpg", "TestA/Basophil/1.jpg"),
        "TestB.zip": images("Test-B/Lymphocyte/1.jpg", "Test-B/Neutrophil/1.jpg", "Test-B/Neutrophil/2.jpg"),
    },
    "lisc": {
        "LISC.zip": images("LISC/Train/1.bmp", "LISC/Test/1.bmp", "LISC/Train_Aug/1.bmp")
        | {"LISC/Train.json": b'{"1.bmp": 1}', "LISC/Test.json": b'{"1.bmp": "2"}'}
    },
    "bccd": {"": images("BCCD-775/BCCD_cropped/Basophil/B_1.jpg", "BCCD-775/BCCD_cropped/Neutrophil/B_2.jpg")},
    "pbc2500": {"": images(*(f"l/Data/dataset_leukocytes/monocyte/MO_{number}.jpg" for number in range(10)))},
    "tecom": {
        "": images(f"{ZHENG}/Dataset 1/001.bmp", f"{ZHENG}/Dataset 1/001.png", f"{ZHENG}/Dataset 1/002.bmp")
        | {f"{ZHENG}/Class Labels of Dataset 1.csv": b"image ID,class label\r\n1,2\r\n2,1\r\n"}
    },
    "cellavision": {
        "": images(f"{ZHENG}/Dataset 2/001.bmp", f"{ZHENG}/Dataset 2/001.png", f"{ZHENG}/Dataset 1/001.bmp")
        | {f"{ZHENG}/Class Labels of Dataset 2.csv": b"image ID,class\r\n1,5\r\n"}
    },
    "pbc": {
        "PBC_dataset_normal_DIB.zip": {"snkd/PBC_dataset_normal_DIB.zip": zip_bytes(PBC), "__MACOSX/._x.zip": b"x"},
        "3121eea24a0977184bbedcb61b90f7a528f7b4e9.zip": {
            f"wbcatt-3121/submission/pbc_attr_v1_{split}.csv": b"img_name,label,path\n" + rows
            for split, rows in PBC_SPLITS.items()
        },
    },
    "lisc_fields": {"LISC_Database.zip": lisc_fields()},
    "chula": {"": chula_fields()},
    "mll23": {
        "basophil.zip": {"basophil/1.TIF": tiff_bytes(16)},
        "eosinophil.zip": {"1.TIF": tiff_bytes(8)},
        "lymphocyte.zip": {"lymphocyte/1.TIF": tiff_bytes(8, pages=2)},
        "monocyte.zip": {"monocyte/1.TIF": tiff_bytes(8)},
        "neutrophil_segmented.zip": {"neutrophil_segmented/1.TIF": tiff_bytes(8)},
    },
    "ku_optofil": {
        "dataset.zip": images(
            "dataset/train/Lymphocyte/1.jpg", "dataset/test/Blast/1.jpg", "dataset/test/Basophil/1.jpg"
        )
    },
    "aml_lmu": {
        "aml_lmu.tar": {
            f"AML/{name}/{name}_0001.tiff": tiff_bytes(8, "RGBA") for name in ("NGS", "NGB", "LYT", "LYA", "MOB")
        }
    },
    "bodzas": {"bodzas.zip": images("WBC/Monocyte/1.bmp", "WBC/Lymphoblast/1.bmp", "WBC/Neutrophil/1.bmp")},
    "krd": {"krd.zip": images("KRD/images/Monocyte/1.png", "KRD/masks/Monocyte/1.png")},
}
COUNTS: dict[str, dict[str, Counts | int]] = {
    "pbc": {"train": 2, "test": 1, "val": 1},
    "lisc_fields": {},
    "chula": {"all": (0, 1, 0, 0, 1)},
    "mll23": {"all": (1, 1, 1, 1, 1)},
    "ku_optofil": {},
    "aml_lmu": {"all": (0, 0, 1, 0, 2)},
    "bodzas": {"all": 2},
    "krd": {"all": 1},
    "raabin": {"train": (1, 1, 1, 1, 1), "test_a": (1, 0, 0, 0, 1), "test_b": (0, 0, 1, 0, 2)},
    "lisc": {"all": (0, 0, 1, 0, 1)},
    "bccd": {"all": (1, 0, 0, 0, 1)},
    "pbc2500": {"train": (0, 0, 0, 7, 0), "test": (0, 0, 0, 3, 0)},
    "tecom": {"all": (0, 0, 1, 0, 1)},
    "cellavision": {"all": (1, 0, 0, 0, 0)},
}
TOTAL = {"pbc": (1, 0, 1, 0, 2)}
UNCHECKED: dict[str, dict[str, Counts]] = {
    "lisc_fields": {"all": (0, 1, 0, 2, 0)},
    "ku_optofil": {"all": (1, 0, 1, 0, 0)},
}


@pytest.fixture
def cells(site: Site, monkeypatch: pytest.MonkeyPatch) -> Domain:
    site.files["/cells.zip"] = zip_bytes(CELLS)
    monkeypatch.setitem(DOMAINS, "cells", cells_domain(f"{site.url}/cells.zip"))
    return DOMAINS["cells"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "My cells", images("Neutrophils/1.png", "lymph/2.png"))


def _hash(folder: Path) -> str:
    return hashlib.sha256(str(folder).encode()).hexdigest()[:8]


def _left(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if path.name != ".lock")


@pytest.mark.parametrize("key", ARCHIVES)
def test_archive_of_the_public_shape_is_prepared(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"counts": COUNTS[key], "total": TOTAL.get(key), "contents": "", "crop": 1.0}  # too small for another crop
    domain = replace(DOMAINS[key], **small)  # type: ignore[arg-type]
    monkeypatch.setitem(DOMAINS, key, domain)
    for name, files in ARCHIVES[key].items():
        write_tree(tmp_path / "hand", {name or domain.archives[0].basename: zip_bytes(files)})
    rows = prepare(domain, SQUASH, data_dir=tmp_path / "data", archive=tmp_path / "hand")
    assert list(rows["split"].unique()) == list(domain.splits)
    for split, found in (COUNTS[key] or UNCHECKED[key]).items():
        loaded = load_images(Split(key, split), SQUASH, data_dir=tmp_path / "data")
        count = found if isinstance(found, int) else sum(found)
        assert len(loaded.pixels) == len(loaded.ids) == len(loaded.labels) == count
        assert isinstance(found, int) or np.bincount(loaded.labels, minlength=5).tolist() == list(found)


def test_archive_of_other_images_is_refused_though_as_many_of_each_class(cells: Domain, tmp_path: Path) -> None:
    right = digest(prepare(cells, None, data_dir=tmp_path / "a"))
    prepare(replace(cells, contents=right), None, data_dir=tmp_path / "b")
    with pytest.raises(DataError, match=f"expected is {'0' * 64}.*The archive in .* has changed or is another one"):
        prepare(replace(cells, contents="0" * 64), None, data_dir=tmp_path / "c")
    assert not (tmp_path / "c" / cells.slug / "images").exists()


def test_prepared_images_that_are_not_the_catalogues_are_made_again(
    cells: Domain, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(cells, None, data_dir=tmp_path)
    with pytest.raises(DataError, match="not those of the catalogue, though as many"):
        prepare(replace(cells, contents="0" * 64), None, data_dir=tmp_path)
    assert "Preparing it again" in caplog.text


def test_cells_are_cut_again_when_the_cut_has_changed(tmp_path: Path) -> None:
    domain = replace(DOMAINS["chula"], counts={"all": (0, 1, 0, 0, 1)})
    archives = write_tree(tmp_path / "chula/archives", {domain.archives[0].basename: zip_bytes(chula_fields())})
    fresh = prepare(domain, None, data_dir=tmp_path)
    (tmp_path / "chula/images/.version").write_text("0")
    (tmp_path / "chula/images/all/Eosinophil/train_E-11_0001_0.bmp").write_bytes(image_bytes())
    assert digest(prepare(domain, None, data_dir=tmp_path)) == digest(fresh)
    assert {domain.group_of(path) for path in fresh["path"]} == {"train_E-11_0001", "valid_L-8_0730"}
    assert archives.is_dir()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"counts": {"all": 4}}, "all images: 3 found, 4 expected"),
        ({"counts": {"all": 3}, "total": (0, 0, 1, 1, 2)}, "Monocyte: 0 found, 1 expected"),
    ],
)
def test_counts_that_are_not_known_by_class_are_compared_as_far_as_they_are(
    changes: dict[str, object], fault: str, cells: Domain, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=fault):
        prepare(replace(cells, **changes), None, data_dir=tmp_path)  # type: ignore[arg-type]
    known = replace(cells, counts={"all": 3}, total=(0, 0, 1, 0, 2))
    assert len(prepare(known, None, data_dir=tmp_path)) == 3


def test_drawn_domain_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = replace(DOMAINS["smears_target"], counts={"all": (1, 0, 0, 0, 2)})
    monkeypatch.setitem(DOMAINS, "smears_target", domain)
    loaded = load_images(Split("smears_target", "all"), SQUASH, data_dir=tmp_path)
    assert loaded.labels.tolist() == [0, 4, 4]
    assert loaded.origin == "drawn by wbc.data.drawn.smears, staining target"


def test_drawn_domain_is_drawn_again_when_its_counts_change(tmp_path: Path) -> None:
    domain = DOMAINS["smears_target"]
    prepare(replace(domain, counts={"all": (1, 0, 0, 0, 2)}), None, data_dir=tmp_path)
    assert len(prepare(replace(domain, counts={"all": (1, 0, 0, 0, 1)}), None, data_dir=tmp_path)) == 2


def test_drawn_domain_is_drawn_again_when_the_drawing_has_changed(tmp_path: Path) -> None:
    domain = replace(DOMAINS["smears_target"], counts={"all": (1, 0, 0, 0, 1)})
    fresh = prepare(domain, None, data_dir=tmp_path)
    old = write_tree(tmp_path / "smears_target/images", {"all/Basophil/0000.png": image_bytes(), ".version": b"0"})
    assert digest(build_manifest(domain, old)) != digest(fresh)  # the old images are whole, and of the right counts
    assert digest(prepare(domain, None, data_dir=tmp_path)) == digest(fresh)


def test_prepare_leaves_what_the_next_call_needs(cells: Domain, tmp_path: Path, site: Site) -> None:
    first = prepare(cells, SQUASH, data_dir=tmp_path)
    assert _left(tmp_path / "cells") == [
        "archives",
        "archives.lock.json",
        "cache-squash16.bin",
        "cache-squash16.json",
        "images",
        "manifest.csv",
    ]
    pd.testing.assert_frame_equal(prepare(cells, SQUASH, data_dir=tmp_path), first)
    assert len(site.asked) == 1


def test_prepare_needs_no_archive_when_the_images_are_there(cells: Domain, tmp_path: Path, site: Site) -> None:
    first = prepare(cells, None, data_dir=tmp_path)
    (tmp_path / "cells/manifest.csv").unlink()
    (tmp_path / "cells/archives/cells.zip").unlink()
    pd.testing.assert_frame_equal(prepare(cells, None, data_dir=tmp_path), first)
    assert len(site.asked) == 1


def test_prepare_unpacks_again_when_the_images_are_spoilt(cells: Domain, tmp_path: Path) -> None:
    first = prepare(cells, None, data_dir=tmp_path)
    (tmp_path / "cells/manifest.csv").unlink()
    (tmp_path / "cells/images/all/all/Neut/1.png").write_bytes(b"")
    pd.testing.assert_frame_equal(prepare(cells, None, data_dir=tmp_path), first)


def _lose(path: Path) -> None:
    path.unlink()


def _damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _exchange(path: Path) -> None:
    path.write_bytes(image_bytes(99))


@pytest.mark.parametrize("spoil", [_lose, _damage, _exchange])
def test_prepared_image_that_is_spoilt_is_unpacked_again(
    spoil: Callable[[Path], None], cells: Domain, tmp_path: Path, site: Site
) -> None:
    split = Split("cells", "all")
    first = load_images(split, SQUASH, data_dir=tmp_path)
    spoil(tmp_path / "cells/images/all/all/Neut/1.png")
    second = load_images(split, Geometry("squash", 20), data_dir=tmp_path)
    assert second.digest == first.digest
    assert len(site.asked) == 1


@pytest.mark.parametrize("spoil", [_lose, _damage, _exchange])
def test_drawn_image_that_is_spoilt_is_drawn_again(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    domain = replace(DOMAINS["smears_target"], counts={"all": (1, 0, 0, 0, 1)})
    first = prepare(domain, None, data_dir=tmp_path)
    spoil(tmp_path / "smears_target/images/all/Basophil/0000.png")
    assert digest(prepare(domain, SQUASH, data_dir=tmp_path)) == digest(first)


def test_image_and_cache_that_are_both_spoilt_are_made_again(cells: Domain, tmp_path: Path) -> None:
    first = load_images(Split("cells", "all"), SQUASH, data_dir=tmp_path)
    pixels = first.pixels.square.copy()
    (tmp_path / "cells/images/all/all/Neut/1.png").unlink()
    cache = tmp_path / "cells/cache-squash16.bin"
    cache.write_bytes(bytes(cache.stat().st_size))
    again = load_images(Split("cells", "all"), SQUASH, data_dir=tmp_path)
    assert (again.digest, again.pixels.square.tolist()) == (first.digest, pixels.tolist())


def test_images_that_are_a_link_or_of_a_version_nobody_can_read_are_made_again(tmp_path: Path) -> None:
    domain, home = replace(DOMAINS["smears_target"], counts={"all": (1, 0, 0, 0, 1)}), tmp_path / "smears_target"
    first = prepare(domain, None, data_dir=tmp_path)
    (home / "images").rename(tmp_path / "elsewhere")
    (home / "images").symlink_to(tmp_path / "elsewhere")
    (home / "images/.version").write_bytes(b"\xff\xfe")
    assert digest(prepare(domain, None, data_dir=tmp_path)) == digest(first)
    assert (tmp_path / "elsewhere/.version").read_bytes() == b"\xff\xfe"


def test_image_of_the_users_that_changed_is_never_written_to(folder: Path, tmp_path: Path) -> None:
    rows = prepare(find_domain(f"folder:{folder}"), None, data_dir=tmp_path / "data")
    _exchange(folder / "Neutrophils/1.png")
    assert digest(prepare(find_domain(f"folder:{folder}"), SQUASH, data_dir=tmp_path / "data")) != digest(rows)
    assert (folder / "Neutrophils/1.png").read_bytes() == image_bytes(99)


def test_table_of_unusable_images_leaves_them_out_when_copied(folder: Path, tmp_path: Path) -> None:
    write_tree(folder, {f"lymph/bad, {number}.png": b"" for number in range(5)})
    key, data = f"folder:{folder}", tmp_path / "data"
    with pytest.raises(
        DataError, match=r"5 unusable image\(s\): .*, and 2 more\. All are listed in '(.*)'; to"
    ) as caught:
        prepare(find_domain(key), None, data_dir=data)
    table, target = re.findall("'([^']*csv)'", str(caught.value))
    shutil.copy(table, target)
    assert len(prepare(find_domain(key), None, data_dir=data)) == 2
    write_tree(folder, {"lymph/worse.png": b""})
    with pytest.raises(DataError, match=r"1 unusable image\(s\): 'lymph/worse.png'"):
        prepare(find_domain(key), None, data_dir=data)
    shutil.copy(table, target)  # which leaves out those of before as well
    assert len(prepare(find_domain(key), None, data_dir=data)) == 2


def test_wrong_counts_stop_and_leave_no_images(cells: Domain, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"all Neutrophil: 2 found, 3 expected.* replace it, or use --archive"):
        prepare(replace(cells, counts={"all": (0, 0, 1, 0, 3)}), SQUASH, data_dir=tmp_path)
    assert _left(tmp_path / "cells") == ["archives"]


def test_broken_image_in_an_archive_stops_and_leaves_no_images(cells: Domain, tmp_path: Path, site: Site) -> None:
    site.files["/cells.zip"] = zip_bytes(CELLS | {"all/Neut/2.png": b""})
    with pytest.raises(DataError, match=r"1 unusable image\(s\): 'all/all/Neut/2\.png' \(an empty file\)"):
        prepare(cells, SQUASH, data_dir=tmp_path)
    assert _left(tmp_path / "cells") == ["archives"]


def test_what_a_killed_run_left_is_cleared(cells: Domain, tmp_path: Path) -> None:
    write_tree(tmp_path / "cells", {"images.part/all/Neut/9.png": image_bytes(), "cache-squash16.bin.tmp": b"x"})
    assert len(prepare(cells, SQUASH, data_dir=tmp_path)) == 3
    assert not [name for name in _left(tmp_path / "cells") if name.endswith((".part", ".tmp"))]


def test_images_carry_where_they_came_from(cells: Domain, tmp_path: Path, site: Site) -> None:
    loaded = load_images(Split("cells", "all"), SQUASH, data_dir=tmp_path)
    assert (loaded.name, loaded.origin) == ("cells", f"{site.url}/cells.zip")
    assert loaded.ids == ("all/all/Lymph/1.png", "all/all/Neut/1.png", "all/all/Neut/2.png")


def test_folder_is_prepared_and_never_written_to(folder: Path, tmp_path: Path) -> None:
    before = sorted(folder.rglob("*"))
    loaded = load_images(expand_targets(f"folder:{folder}")[0], SQUASH, data_dir=tmp_path / "data")
    assert (loaded.name, loaded.labels.tolist()) == (f"folder_My_cells_{_hash(folder)}", [4, 2])
    assert loaded.origin == str(folder)
    assert sorted(folder.rglob("*")) == before


def test_folder_is_read_again_when_an_image_changes(folder: Path, tmp_path: Path) -> None:
    reference = expand_targets(f"folder:{folder}")[0]
    first = load_images(reference, SQUASH, data_dir=tmp_path / "data")
    (folder / "lymph/2.png").write_bytes(image_bytes(99))
    second = load_images(reference, SQUASH, data_dir=tmp_path / "data")
    assert first.digest != second.digest
    assert (first.pixels[1] != second.pixels[1]).any()


def test_folder_without_a_known_class_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path / "cells", images("platelet/1.png"))
    with pytest.raises(DataError, match="There: 'platelet'"):
        prepare(find_domain(f"folder:{tmp_path / 'cells'}"), None, data_dir=tmp_path / "data")


def test_data_folder_that_cannot_be_one_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"the data folder '.*file/data' cannot be written to: Not a directory"):
        prepare(find_domain(f"folder:{folder}"), SQUASH, data_dir=tmp_path / "file/data")


def test_data_folder_that_is_read_only_is_named() -> None:
    root = os.geteuid() == 0  # who may write to a read-only folder
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        domain = find_domain(f"folder:{write_tree(Path(name) / 'cells', images('Neutrophils/1.png', 'lymph/2.png'))}")
        (Path(name) / "data").mkdir(mode=0o555)
        if root:
            os.seteuid(65534)
        try:
            with pytest.raises(DataError, match=r"the data folder '.*data' cannot be written to: Permission denied"):
                prepare(domain, SQUASH, data_dir=Path(name) / "data")
        finally:
            if root:
                os.seteuid(0)


def test_full_disk_is_named_and_nothing_half_written_is_left(folder: Path, tmp_path: Path) -> None:
    key, data = f"folder:{folder}", tmp_path / "data"
    prepare(find_domain(key), None, data_dir=data)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DataError, match=r"no space left in the data folder '.*data'"):
            prepare(find_domain(key), Geometry("squash", 256), data_dir=data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _left(data / find_domain(key).slug) == ["manifest.csv"]


def test_several_may_prepare_one_domain_at_once(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key, data = f"folder:{folder}", tmp_path / "data"
    with ThreadPoolExecutor(4) as pool:  # each opens the lock file for itself, so the lock holds as between processes
        manifests = list(pool.map(lambda _: prepare(find_domain(key), SQUASH, data_dir=data), range(4)))
    assert {digest(rows) for rows in manifests} == {digest(manifests[0])}
    with caplog.at_level(logging.INFO):
        load_images(expand_targets(key)[0], SQUASH, data_dir=data)
    assert [record.name for record in caplog.records] == ["wbc.data.images"]  # the counts; nothing is made again
