"""Fetches a domain's archives: from a hand-downloaded file, a mirror (WBC_MIRROR), the host, or Google Drive."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import requests

from wbc.data.domain import Archive, Domain
from wbc.data.fetch.archive import check_archive
from wbc.data.fetch.asking import CHUNK, TIMEOUT_S, ask, refuse_http, short
from wbc.data.fetch.checksums import check_sha256, expected_sha256
from wbc.data.fetch.members import fetch_members
from wbc.errors import DataError
from wbc.surroundings import mirror
from wbc.terminal import progress

_log = logging.getLogger(__name__)


def fetch(archive: Archive, domain: Domain, home: Path, given: Path | None = None) -> tuple[Path, str]:
    """Returns where the archive lies, and its SHA-256; downloads it to `<home>/archives` if it is not there.

    A file under its final name has come whole, is of a known kind and has the SHA-256 that is expected of it. What
    came of an interrupted download stays as `.part`, and the next call goes on from there.

    Args:
        archive: The archive to fetch.
        domain: The domain it belongs to.
        home: The domain's folder below the data folder.
        given: A hand-downloaded file, or a folder that holds it under its basename, to be used instead.

    Raises:
        DataError: No source gave a usable file; the message says why each did not, and how to fetch it by hand.
    """
    target = home / "archives" / archive.basename
    here = _given_file(archive, domain, given) if given is not None else target
    if given is not None or target.exists():
        try:
            check_archive(here)
            return here, check_sha256(here, archive, home)
        except DataError as error:
            again = "" if given is not None else " Delete it to fetch it again."
            raise DataError(f"'{here}' is not usable: {error}{again}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    reasons = []
    one_file = len({url.rpartition("/")[2] for url in archive.urls}) <= 1
    for source in _sources(archive, domain):
        if not one_file:  # what one address left is no beginning of what another has
            part.unlink(missing_ok=True)
        try:
            _fetch_from(source, part, f"{domain.key}: {archive.basename}", archive)
            accepted = _accept(part, target, archive, home)
            _warn_of_http(source, archive, domain, home, accepted[1])
            return accepted
        except DataError as error:
            reasons.append(f"{source}: {error}")
            if source not in archive.urls:  # another source does not go on from what this one left
                part.unlink(missing_ok=True)
            _log.warning("%s: %s: %s", domain.key, source, error)
    words = (f"{domain.key}: cannot fetch {archive.basename}.", *reasons, _by_hand(archive, domain, home))
    raise DataError(" ".join(words))


def _accept(part: Path, target: Path, archive: Archive, home: Path) -> tuple[Path, str]:
    try:
        check_archive(part)
        digest = check_sha256(part, archive, home)
    except DataError:
        part.unlink()
        raise
    part.replace(target)
    return target, digest


def _warn_of_http(source: str, archive: Archive, domain: Domain, home: Path, digest: str) -> None:
    """Says that a file came unprotected, where neither its SHA-256 nor that of its images is known."""
    if source.startswith("http://") and not (domain.contents or expected_sha256(archive, home)):
        _log.warning(
            "%s: %s came over http, which anybody on the way can change, and no SHA-256 of it is published. It is %s: "
            "hold it against that of another download.",
            *(domain.key, archive.basename, digest),
        )


def _given_file(archive: Archive, domain: Domain, given: Path) -> Path:
    if given.is_dir():
        given = given / archive.basename
    elif len(domain.archives) > 1:
        names = ", ".join(each.basename for each in domain.archives)
        raise DataError(f"{domain.key} has several archives; give the folder that holds {names}, not '{given}'.")
    if not given.is_file():
        raise DataError(f"{domain.key}: there is no archive '{given}'.")
    return given


def _sources(archive: Archive, domain: Domain) -> Iterator[str]:
    """Yields addresses and, of a mirror that is a folder, paths; only those files that are there."""
    nearby = mirror()
    if nearby:
        is_url = nearby.startswith(("http://", "https://"))
        if not is_url and not Path(nearby).is_dir():
            raise DataError(f"WBC_MIRROR is '{nearby}', and no such folder is there; correct it or unset it.")
        for key in filter(None, (domain.key, archive.shared_with)):
            place = f"{nearby.rstrip('/')}/{key}/{archive.basename}"
            if is_url or Path(place).is_file():
                yield place
        _log.info("%s: the mirror %s does not have it", archive.basename, nearby)
    yield from archive.urls or filter(None, (archive.origin,))


def _fetch_from(source: str, part: Path, what: str, archive: Archive) -> None:
    if source.startswith("https://drive.google.com/"):
        _fetch_from_drive(source.rpartition("=")[2], part, what)
    elif source.startswith(("http://", "https://")):
        _log.info("%s: downloading from %s", what, source)
        if archive.in_parts:
            fetch_members(source, part, archive.members, what)
        else:
            ask(lambda: _stream(source, part, what), what)
    else:
        _log.info("%s: copying from %s", what, source)
        try:
            shutil.copyfile(source, part)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def _stream(url: str, part: Path, what: str) -> None:
    """Appends to what is there of the file, if the server agrees on where to go on; else starts over."""
    offset = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        refuse_http(url, response)
        if response.status_code == 416:  # nothing beyond what is there: all of it, or of another file
            if response.headers.get("Content-Range") == f"bytes */{offset}":
                return
            part.unlink()
        response.raise_for_status()
        if response.status_code != 206:
            offset = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            part.unlink()
            raise requests.ConnectionError("the server went on at another place than asked; starting over")
        length = response.headers.get("Content-Length")
        total = offset + int(length) if length else None
        with part.open("ab" if offset else "wb") as handle, progress(what, total, "bytes", start=offset) as advance:
            for chunk in response.iter_content(CHUNK):
                handle.write(chunk)
                advance(len(chunk))
    if total is not None and part.stat().st_size != total:
        raise requests.ConnectionError(f"{part.stat().st_size:,} of {total:,} bytes came")


def _fetch_from_drive(drive_id: str, part: Path, what: str) -> None:
    import gdown  # here, because it costs every command half a second and few need it

    _log.info("%s: downloading from Google Drive, id %s", what, drive_id)
    done = 0
    with part.open("wb") as handle, progress(what, None, "bytes") as advance:

        def report(so_far: int, total: int | None) -> None:
            nonlocal done
            advance(so_far - done)
            done = so_far

        try:
            gdown.download(
                id=drive_id, output=handle, quiet=True, use_cookies=False, progress=report, timeout=TIMEOUT_S
            )
        except (gdown.exceptions.DownloadError, requests.RequestException) as error:
            raise DataError(f"Google Drive gave no file: {short(error)}.") from error


def _by_hand(archive: Archive, domain: Domain, home: Path) -> str:
    digest = expected_sha256(archive, home)
    facts = [f"about {archive.about_mb} MB" if archive.about_mb else "", f"SHA-256 {digest}" if digest else ""]
    known = ", ".join(filter(None, facts)) or "size and SHA-256 not published"
    get = archive.by_hand or f"download {archive.origin}"
    return (
        f"By hand: {get} ({known}; see {domain.page}), put it into '{home / 'archives'}' as "
        f"{archive.basename}, or name it with --archive."
    )
