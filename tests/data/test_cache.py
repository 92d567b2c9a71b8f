import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torchvision.transforms import InterpolationMode, Resize

from tests.data.samples import cells_domain, image_bytes, write_tree
from wbc.data.cache import Geometry, PixelCache, ensure_cache, load_cache
from wbc.data.manifest import build_manifest
from wbc.errors import ConfigError, DataError

SIZES = {
    "train/Neut/1.png": (575, 575),
    "train/Neut/2.png": (360, 363),
    "test/Lymph/1.png": (31, 97),
    "test/Lymph/2.png": (5, 3),
}
SQUASH = Geometry("squash", 16)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {path: image_bytes(seed, size) for seed, (path, size) in enumerate(SIZES.items())}
    return write_tree(tmp_path / "root", files)


@pytest.fixture
def rows(root: Path) -> pd.DataFrame:
    return build_manifest(cells_domain(counts={"train": (0, 0, 0, 0, 2), "test": (0, 0, 2, 0, 0)}), root)


@pytest.mark.parametrize(
    ("geometry", "resize"),
    [
        (Geometry("squash", 64), Resize((64, 64), InterpolationMode.BILINEAR)),
        (Geometry("squash", 224), Resize((224, 224), InterpolationMode.BILINEAR)),
        (Geometry("short_side", 64), Resize(64, InterpolationMode.BILINEAR)),
        (Geometry("short_side", 256), Resize(256, InterpolationMode.BILINEAR)),
    ],
    ids=str,
)
def test_pixels_are_torchvisions(
    geometry: Geometry, resize: Resize, rows: pd.DataFrame, root: Path, tmp_path: Path
) -> None:
    for split in ("train", "test"):
        cache = load_cache(tmp_path, geometry, rows, root, split)
        paths = rows.loc[rows["split"] == split, "path"]
        for path, pixels in zip(paths, cache, strict=True):
            assert np.array_equal(pixels, np.asarray(resize(Image.open(root / path).convert("RGB"))))


def test_split_holds_its_own_rows_only(rows: pd.DataFrame, root: Path, tmp_path: Path) -> None:
    cache = load_cache(tmp_path, Geometry("short_side", 6), rows, root, "test")
    assert [image.shape for image in cache] == [(18, 6, 3), (6, 10, 3)]


def test_square_is_one_array_of_all_images(rows: pd.DataFrame, root: Path, tmp_path: Path) -> None:
    cache = load_cache(tmp_path, SQUASH, rows, root, "train")
    assert cache.square.shape == (2, 16, 16, 3)
    assert np.array_equal(cache.square[1], cache[1])


def test_square_is_refused_when_shapes_differ(rows: pd.DataFrame, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not all of one square size"):
        _ = load_cache(tmp_path, Geometry("short_side", 6), rows, root, "test").square


def test_pixels_are_views_that_nobody_can_write_to(rows: pd.DataFrame, root: Path, tmp_path: Path) -> None:
    assert not load_cache(tmp_path, SQUASH, rows, root, "train")[0].flags.writeable


def test_index_counts_from_the_end_and_stops_at_it() -> None:
    cache = PixelCache(np.arange(15, dtype=np.uint8), np.array([[1, 2], [3, 1]]))
    assert cache[-1].tolist() == [[[6, 7, 8]], [[9, 10, 11]], [[12, 13, 14]]]
    with pytest.raises(IndexError):
        cache[2]


def test_cache_is_not_written_twice(rows: pd.DataFrame, root: Path, tmp_path: Path) -> None:
    ensure_cache(tmp_path, SQUASH, rows, root)
    before = (tmp_path / "cache-squash16.bin").stat().st_mtime_ns
    ensure_cache(tmp_path, SQUASH, rows, root)
    assert (tmp_path / "cache-squash16.bin").stat().st_mtime_ns == before


def _spoil_pixel(tmp_path: Path) -> None:
    content = bytearray((tmp_path / "cache-squash16.bin").read_bytes())
    content[10] ^= 1
    (tmp_path / "cache-squash16.bin").write_bytes(content)


def _cut(tmp_path: Path) -> None:
    (tmp_path / "cache-squash16.bin").write_bytes((tmp_path / "cache-squash16.bin").read_bytes()[:-1])


def _spoil_description(tmp_path: Path) -> None:
    (tmp_path / "cache-squash16.json").write_text("{")


def _lose_checksums(tmp_path: Path) -> None:
    meta = json.loads((tmp_path / "cache-squash16.json").read_text())
    (tmp_path / "cache-squash16.json").write_text(json.dumps({**meta, "sha256": []}))


def _lose_shape(tmp_path: Path) -> None:
    meta = json.loads((tmp_path / "cache-squash16.json").read_text())
    size = sum(height * width for height, width in meta["shapes"])
    (tmp_path / "cache-squash16.json").write_text(json.dumps({**meta, "shapes": [[1, size]]}))


def _lose_description(tmp_path: Path) -> None:
    (tmp_path / "cache-squash16.json").unlink()


def _make_older(tmp_path: Path) -> None:
    meta = json.loads((tmp_path / "cache-squash16.json").read_text())
    (tmp_path / "cache-squash16.json").write_text(json.dumps(meta | {"version": 0}))


@pytest.mark.parametrize(
    ("spoil", "warning"),
    [
        (_spoil_pixel, "its checksum does not fit; building it again"),
        (_cut, "it has 3,071 bytes and should have 3,072; building it again"),
        (_spoil_description, "its description is damaged; building it again"),
        (_lose_checksums, "its description is damaged; building it again"),
        (_lose_shape, "its description is damaged; building it again"),
        (_lose_description, "it is not complete; building it again"),
        (_make_older, "it is of another version or of other images; building it again"),
    ],
)
def test_spoilt_cache_is_built_again_with_a_warning(
    spoil: object, warning: str, rows: pd.DataFrame, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = load_cache(tmp_path, SQUASH, rows, root, "train").square.copy()
    assert callable(spoil)
    spoil(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(load_cache(tmp_path, SQUASH, rows, root, "train").square, good)
    assert warning in caplog.text


def test_cache_of_another_manifest_is_built_again(rows: pd.DataFrame, root: Path, tmp_path: Path) -> None:
    ensure_cache(tmp_path, SQUASH, rows, root)
    fewer = rows.iloc[1:].reset_index(drop=True)
    assert len(load_cache(tmp_path, SQUASH, fewer, root, "train")) == 1


def test_image_that_changed_since_the_manifest_stops_the_cache(rows: pd.DataFrame, root: Path, tmp_path: Path) -> None:
    (root / "train/Neut/1.png").write_bytes(image_bytes(77))
    with pytest.raises(DataError, match=r"train/Neut/1\.png' has changed since the manifest was made"):
        ensure_cache(tmp_path / "home", SQUASH, rows, root)
    assert [path.name for path in (tmp_path / "home").iterdir()] == [".lock"]


def test_geometry_must_have_a_pixel() -> None:
    with pytest.raises(ConfigError, match="size_px is 0"):
        Geometry("squash", 0)


def test_crop_takes_the_centre_before_resizing(root: Path) -> None:
    image = Image.open(root / "train/Neut/2.png").convert("RGB")
    found = Geometry("squash", 32).cropped(0.6).apply(image)
    centre = image.crop((72, 72, 72 + 216, 72 + 218))
    assert np.array_equal(np.asarray(found), np.asarray(centre.resize((32, 32), Image.Resampling.BILINEAR)))


def test_caches_of_two_crops_lie_beside_each_other(rows: pd.DataFrame, root: Path, tmp_path: Path) -> None:
    train = rows[rows["split"] == "train"]
    whole, part = (load_cache(tmp_path, SQUASH.cropped(crop), train, root, "train") for crop in (1.0, 0.6))
    assert {path.name for path in tmp_path.glob("cache-*.bin")} == {"cache-squash16.bin", "cache-squash16-crop0.6.bin"}
    assert not np.array_equal(whole.square, part.square)


def test_image_too_small_for_the_crop_is_named_with_its_size(rows: pd.DataFrame, root: Path, tmp_path: Path) -> None:
    test = rows[rows["split"] == "test"]
    with pytest.raises(DataError, match=r"2\.png' has 5 × 3 pixels, of which crop=0\.5 takes 2 × 2: at least 16 × 16"):
        ensure_cache(tmp_path, SQUASH.cropped(0.5), test, root)
