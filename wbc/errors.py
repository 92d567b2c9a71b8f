"""The exceptions a user can mend; each entry point prints one as a single line and exits with code 2.

WbcError
├── ConfigError      a parameter, or a combination of them, that is not allowed
├── DataError        an archive, image, folder or cache that is missing, wrong or unreadable
├── WeightsError     pretrained weights that cannot be reached or do not fit
├── CheckpointError  a checkpoint that is missing, damaged or of another model
├── TrainingError    training that cannot go on: a loss that is not finite, no memory left
├── TrackingError    an MLflow server that does not answer, a run that is not there
│   ├── BusyError    a run that another process is at
│   └── DamageError  a file of a run that is not the one that was logged
├── RunnerError      a place to run that is missing or does not fit: a Docker engine, its GPU runtime, an image
└── ReportError      nothing to report, or a folder that a report may not replace
"""

import difflib
import re
from collections.abc import Iterable


class WbcError(Exception):
    """Something a user can mend. The message says what, where, and what to do next."""

    exit_code = 2

    def __str__(self) -> str:
        return mask(super().__str__())


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
    """A run that another process is at, here or on another machine."""

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
    nearest = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
    hint = f"; did you mean '{nearest[0]}'?" if nearest else "."
    hint += " Separate several by commas." if " " in value else ""
    return ConfigError(f"unknown {kind} '{value}'{hint} Known: {', '.join(known)}.")


def mask(text: str) -> str:
    """Returns the text without the user and password that an address in it may carry."""
    return re.sub(r"://[^/\s'\"]*@", "://***@", text)


def first_line(error: BaseException) -> str:
    """Returns what an exception of another library says, cut to its first line and 300 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
