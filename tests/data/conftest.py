"""A web server on this machine, and no mirror or proxy between it and the tests."""

import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest


@dataclass
class Site:
    """What the server serves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """For each path, after how many bytes its next answers break off."""
    ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of each request."""


def _handler(site: Site) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, self.headers.get("Range")))
            if self.path not in site.files:
                self.send_error(404)
                return
            content = site.files[self.path]
            begin = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if site.ranges else None
            offset = int(begin[1]) if begin else 0
            last = int(begin[2]) if begin and begin[2] else len(content) - 1
            if begin and offset >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {offset}-{last}/{len(content)}")
            self.send_header("Content-Length", str(last + 1 - offset))
            self.end_headers()
            cuts = site.cuts.get(self.path, [])
            end = min(last + 1, offset + cuts.pop(0)) if cuts else last + 1
            self.wfile.write(content[offset:end])

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WBC_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("wbc.data.fetch.asking.RETRY_WAITS_S", (0.0, 0.0))
