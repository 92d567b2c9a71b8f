"""The connection to the store: asking again where MLflow gives up, and giving up where it asks for minutes."""

import logging
import re
import secrets
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import mlflow
import requests
from google.protobuf.json_format import ParseError
from mlflow import environment_variables
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils as database_utils
from mlflow.utils import request_utils
from requests.exceptions import ChunkedEncodingError
from requests.utils import rewind_body
from sqlalchemy import Engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError

from wbc.errors import TrackingError, first_line
from wbc.surroundings import changed

_HEALTH_TIMEOUT_S: Final = 10.0
_IMPATIENT_TIMEOUT_S: Final = 4.0
"""Stopping asks for two things, each twice, after the writer's ten seconds: a container has thirty in all."""
_PATIENCE_S: Final = 240.0
"""About as long as MLflow asks a server again."""
_BROKEN_TRIES: Final = 5
_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_Result = TypeVar("_Result")


class _WholeAnswers(request_utils.TCPKeepAliveHTTPAdapter):
    """Asks again where the connection breaks within an answer.

    MLflow asks again, whatever the request, where it breaks before an answer; what breaks later would end the run.
    A server that began to answer is there: however few tries are asked for, it is asked a few times.
    """

    def send(self, request: requests.PreparedRequest, *args: Any, **settings: Any) -> requests.Response:
        for _ in range(max(_BROKEN_TRIES, int(self.max_retries.total or 0))):
            answer = super().send(request, *args, **settings)
            if settings["stream"]:
                return answer
            try:
                answer.content  # noqa: B018  # is read here, and kept
            except (ChunkedEncodingError, requests.ConnectionError):
                if getattr(request, "_body_position", None) is not None:  # a file: from its beginning again
                    rewind_body(request)
            else:
                return answer
        return super().send(request, *args, **settings)


request_utils.TCPKeepAliveHTTPAdapter = _WholeAnswers  # type: ignore[misc]  # MLflow has no setting for it


def patience_s() -> float:
    """Returns for how many seconds a SQLite store that another process has locked is waited for."""
    return _PATIENCE_S if MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() > 1 else _IMPATIENT_TIMEOUT_S


def is_locked(error: BaseException) -> bool:
    """Returns whether an error comes of a SQLite store that another process has locked."""
    cause = error.__cause__ or error.__context__
    locked = isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY
    return locked or (cause is not None and is_locked(cause))


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def _wait_for_lock(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
    """Has SQLite wait as long as a server is waited for; MLflow has it wait for 20 s, and has no setting for it."""
    return statement.replace("busy_timeout = 20000", f"busy_timeout = {1000 * patience_s():.0f}"), parameters


def _retrying(record: logging.LogRecord) -> bool:
    """Says in plain words that urllib3 tries again; not at the first time, when an idle connection was closed."""
    if str(record.msg).startswith("Retrying (") and isinstance(record.args, tuple):
        tries = len(getattr(record.args[0], "history", ()))
        record.msg, record.args = "no answer from the server; asking again", ()
        return tries > 1
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_retrying)


def insist(call: Callable[[], _Result]) -> _Result:
    """Returns what a call that may be made twice returns; makes it up to four times where the store refuses it.

    Two runs may have registered the same at one moment; or the answer to a request was lost, and it is refused as
    made already.
    """
    for pause_s in (0.1, 0.5, 2.0):
        try:
            return call()
        except MlflowException as error:
            if "Max retries exceeded" in str(error):  # asked for long enough
                raise
            time.sleep(pause_s)
    return call()


@contextmanager
def impatient(timeout_s: float | None = None) -> Iterator[None]:
    """Asks a store that does not answer only once more inside the block, for seconds each, instead of for minutes."""
    settings = {
        MLFLOW_HTTP_REQUEST_MAX_RETRIES.name: "1",
        MLFLOW_HTTP_REQUEST_TIMEOUT.name: f"{timeout_s or _IMPATIENT_TIMEOUT_S:.0f}",
    }
    with changed(settings):
        yield


def check_settings() -> None:
    """Raises a TrackingError if one of MLflow's own variables holds what MLflow cannot read, now or hours later."""
    for variable in vars(environment_variables).values():
        if isinstance(variable, environment_variables._EnvironmentVariable) and variable.is_set():
            try:
                variable.get()
            except ValueError as error:
                raise TrackingError(f"{first_line(error)}: correct or unset {variable.name}.") from error


def check_server(uri: str) -> None:
    """Asks an MLflow server within seconds whether it is there, by MLflow's own client and settings.

    It is asked for an experiment that it does not have: another server, or a proxy, may answer all that it is asked.

    Raises:
        TrackingError: it does not answer, or not as an MLflow server.
    """
    with impatient(_HEALTH_TIMEOUT_S):
        try:
            if mlflow.MlflowClient().get_experiment_by_name(f"none-{secrets.token_hex(8)}"):
                raise MlflowException("what answers there is something else")
        except Exception as error:  # also of what MLflow's client plugs in, and of answers that are not MLflow's
            raise TrackingError(
                f"no MLflow server at {uri} ({reason(error)}). Start it, or unset MLFLOW_TRACKING_URI to use mlflow.db "
                "here."
            ) from error


def check_database(uri: str) -> None:
    """Asks within seconds whether a database's host is there, and has MLflow try to log in for seconds, not minutes.

    Raises:
        TrackingError: nothing answers at its address.
    """
    address = make_url(uri)
    port = address.port or _PORTS.get(address.get_backend_name())
    database_utils.MAX_RETRY_COUNT = 5  # which sleep for 3 s in all; ten, for 102 s
    if address.host and port:
        try:
            socket.create_connection((address.host, port), _HEALTH_TIMEOUT_S).close()
        except OSError as error:
            raise TrackingError(
                f"no database answers at {address.host}:{port} ({error.strerror or error}). Start it, or unset "
                "MLFLOW_TRACKING_URI to use mlflow.db here."
            ) from error


def reason(error: Exception) -> str:
    """Returns what went wrong with the store in a few words, without the layers of libraries around it."""
    text = str(error)
    driver = re.search(r"\(\w+\.\w+\) ([^\n]+)", text)  # the database's own words, within SQLAlchemy's
    if "Max retries exceeded" in text:
        return f"it did not answer, asked {MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() + 1} times"
    if "error code 401" in text:
        return "it does not know you (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    return (driver[1] if driver else first_line(error)).rstrip(".")


@contextmanager
def store_errors() -> Iterator[None]:
    """Turns what the store refuses inside the block into one line that names it.

    Raises:
        TrackingError: the store or its disk does not take what is written, or has not what is read.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise TrackingError(
            f"the tracking store {mlflow.get_tracking_uri()} needs the package {error.name}, which is not installed: "
            "`make setup` installs it, or `pip install '.[team]'` in the checkout."
        ) from error
    except (MlflowException, ParseError, SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise TrackingError(
            f"the tracking store {mlflow.get_tracking_uri()} fails: {reason(error)}. Correct this and run the "
            "same command again: what was saved stays."
        ) from error
