"""The exceptions a user can correct; each entry point prints one as a single line and exits with code 2.

WbcError
├── ConfigError      a parameter, or a combination of them, that is not allowed
├── DataError        an archive, image, folder or cache that is missing, wrong or unreadable
├── WeightsError     pretrained weights that cannot be reached or do not fit
├── CheckpointError  a checkpoint that is missing, damaged or of another model
├── TrainingError    training that cannot go on: a loss that is not finite, no memory left
├── TrackingError    an MLflow server that does not answer, a run that is not there
│   ├── BusyError    a run that another process works on
│   └── DamageError  a file of a run that is not the one that was logged
├── RunnerError      a place to run that is missing or does not fit: a Docker engine, its GPU runtime, an image
└── ReportError      nothing to report, or a folder that a report may not replace
"""

import difflib
import re
from collections.abc import Iterable
from typing import Final

from wbc.surroundings import addresses, secrets

_SECRET: Final = re.compile("user|pass|pwd|secret|token|key|sig|credential|auth|jwt|session|odbc", re.IGNORECASE)
"""In the name of a parameter of an address: its value is not shown."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that move the cursor, colour or reorder text, or end a line."""
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST: Final = 1000
_LISTED: Final = ("domain", "model", "method", "adaptation")
"""What options take several of."""


class WbcError(Exception):
    """Something a user can correct. The message says what, where, and what to do next."""

    exit_code = 2

    def __str__(self) -> str:
        return shown(super().__str__())


class ConfigError(WbcError):
    """A parameter, or a combination of them, that is not allowed."""


class DataError(WbcError):
    """An archive, image, folder or cache that is missing, wrong or unreadable."""


class WeightsError(WbcError):
    """Pretrained weights that cannot be reached or do not fit."""


class CheckpointError(WbcError):
    """A checkpoint that is missing, damaged or of another model."""


class TrainingError(WbcError):
    """Training that cannot go on."""


class TrackingError(WbcError):
    """An MLflow server that does not answer, or a run that is not there."""


class BusyError(TrackingError):
    """A run that another process works on, here or on another machine."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h, so that whoever started the process can tell this from a failure


class DamageError(TrackingError):
    """A file of a run that is missing, or is not the one that was logged."""


class RunnerError(WbcError):
    """A place to run that is missing or does not fit: a Docker engine, its GPU runtime, an image."""


class ReportError(WbcError):
    """Nothing to report, or a folder that a report may not replace."""


def unknown(kind: str, value: str, known: Iterable[str]) -> ConfigError:
    """Returns the error for a name that no catalogue holds, naming the nearest known one and then all of them."""
    known = list(known)
    small = {name.lower(): name for name in known}
    nearest = difflib.get_close_matches(value.lower(), small, n=1, cutoff=0.5)
    hint = f"; did you mean '{small[nearest[0]]}'?" if nearest else "."
    hint += " Separate several by commas." if " " in value and kind in _LISTED else ""
    return ConfigError(f"unknown {kind} '{value}'{hint} Known: {', '.join(known)}.")


def shown(text: str) -> str:
    """Returns text as a terminal may show it: on one line, its secrets masked, its control characters spelled out."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), mask(text))


def mask(text: str) -> str:
    """Returns the text without the users, passwords and keys that addresses in it may carry, and those of variables."""
    for address in addresses():  # whole, for a password may hold what ends an address in a text: a blank, a quote
        scheme, _, rest = address.partition("://")
        text = text.replace(rest, _masked(scheme, rest)) if rest else text
    for secret in secrets():
        text = text.replace(secret, "***")
    return re.sub(r"([\w+.-]*)://([^\s'\"<>]+)", lambda found: f"{found[1]}://{_masked(found[1], found[2])}", text)


def _masked(scheme: str, address: str) -> str:
    """Returns what follows `://` in an address, with what is secret in it as ***.

    A password may hold `/`, `?` and `@`, as SQLAlchemy reads it: it ends at the last `@`. After HTTP's colon a number
    is a port.
    """
    name = re.split("[:/?#@]", address, maxsplit=1)[0]
    rest = address[len(name) :]
    port = scheme in ("http", "https") and re.match(r":\d+[/?#]", rest)
    if "@" in rest and rest[0] in ":@" and not port:
        address = f"***@{rest.rpartition('@')[2]}"
    place, mark, query = address.partition("?")
    pairs = (pair.partition("=") for pair in query.split("&"))
    shown = "&".join(name + sign + ("***" if _SECRET.search(name) else value) for name, sign, value in pairs)
    return place + mark + shown


def first_line(error: BaseException) -> str:
    """Returns the first line of what another library's exception says, without colours, cut between words if long."""
    return _cut((_COLOUR.sub("", str(error)).strip().splitlines() or [type(error).__name__])[0].strip())


def in_a_line(error: BaseException) -> str:
    """Returns all lines of what another library's exception says as one, as `first_line` does with the first."""
    return _cut(" ".join(_COLOUR.sub("", str(error)).split()) or type(error).__name__)


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST].rsplit(maxsplit=1)[0]} ..."
