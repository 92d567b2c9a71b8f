import io
import shutil
import stat
import tarfile
import zipfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.data.samples import rar_bytes, zip_bytes
from wbc.data.fetch.archive import Limits, check_archive, extract
from wbc.errors import DataError

RAR_TOOL = next((tool for tool in ("unar", "unrar", "7zz", "7z", "bsdtar") if shutil.which(tool)), None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def _file(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "archive").write_bytes(content)
    return tmp_path / "archive"


def _tar(member: tarfile.TarInfo, content: bytes = b"", mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    member.size = len(content)
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _link(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo("cells/link")
    member.type, member.linkname = kind, "/etc/passwd"
    return member


def _zip_link() -> bytes:
    info = zipfile.ZipInfo("cells/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return stream.getvalue()


def _tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_zip_is_unpacked(tmp_path: Path, folder: Path) -> None:
    extract(_file(tmp_path, zip_bytes({"a/b.txt": b"hello"})), folder)
    assert (folder / "a/b.txt").read_bytes() == b"hello"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_tar_is_unpacked(tmp_path: Path, folder: Path, mode: str) -> None:
    extract(_file(tmp_path, _tar(tarfile.TarInfo("a/b.txt"), b"hello", mode)), folder)
    assert (folder / "a/b.txt").read_bytes() == b"hello"


@pytest.mark.skipif(RAR_TOOL is None, reason="no tool that unpacks rar is installed (apt install unar)")
def test_rar_is_unpacked(tmp_path: Path, folder: Path) -> None:
    extract(_file(tmp_path, rar_bytes({"a/b.txt": b"hello"})), folder)
    assert (folder / "a/b.txt").read_bytes() == b"hello"


def test_rar_that_unpacks_to_too_much_is_refused(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path / "bin", "unrar", f"echo too much > {folder}/whole")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(DataError, match="unpacks to more than 4 bytes, at 'whole'"):
        extract(_file(tmp_path, rar_bytes({"a": b""})), folder, Limits(total_bytes=4))


def test_zip_with_a_hole_is_called_damaged(tmp_path: Path, folder: Path) -> None:
    content = zip_bytes({f"{number}.bin": bytes(range(256)) * 8 for number in range(20)})
    with pytest.raises(DataError, match=r"damaged|not usable"):
        extract(_file(tmp_path, content[:300] + content[900:]), folder)


def test_rar_says_what_to_install_when_no_tool_is_there(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"none of unar, unrar, 7zz, 7z, bsdtar is installed. Install unar"):
        extract(_file(tmp_path, rar_bytes({"a": b""})), folder)


@pytest.mark.parametrize("code", [0, 3])
def test_rar_whose_tool_prints_names_in_another_encoding_is_read_all_the_same(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    _tool(tmp_path / "bin", "unar", f"printf 'caf\\351\\n'; exit {code}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(DataError, match=r"exit code 3 .caf.") if code else nullcontext():
        extract(_file(tmp_path, rar_bytes({"a": b""})), folder)


def test_rar_tries_the_next_tool_when_one_fails(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path / "bin", "unar", f"echo > {folder}/half; exit 3")
    _tool(tmp_path / "bin", "unrar", f"echo hello > {folder}/whole")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    extract(_file(tmp_path, rar_bytes({"a": b""})), folder)
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_rar_names_the_link_that_a_tool_unpacked(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tool(tmp_path / "bin", "unar", f"/bin/ln -s /etc/passwd {folder}/link")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(DataError, match="member 'link' is a symbolic link"):
        extract(_file(tmp_path, rar_bytes({"a": b""})), folder)


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/tmp/out.txt", "C:\\out.txt", "..\\out.txt"])
def test_zip_member_is_named_when_it_would_leave_the_folder(tmp_path: Path, folder: Path, name: str) -> None:
    with pytest.raises(DataError, match="would be written outside") as caught:
        extract(_file(tmp_path, zip_bytes({"fine.txt": b"", name: b"x"})), folder)
    assert f"'{name}'" in str(caught.value)
    assert list(folder.iterdir()) == []


def test_tar_member_is_named_when_it_would_leave_the_folder(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match=r"member '\.\./out\.txt' would be written outside"):
        extract(_file(tmp_path, _tar(tarfile.TarInfo("../out.txt"), b"x")), folder)


def test_zip_symbolic_link_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="member 'cells/link' is a symbolic link"):
        extract(_file(tmp_path, _zip_link()), folder)


@pytest.mark.parametrize(
    ("kind", "word"), [(tarfile.SYMTYPE, "symbolic link"), (tarfile.LNKTYPE, "hard link"), (tarfile.CHRTYPE, "device")]
)
def test_tar_link_or_device_is_refused(tmp_path: Path, folder: Path, kind: bytes, word: str) -> None:
    with pytest.raises(DataError, match=f"member 'cells/link' is a {word}"):
        extract(_file(tmp_path, _tar(_link(kind))), folder)


def test_size_bomb_is_refused(tmp_path: Path, folder: Path) -> None:
    bomb = _file(tmp_path, zip_bytes({"zeros": bytes(1 << 20)}))
    with pytest.raises(DataError, match=r"unpacks to more than 200 times its .* a size bomb"):
        extract(bomb, folder, Limits(ratio_from_bytes=1 << 10))
    assert list(folder.iterdir()) == []


def test_too_much_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="unpacks to more than 1,000 bytes"):
        extract(_file(tmp_path, zip_bytes({"zeros": bytes(1001)})), folder, Limits(total_bytes=1000))


def test_archives_within_an_archive_share_its_limit(tmp_path: Path, folder: Path) -> None:
    inner = {f"{number}.zip": zip_bytes({"zeros": bytes(1000)}) for number in range(3)}
    extract(_file(tmp_path, zip_bytes(inner)), folder, Limits(total_bytes=4000))
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(DataError, match="unpacks to more than 2,500 bytes"):
        extract(_file(tmp_path, zip_bytes(inner)), folder, Limits(total_bytes=2500))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_tar_whose_header_would_fill_the_memory_is_refused_unread(tmp_path: Path, folder: Path, kind: bytes) -> None:
    note = tarfile.TarInfo("note")
    note.type = kind
    with pytest.raises(DataError, match="a header declares 2,000,000 bytes"):
        extract(_file(tmp_path, _tar(note, bytes(2_000_000))), folder)


def test_too_many_members_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="more than 2 members"):
        extract(_file(tmp_path, zip_bytes({"a": b"", "b": b"", "c": b""})), folder, Limits(members=2))


def test_zip_with_a_changed_byte_is_damaged(tmp_path: Path, folder: Path) -> None:
    content = bytearray(zip_bytes({"a": bytes(range(256))}))
    content[40] ^= 255
    with pytest.raises(DataError, match="is damaged"):
        extract(_file(tmp_path, bytes(content)), folder)


def test_tar_cut_short_is_damaged(tmp_path: Path, folder: Path) -> None:
    content = _tar(tarfile.TarInfo("a"), bytes(range(256)) * 100)
    with pytest.raises(DataError, match="is damaged"):
        extract(_file(tmp_path, content[: len(content) // 2]), folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"\n<!DOCTYPE html><html>log in", "an HTML page, not an archive"),
        (b"<html lang=en>", "an HTML page, not an archive"),
        (b'{"error": 1}', "neither zip, tar nor rar"),
        (zip_bytes({"a": bytes(range(256))})[:-30], "a truncated zip"),
    ],
)
def test_check_archive_says_what_came_instead(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_archive(_file(tmp_path, content))


def test_archive_within_an_archive_is_unpacked_beside_itself_and_removed(tmp_path: Path, folder: Path) -> None:
    inner = zip_bytes({"cells/1.png": b"x"})
    extract(_file(tmp_path, zip_bytes({"top/cells.zip": inner, "__MACOSX/._cells.zip": b"no archive"})), folder)
    assert (folder / "top/cells/cells/1.png").read_bytes() == b"x"
    assert not (folder / "top/cells.zip").exists()


def test_damaged_archive_within_an_archive_stops(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="is not usable: neither zip, tar nor rar"):
        extract(_file(tmp_path, zip_bytes({"cells.zip": b"no archive"})), folder)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_only_members_that_the_pattern_finds_are_unpacked(kind: str, tmp_path: Path, folder: Path) -> None:
    files = {"set/Neutrophil/1.png": b"x", "set/blast/2.png": b"y"}
    content = zip_bytes(files)
    if kind == "tar":
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, each in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(each)
                archive.addfile(member, io.BytesIO(each))
        content = stream.getvalue()
    extract(_file(tmp_path, content), folder, members="neutro|eosin")
    assert [path.name for path in folder.rglob("*.png")] == ["1.png"]


def test_members_that_are_not_unpacked_count_for_no_limit(tmp_path: Path, folder: Path) -> None:
    path = _file(tmp_path, zip_bytes({"neutrophil/1.png": b"x", "blast/2.png": bytes(1000)}))
    extract(path, folder, Limits(total_bytes=100), "neutrophil")
    with pytest.raises(DataError, match="unpacks to more than 100 bytes"):
        extract(path, folder, Limits(total_bytes=100))
