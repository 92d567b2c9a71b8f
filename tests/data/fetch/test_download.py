import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from tests.data.conftest import Site
from tests.data.samples import CELLS, cells_domain, zip_bytes
from wbc.data.catalog import DOMAINS
from wbc.data.domain import Archive, Domain
from wbc.data.fetch.download import fetch
from wbc.errors import DataError

WHOLE = zip_bytes({"noise": os.urandom(500_000)} | CELLS)
SHA = "0" * 64


@pytest.fixture
def domain(site: Site) -> Domain:
    site.files["/cells.zip"] = WHOLE
    return cells_domain(f"{site.url}/cells.zip")


def _fetch(domain: Domain, home: Path, given: Path | None = None) -> Path:
    return fetch(domain.archives[0], domain, home, given)[0]


def test_archive_arrives_whole(domain: Domain, tmp_path: Path) -> None:
    assert _fetch(domain, tmp_path) == tmp_path / "archives/cells.zip"
    assert (tmp_path / "archives/cells.zip").read_bytes() == WHOLE


def test_archive_is_not_asked_for_again_when_there(domain: Domain, tmp_path: Path, site: Site) -> None:
    _fetch(domain, tmp_path)
    _fetch(domain, tmp_path)
    assert len(site.asked) == 1


def test_download_goes_on_where_it_broke_off(domain: Domain, tmp_path: Path, site: Site) -> None:
    site.cuts["/cells.zip"] = [70_000]
    assert _fetch(domain, tmp_path).read_bytes() == WHOLE
    assert site.asked == [("/cells.zip", None), ("/cells.zip", f"bytes={1 << 16}-")]


def test_download_goes_on_in_another_call(domain: Domain, tmp_path: Path, site: Site) -> None:
    site.cuts["/cells.zip"] = [70_000, 70_000, 70_000]
    with pytest.raises(DataError, match="cannot fetch"):
        _fetch(domain, tmp_path)
    assert [path.name for path in (tmp_path / "archives").iterdir()] == ["cells.zip.part"]
    assert _fetch(domain, tmp_path).read_bytes() == WHOLE
    assert site.asked[-1] == ("/cells.zip", f"bytes={3 << 16}-")


def test_download_starts_over_when_the_server_knows_no_ranges(domain: Domain, tmp_path: Path, site: Site) -> None:
    site.ranges, site.cuts["/cells.zip"] = False, [70_000]
    assert _fetch(domain, tmp_path).read_bytes() == WHOLE


def test_download_is_taken_when_all_of_it_had_come(domain: Domain, tmp_path: Path) -> None:
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/cells.zip.part").write_bytes(WHOLE)
    assert _fetch(domain, tmp_path).read_bytes() == WHOLE


def test_download_starts_over_when_more_had_come_than_there_is(domain: Domain, tmp_path: Path) -> None:
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/cells.zip.part").write_bytes(WHOLE + b"more")
    assert _fetch(domain, tmp_path).read_bytes() == WHOLE


def test_html_page_is_refused_and_says_how_to_go_on(domain: Domain, tmp_path: Path, site: Site) -> None:
    site.files["/cells.zip"] = b"<!doctype html><title>Log in</title>"
    with pytest.raises(DataError, match="an HTML page, not an archive") as caught:
        _fetch(domain, tmp_path)
    for fact in (f"{site.url}/cells.zip", "about 3 MB", str(tmp_path / "archives"), "--archive"):
        assert fact in str(caught.value)
    assert list((tmp_path / "archives").iterdir()) == []


def test_truncated_zip_is_refused_with_its_size(domain: Domain, tmp_path: Path, site: Site) -> None:
    site.files["/cells.zip"] = WHOLE[:30_000]
    with pytest.raises(DataError, match="a truncated zip: 30,000 bytes"):
        _fetch(domain, tmp_path)
    assert list((tmp_path / "archives").iterdir()) == []


def test_missing_page_is_not_asked_for_twice(domain: Domain, tmp_path: Path, site: Site) -> None:
    site.files.clear()
    with pytest.raises(DataError, match="404"):
        _fetch(domain, tmp_path)
    assert len(site.asked) == 1


def test_unreachable_host_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/cells\.zip: Connection refused\.") as caught:
        _fetch(cells_domain(), tmp_path)
    assert "\n" not in str(caught.value)


def test_google_drive_out_of_reach_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    lisc = DOMAINS["lisc"]
    with pytest.raises(DataError, match=r"Google Drive gave no file: .* as LISC\.zip, or name it with --archive"):
        fetch(lisc.archives[0], lisc, tmp_path)
    assert list((tmp_path / "archives").iterdir()) == []


def test_next_address_is_tried(domain: Domain, tmp_path: Path, site: Site) -> None:
    archive = replace(domain.archives[0], urls=(f"{site.url}/moved/cells.zip", f"{site.url}/cells.zip"))
    assert fetch(archive, domain, tmp_path)[0].read_bytes() == WHOLE


def test_what_one_address_left_is_no_beginning_of_another_file(domain: Domain, tmp_path: Path, site: Site) -> None:
    site.files["/file_downloaded"] = os.urandom(200_000)
    site.cuts["/file_downloaded"] = [70_000] * 3
    urls = (f"{site.url}/file_downloaded", f"{site.url}/cells.zip")
    archive = replace(domain.archives[0], name="cells.zip", urls=urls)
    assert fetch(archive, domain, tmp_path)[0].read_bytes() == WHOLE
    assert site.asked[-1] == ("/cells.zip", None)


@pytest.mark.parametrize("domain", [row for row in DOMAINS.values() if row.archives], ids=lambda row: row.key)
def test_dead_host_ends_in_one_line_that_names_the_address_and_the_way_by_hand(
    domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for archive in domain.archives:
        with pytest.raises(DataError, match=f"{domain.key}: cannot fetch ") as caught:
            fetch(archive, domain, tmp_path)
        told = str(caught.value)
        assert "\n" not in told
        assert "  " not in told
        assert all(url in told for url in archive.urls)
        assert f"By hand: {archive.by_hand or 'download ' + archive.origin}" in told
        assert domain.page in told
        assert told.endswith(f"as {archive.basename}, or name it with --archive.")


def test_archive_without_an_address_is_taken_from_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror/krd").mkdir(parents=True)
    (tmp_path / "mirror/krd/krd.zip").write_bytes(WHOLE)
    monkeypatch.setenv("WBC_MIRROR", str(tmp_path / "mirror"))
    assert _fetch(DOMAINS["krd"], tmp_path / "home").read_bytes() == WHOLE


def test_archive_that_came_over_http_and_has_no_known_sha256_is_told_with_it(
    domain: Domain, tmp_path: Path, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    archive = replace(domain.archives[0], urls=("https://127.0.0.1:9/cells.zip", f"{site.url}/cells.zip"))
    digest = fetch(archive, domain, tmp_path / "a")[1]
    assert "cells.zip came over http, which anybody on the way can change, and no SHA-256 of it" in caplog.text
    assert digest in caplog.text
    caplog.clear()
    fetch(replace(archive, sha256=digest), domain, tmp_path / "b")
    assert "came over http" not in caplog.text


def test_address_of_https_that_leads_to_http_is_not_followed(
    domain: Domain, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = requests.get
    monkeypatch.setattr(requests, "get", lambda _, **settings: real(f"{site.url}/cells.zip", **settings))
    archive = replace(domain.archives[0], urls=("https://there/cells.zip",))
    with pytest.raises(DataError, match=r"it leads to http://.*, over http, and is not followed there"):
        fetch(archive, domain, tmp_path)


def test_published_sha256_is_compared(domain: Domain, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"published is {SHA}"):
        fetch(replace(domain.archives[0], sha256=SHA), domain, tmp_path)
    assert list((tmp_path / "archives").iterdir()) == []


def test_recorded_sha256_is_compared(domain: Domain, tmp_path: Path) -> None:
    _fetch(domain, tmp_path)
    (tmp_path / "archives.lock.json").write_text(json.dumps({"cells.zip": SHA}))
    with pytest.raises(DataError, match=f"its SHA-256 is [0-9a-f]{{64}}, recorded in .* is {SHA}"):
        _fetch(domain, tmp_path)


def test_hand_downloaded_file_is_used_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "anything.zip").write_bytes(WHOLE)
    assert _fetch(cells_domain(), tmp_path / "home", tmp_path / "anything.zip") == tmp_path / "anything.zip"


def test_hand_downloaded_archives_are_found_in_their_folder(tmp_path: Path) -> None:
    (tmp_path / "TestB.zip").write_bytes(WHOLE)
    raabin = DOMAINS["raabin"]
    assert fetch(raabin.archives[2], raabin, tmp_path / "home", tmp_path)[0] == tmp_path / "TestB.zip"


def test_hand_downloaded_file_is_refused_when_there_are_several(tmp_path: Path) -> None:
    (tmp_path / "TestB.zip").write_bytes(WHOLE)
    raabin = DOMAINS["raabin"]
    with pytest.raises(DataError, match=r"give the folder that holds Train\.rar, TestA\.rar, TestB\.zip"):
        fetch(raabin.archives[2], raabin, tmp_path / "home", tmp_path / "TestB.zip")


def test_hand_downloaded_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no archive"):
        _fetch(cells_domain(), tmp_path, tmp_path / "absent.zip")


def test_mirror_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror/cells").mkdir(parents=True)
    (tmp_path / "mirror/cells/cells.zip").write_bytes(WHOLE)
    monkeypatch.setenv("WBC_MIRROR", str(tmp_path / "mirror"))
    assert _fetch(cells_domain(), tmp_path / "home").read_bytes() == WHOLE


def test_mirror_folder_of_the_domain_that_shares_the_archive_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(folder="all", urls=("http://127.0.0.1:9/cells.zip",), shared_with="other")
    (tmp_path / "mirror/other").mkdir(parents=True)
    (tmp_path / "mirror/other/cells.zip").write_bytes(WHOLE)
    monkeypatch.setenv("WBC_MIRROR", str(tmp_path / "mirror"))
    domain = cells_domain(archives=(archive,))
    assert _fetch(domain, tmp_path / "home").read_bytes() == WHOLE


def test_mirror_address_comes_first(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/mirror/cells/cells.zip"] = WHOLE
    monkeypatch.setenv("WBC_MIRROR", f"{site.url}/mirror/")
    assert _fetch(cells_domain(), tmp_path).read_bytes() == WHOLE


def test_mirror_that_lacks_the_archive_is_passed_over(
    domain: Domain, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WBC_MIRROR", f"{site.url}/mirror")
    assert _fetch(domain, tmp_path).read_bytes() == WHOLE


def test_mirror_that_is_no_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", str(tmp_path / "absent"))
    with pytest.raises(DataError, match=r"WBC_MIRROR is .*absent"):
        _fetch(cells_domain(), tmp_path)
