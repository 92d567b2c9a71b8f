import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.data.conftest import Site
from tests.data.samples import cells_domain, zip_bytes
from wbc.data.domain import Domain
from wbc.data.fetch.archive import extract
from wbc.data.fetch.download import fetch
from wbc.errors import DataError

CONTENTS = {
    "WBC/Blast/1.bmp": os.urandom(2_000_000),
    "WBC/Monocyte/1.bmp": os.urandom(300_000),
    "WBC/Monocyte/2.bmp": os.urandom(90_000),
    "WBC/Band/1.bmp": os.urandom(1_500_000),
    "WBC/Neutrophil/1.bmp": os.urandom(80_000),
    "WBC/Neutrophil/2.bmp": b"",
}
WANTED = {name: content for name, content in CONTENTS.items() if "Monocyte" in name or "Neutrophil" in name}


@pytest.fixture
def domain(site: Site) -> Domain:
    site.files["/cells.zip"] = zip_bytes(CONTENTS)
    whole = cells_domain(f"{site.url}/cells.zip")
    return replace(whole, archives=(replace(whole.archives[0], members="monocyte|neutrophil", in_parts=True),))


def _fetch(domain: Domain, home: Path) -> Path:
    return fetch(domain.archives[0], domain, home)[0]


def _held(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_only_the_wanted_members_come(domain: Domain, tmp_path: Path, site: Site) -> None:
    path = _fetch(domain, tmp_path)
    assert _held(path) == WANTED
    assert path.stat().st_size < 480_000
    extract(path, tmp_path / "unpacked", members="monocyte")
    assert (tmp_path / "unpacked/WBC/Monocyte/2.bmp").read_bytes() == WANTED["WBC/Monocyte/2.bmp"]


def test_neighbours_come_in_one_answer(domain: Domain, tmp_path: Path, site: Site) -> None:
    _fetch(domain, tmp_path)
    index = zipfile.ZipFile(io.BytesIO(site.files["/cells.zip"]))
    first, last = index.getinfo("WBC/Monocyte/1.bmp").header_offset, index.getinfo("WBC/Band/1.bmp").header_offset
    assert [asked[1] for asked in site.asked].count(f"bytes={first}-{last - 1}") == 1


def test_members_go_on_where_they_broke_off(domain: Domain, tmp_path: Path, site: Site) -> None:
    _fetch(domain, tmp_path / "whole")
    before = len(site.asked)
    index = before - 2  # the last two were for members
    site.cuts["/cells.zip"] = [1 << 30] * index + [70_000]
    assert _held(_fetch(domain, tmp_path / "broken")) == WANTED
    assert len(site.asked) == 2 * before + 1
    assert (tmp_path / "broken/archives/cells.zip").read_bytes() == (tmp_path / "whole/archives/cells.zip").read_bytes()


def test_members_go_on_in_another_call(domain: Domain, tmp_path: Path, site: Site) -> None:
    whole = _fetch(domain, tmp_path / "whole").read_bytes()
    index = len(site.asked) - 2
    site.cuts["/cells.zip"] = [1 << 30] * index + [70_000] * 3
    with pytest.raises(DataError, match="more expected"):
        _fetch(domain, tmp_path)
    left = (tmp_path / "archives/cells.zip.part").read_bytes()
    assert len(left) == 3 << 16
    assert whole.startswith(left)
    assert _fetch(domain, tmp_path).read_bytes() == whole


def test_index_is_written_again_when_a_call_was_killed_in_it(domain: Domain, tmp_path: Path) -> None:
    whole = _fetch(domain, tmp_path).read_bytes()
    (tmp_path / "archives/cells.zip").rename(tmp_path / "archives/cells.zip.part")
    (tmp_path / "archives/cells.zip.part").write_bytes(whole[:-30])
    assert _fetch(domain, tmp_path).read_bytes() == whole


def test_host_without_parts_ends_in_one_line_that_says_how_to_go_on(domain: Domain, tmp_path: Path, site: Site) -> None:
    site.ranges = False
    with pytest.raises(DataError, match="answered with status 200: it sends no parts") as caught:
        _fetch(domain, tmp_path)
    assert "By hand:" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "archives").iterdir()) == []


def test_second_address_goes_on(domain: Domain, tmp_path: Path, site: Site) -> None:
    archive = replace(domain.archives[0], urls=(f"{site.url}/gone/cells.zip", f"{site.url}/cells.zip"))
    assert _held(_fetch(replace(domain, archives=(archive,)), tmp_path)) == WANTED


def test_archive_without_such_members_or_no_zip_is_refused(domain: Domain, tmp_path: Path, site: Site) -> None:
    site.files["/cells.zip"] = zip_bytes({"WBC/Blast/1.bmp": b"1"})
    with pytest.raises(DataError, match="none of its members has a name in which"):
        _fetch(domain, tmp_path)
    site.files["/cells.zip"] = b"<!doctype html><title>Log in</title>"
    with pytest.raises(DataError, match="not a zip"):
        _fetch(domain, tmp_path)
