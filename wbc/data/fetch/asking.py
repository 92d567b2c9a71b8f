"""How hosts are asked for files: again after a break, a few times, and with errors of one line."""

import logging
import re
import time
from collections.abc import Callable
from typing import Final, TypeVar

import requests

from wbc.errors import DataError, first_line

RETRY_WAITS_S: Final = (1.0, 4.0)
TIMEOUT_S: Final = (10.0, 60.0)
CHUNK: Final = 1 << 16
_Answer = TypeVar("_Answer")
_log = logging.getLogger(__name__)


def ask(question: Callable[[], _Answer], what: str) -> _Answer:
    """Returns what `question` returns; it is called again after a break, or an error that may pass.

    Raises:
        DataError: The host refuses, or it breaks off each time.
    """
    for wait_s in (*RETRY_WAITS_S, None):
        try:
            return question()
        except requests.RequestException as error:
            answer = error.response.status_code if error.response is not None else None
            refused = answer is not None and answer < 500 and answer not in (408, 416, 429)
            if wait_s is None or refused:
                raise DataError(f"{short(error)}.") from error
            _log.warning("%s: %s; again in %.0f s", what, short(error), wait_s)
            time.sleep(wait_s)
    raise AssertionError("the last question either answers or raises")


def refuse_http(url: str, answer: requests.Response) -> None:
    """Raises a DataError if an address of https has led to one of http, which anybody on the way can change."""
    led = [each.url for each in (*answer.history, answer) if each.url.startswith("http://")]
    if led and url.startswith("https://"):
        raise DataError(f"it leads to {led[0]}, over http, and is not followed there.")


def short(error: Exception) -> str:
    """Returns the first line of what went wrong, without the layers of objects that requests wraps it in."""
    line = first_line(error)
    cause = re.search(r"\[Errno [^\]]*\] ([^'\")]+)|IncompleteRead\(([^)]+)\)|(timed out)", line)
    return next(filter(None, cause.groups())) if cause else line.rstrip(".")
