"""The members of a zip that are wanted, by range requests: of a huge archive only these are downloaded and kept."""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import requests

from wbc.data.fetch.archive import is_wanted
from wbc.data.fetch.asking import CHUNK, TIMEOUT_S, ask, refuse_http
from wbc.errors import DataError
from wbc.terminal import progress

_BLOCK: Final = 1 << 20
"""Bytes of the index that are asked for at once."""


class _Span(NamedTuple):
    """Bytes of the archive that are kept one after another, the last one included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


class _Remote(io.RawIOBase):
    """A file at an address; what is read is asked for."""

    def __init__(self, url: str, what: str) -> None:
        self._url, self._what, self._place = url, what, 0
        self._size = ask(self._measure, what)

    def _measure(self) -> int:
        with _asked(self._url, 0, 0) as (_, size):
            return size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if self._place < 0:
            raise OSError("a place before the start of the file")
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # no type names all buffers
        last = min(self._place + len(buffer), self._size) - 1
        content = ask(lambda: self._read(last), self._what) if last >= self._place else b""
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

    def _read(self, last: int) -> bytes:
        with _asked(self._url, self._place, last) as (response, _):
            return response.content


def fetch_members(url: str, part: Path, members: str, what: str) -> None:
    """Fetches the members of a zip in whose names the pattern `members` is found, as a zip of these alone.

    They are copied as they are packed, in the archive's order; so what an earlier call left in `part` is its beginning.

    Raises:
        DataError: The host sends no parts of files or breaks off, it is no zip, or no member has such a name.
    """
    try:
        with zipfile.ZipFile(io.BufferedReader(_Remote(url, what), _BLOCK)) as archive:
            infos, spans = _plan(archive, re.compile(members, re.IGNORECASE | re.DOTALL))
    except zipfile.BadZipFile as error:
        raise DataError(f"not a zip: {error}.") from error
    if not infos:
        raise DataError(f"none of its members has a name in which '{members}' is found.")
    total = sum(span.size for span in spans)
    part.touch()
    with part.open("r+b") as handle:  # an index that a killed call had begun
        handle.truncate(min(total, part.stat().st_size))
    with progress(what, total, "bytes", start=part.stat().st_size) as advance:
        begin = 0
        for span in spans:
            ask(lambda span=span, begin=begin: _append(url, span, part, begin, advance), what)  # type: ignore[misc]
            begin += span.size
    with part.open("ab") as end, zipfile.ZipFile(end, "w") as index:
        index.infolist().extend(infos)


def _plan(archive: zipfile.ZipFile, wanted: re.Pattern[str]) -> tuple[list[zipfile.ZipInfo], list[_Span]]:
    """Returns the wanted members, at the places that they will have, and where their bytes are now."""
    places = sorted({info.header_offset for info in archive.infolist()})
    ends = dict(zip(places, [*places[1:], archive.start_dir], strict=True))
    infos = [info for info in archive.infolist() if is_wanted(info.filename, wanted)]
    spans: list[_Span] = []
    place = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        first, last = info.header_offset, ends[info.header_offset] - 1
        if spans and spans[-1].last + 1 == first:
            spans[-1] = _Span(spans[-1].first, last)
        else:
            spans.append(_Span(first, last))
        info.header_offset = place
        place += last - first + 1
    return infos, spans


def _append(url: str, span: _Span, part: Path, begin: int, advance: Callable[[int], None]) -> None:
    """Appends what is missing of a span, whose bytes begin at `begin` of the part."""
    have = part.stat().st_size - begin
    if have >= span.size:
        return
    with _asked(url, span.first + have, span.last) as (response, _), part.open("ab") as handle:
        for chunk in response.iter_content(CHUNK):
            handle.write(chunk)
            advance(len(chunk))
    if part.stat().st_size != begin + span.size:
        raise requests.ConnectionError(f"{part.stat().st_size - begin:,} of {span.size:,} bytes came")


@contextmanager
def _asked(url: str, first: int, last: int) -> Iterator[tuple[requests.Response, int]]:
    """Yields the answer that holds these bytes, and the size of the whole file.

    Raises:
        DataError: It holds others.
    """
    headers = {"Accept-Encoding": "identity", "Range": f"bytes={first}-{last}"}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        refuse_http(url, response)
        response.raise_for_status()
        found = re.fullmatch(rf"bytes {first}-{last}/(\d+)", response.headers.get("Content-Range", ""))
        if response.status_code != 206 or not found:
            raise DataError(
                f"the host was asked for a part of the file and answered with status {response.status_code}: it sends "
                "no parts, or wants a click in a browser."
            )
        yield response, int(found[1])
