"""Archives nobody vouches for: their kind by the first bytes, and extraction that refuses what leaves the folder."""

import errno
import gzip
import lzma
import re
import shutil
import stat
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from wbc.errors import DataError

Kind = Literal["zip", "tar", "rar"]
_TAR_MAGIC_AT: Final = 257
_DAMAGE: Final = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError, NotImplementedError
)  # fmt: skip
_PACKED: Final = (".zip", ".tar", ".rar")
_RAR_TOOLS: Final = {
    "unar": ("-quiet", "-force-overwrite", "-no-directory", "-output-directory", "{folder}", "{archive}"),
    "unrar": ("x", "-idq", "-o+", "-p-", "{archive}", "{folder}/"),
    "7zz": ("x", "-y", "-bd", "-o{folder}", "{archive}"),
    "7z": ("x", "-y", "-bd", "-o{folder}", "{archive}"),
    "bsdtar": ("-x", "-f", "{archive}", "-C", "{folder}"),
}


_TAR_NOTES: Final = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
"""Members that tell of the next one, and that tarfile reads whole."""
_MOST_NOTE_BYTES: Final = 1 << 20


class _TarInfo(tarfile.TarInfo):
    """A member of a tar, whose notes on others are bounded before they are read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_TarInfo":
        member = super().frombuf(buf, encoding, errors)
        if member.type in _TAR_NOTES and member.size > _MOST_NOTE_BYTES:
            raise tarfile.ReadError(f"a header declares {member.size:,} bytes")
        return member


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an archive may unpack to. Raabin, the largest domain, is 12,000 files and 0.5 GB."""

    members: int = 200_000
    total_bytes: int = 64 << 30
    ratio: int = 200
    """Unpacked over packed size; checked only above `ratio_from_bytes`."""
    ratio_from_bytes: int = 1 << 30


class _Member(NamedTuple):
    name: str
    size: int
    kind: str
    """ "file", "folder", or what else it is."""


def check_archive(path: Path) -> Kind:
    """Returns the archive's kind, and makes sure that it came whole as far as its index tells.

    Raises:
        DataError: Empty, an HTML page, no known kind, or a zip whose end is missing.
    """
    with path.open("rb") as handle:
        head = handle.read(512)
    size = f"{path.stat().st_size:,} bytes"
    if not head:
        raise DataError("an empty file.")
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|!--)", head, re.IGNORECASE):
        raise DataError(
            f"an HTML page, not an archive ({size}): the host asks for a login or a click, or has moved it."
        )
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        if not zipfile.is_zipfile(path):
            raise DataError(f"a truncated zip: {size}, and its index at the end is missing.")
        return "zip"
    if head.startswith(b"Rar!\x1a\x07"):
        return "rar"
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")) or head[_TAR_MAGIC_AT:].startswith(b"ustar"):
        return "tar"
    raise DataError(f"neither zip, tar nor rar ({size}, starting with {head[:8]!r}).")


def extract(path: Path, folder: Path, limits: Limits = Limits(), members: str = "") -> None:
    """Unpacks an archive into an empty folder, and the archives that it holds beside themselves, one level down.

    Of a zip or tar only those `members` are unpacked in whose names the pattern is found.

    Raises:
        DataError: A damaged archive, a password, a size bomb, or a rar that no installed tool can unpack. A member that
            is no plain file or would leave the folder.
    """
    try:
        _unpack(path, folder, limits, members)
        packed = sorted(each for each in folder.rglob("*") if _is_packed(each.name) and each.is_file())
        total = _check_unpacked(folder, limits) if packed else 0
        for inner in packed:
            (beside := inner.with_suffix("")).mkdir(exist_ok=True)
            _unpack(inner, beside, limits, members)
            total = _check_unpacked(beside, limits, total)
            inner.unlink()
    except DataError as error:
        raise DataError(f"'{path}' is not usable: {error}") from error
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # zipfile's seek to a place before the start
            raise
        raise DataError(f"'{path}' is damaged ({path.stat().st_size:,} bytes): {error}. Fetch it again.") from error


def is_wanted(name: str, wanted: re.Pattern[str]) -> bool:
    """Returns whether a member is unpacked: the pattern is found in its name, or it is an archive."""
    return wanted.search(name) is not None or _is_packed(name)


def _unpack(path: Path, folder: Path, limits: Limits, members: str) -> None:
    kind = check_archive(path)
    if kind == "rar":
        _extract_rar(path, folder, limits)
    else:
        wanted = re.compile(members or ".*", re.IGNORECASE | re.DOTALL)
        {"zip": _extract_zip, "tar": _extract_tar}[kind](path, folder, limits, wanted)


def _extract_zip(path: Path, folder: Path, limits: Limits, wanted: re.Pattern[str]) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if is_wanted(info.filename, wanted)]
        locked = next((info.filename for info in infos if info.flag_bits & 1), None)
        if locked is not None:
            raise DataError(f"'{locked}' asks for a password.")
        _check_members((_zip_member(info) for info in infos), path, limits)
        archive.extractall(folder, infos)


def _extract_tar(path: Path, folder: Path, limits: Limits, wanted: re.Pattern[str]) -> None:
    with tarfile.open(path, tarinfo=_TarInfo) as archive:
        infos = (info for info in archive if is_wanted(info.name, wanted))
        _check_members((_tar_member(info) for info in infos), path, limits)
        kept = [info for info in archive.getmembers() if is_wanted(info.name, wanted)]
        archive.extractall(folder, kept, filter="data")


def _extract_rar(path: Path, folder: Path, limits: Limits) -> None:
    tools = {name: found for name in _RAR_TOOLS if (found := shutil.which(name))}
    reasons = []
    for name, program in tools.items():
        words = [word.format(folder=folder, archive=path.absolute()) for word in _RAR_TOOLS[name]]
        done = subprocess.run(
            [program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode == 0:
            _check_unpacked(folder, limits)
            return
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        reasons.append(f"{name} failed with exit code {done.returncode} ({last})")
        for child in folder.iterdir():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    tried = "; ".join(reasons) or f"none of {', '.join(_RAR_TOOLS)} is installed"
    raise DataError(f"a rar archive, and {tried}. Install unar (apt install unar; brew install unar) and run again.")


def _check_members(members: Iterable[_Member], path: Path, limits: Limits) -> None:
    """Refuses, by its name, the first member that is not plainly a file or folder below the target; then size bombs."""
    total, packed = 0, path.stat().st_size
    for count, member in enumerate(members, start=1):
        name = member.name.replace("\\", "/")
        if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
            raise DataError(f"member '{member.name}' would be written outside the target folder.")
        if member.kind not in ("file", "folder"):
            raise DataError(f"member '{member.name}' is a {member.kind}; only files and folders are taken.")
        total += member.size
        if count > limits.members:
            raise DataError(f"more than {limits.members:,} members.")
        if total > limits.total_bytes:
            raise DataError(f"unpacks to more than {limits.total_bytes:,} bytes.")
        if total > limits.ratio_from_bytes and total > limits.ratio * packed:
            raise DataError(f"unpacks to more than {limits.ratio} times its {packed:,} bytes: a size bomb.")


def _check_unpacked(folder: Path, limits: Limits, total: int = 0) -> int:
    """Returns `total` plus the bytes below a folder; refuses links and devices, which point anywhere, and too much."""
    for path in folder.rglob("*"):
        status = path.lstat()
        kind = _mode_kind(status.st_mode)
        if kind == "file" and status.st_nlink > 1:
            kind = "hard link"
        if kind not in ("file", "folder"):
            raise DataError(f"member '{path.relative_to(folder)}' is a {kind}; only files and folders are taken.")
        total += status.st_size
        if total > limits.total_bytes:
            raise DataError(f"unpacks to more than {limits.total_bytes:,} bytes, at '{path.relative_to(folder)}'.")
    return total


def _is_packed(name: str) -> bool:
    """Returns whether a file is an archive by its name, and not what macOS adds to one."""
    return name.lower().endswith(_PACKED) and not name.rpartition("/")[2].startswith(".")


def _zip_member(info: zipfile.ZipInfo) -> _Member:
    mode = info.external_attr >> 16
    plain = "folder" if info.is_dir() else "file"
    return _Member(info.filename, info.file_size, _mode_kind(mode) if stat.S_IFMT(mode) else plain)


def _tar_member(info: tarfile.TarInfo) -> _Member:
    kinds = {"file": info.isreg(), "folder": info.isdir(), "symbolic link": info.issym(), "hard link": info.islnk()}
    return _Member(info.name, info.size, next((kind for kind, is_it in kinds.items() if is_it), "device"))


def _mode_kind(mode: int) -> str:
    known = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symbolic link"}
    return known.get(stat.S_IFMT(mode), "device")
