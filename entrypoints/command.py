"""Turns a dataclass of wbc.config into a Typer command, and its failures into one line and an exit code."""

import codecs
import dataclasses
import errno
import importlib
import inspect
import io
import logging
import sys
import traceback
import typing
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Annotated, Any, Final, NoReturn

import typer

from wbc.errors import WbcError, mask, shown
from wbc.processes import signals_exit
from wbc.terminal import Lines, has_bars

_PLAIN: Final = {"±": "+/-", "–": "-", "−": "-", "→": "->", "×": "x", "…": "...", "’": "'", "≥": ">=", "≤": "<="}
"""What stands for a character where the output's encoding has none; a question mark for all others."""
_log = logging.getLogger("wbc")


def main(config_class: type[Any], run: Callable[[Any], None]) -> NoReturn:
    """Parses the command line into `config_class`, calls `run` with it and exits.

    Exit codes: 0 done, 2 something the user can correct (one line on stderr), 75 another process works on this run,
    130 interrupted, 143 terminated, 129 or 131 ended by a terminal that closes or says quit. 1 is a bug, with its
    traceback. An option that is true or false may go without a word for true; `--dry-run` is `--dry_run`.
    """
    lost = _print_anywhere()
    _log_to_stderr()
    sys.excepthook = _show_masked
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(context_settings={"token_normalize_func": lambda name: name.replace("-", "_")})(
        _callback(config_class, run)
    )
    try:
        with signals_exit():
            code = typer.main.get_command(app)(_spelled_out(sys.argv[1:], config_class), standalone_mode=False)
    except typer.TyperException as error:
        _fail(f"{' '.join(error.format_message().split()).rstrip('.')}. --help lists all options.", 2)
    except WbcError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        _fail(shown(f"no file or folder has so long a name: '{error.filename}'. Correct it."), 2)
    if code == 130:  # what Typer makes of Ctrl-C
        _fail("interrupted; what was saved stays, and the same command goes on from there.", 130)
    sys.stdout.flush()
    if lost and not isinstance(lost[0], BrokenPipeError):  # a reader that has gone, such as head, has what it wanted
        _fail(f"what was printed could not be written ({lost[0].strerror}); all else was done.", 2)
    sys.exit(code if isinstance(code, int) else 0)


def _callback(config_class: type[Any], run: Callable[[Any], None]) -> Callable[..., None]:
    hints = typing.get_type_hints(config_class)

    def callback(**options: Any) -> None:
        config = config_class(**options)
        if has_bars():  # what follows imports PyTorch and MLflow; into a pipe an error stays the only line
            _log.info("%s: loading libraries", run.__name__)
        run(config)

    parameters = [_parameter(field, hints[field.name]) for field in dataclasses.fields(config_class)]
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    callback.__doc__ = inspect.getdoc(config_class)
    return callback


def _parameter(field: "dataclasses.Field[Any]", hint: Any) -> inspect.Parameter:
    auto = type(None) in typing.get_args(hint)
    kind = typing.get_args(hint)[0] if auto else hint
    settings: dict[str, Any] = {"help": _help(field), "parser": _parser(kind, auto), "metavar": kind.__name__}
    default = "auto" if auto and field.default is None else field.default  # the word, which help shows, is parsed too
    if auto:
        settings["metavar"] = f"{kind.__name__}|auto"
    if kind is bool:  # Typer would take no word after it
        hint, settings["metavar"] = str, "on|off|auto" if auto else "on|off"
        default = default if default == "auto" else "on" if default else "off"
    annotation = Annotated[hint, typer.Option(f"--{field.name}", **settings)]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _help(field: "dataclasses.Field[Any]") -> str:
    """Returns a field's help with its choices, which may be the rows of a catalogue."""
    choices = field.metadata["choices"]
    if isinstance(choices, str):
        module, name = choices.split(":")
        choices = tuple(getattr(importlib.import_module(module), name))
    text: str = field.metadata["help"]
    return f"{text} Choices: {', '.join(choices)}." if choices else text


def _spelled_out(words: Sequence[str], config_class: type[Any]) -> list[str]:
    """Returns a command line with `true` after each option of truth that stands alone."""
    truths = {field.name for field in dataclasses.fields(config_class) if field.type in (bool, bool | None)}
    spelled = []
    for word, after in zip(words, [*words[1:], "--"], strict=False):
        spelled.append(word)
        if word.startswith("--") and word[2:].replace("-", "_") in truths and after.startswith("--"):
            spelled.append("true")
    return spelled


def _truth(text: object) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if str(text).lower() not in words:  # a default comes as it is
        raise ValueError
    return words[str(text).lower()]


def _parser(kind: type[Any], auto: bool) -> Callable[[str], Any]:
    """Returns what turns an option's text into a value; with `auto`, that word into None."""

    def parse(text: str) -> Any:
        if auto and text == "auto":
            return None
        try:
            return _truth(text) if kind is bool else kind(text)
        except ValueError:
            wanted = {"int": "a whole number", "float": "a number", "bool": "on or off"}[kind.__name__] + (
                ", nor auto" if auto else ""
            )
            raise typer.BadParameter(f"'{text}' is not {wanted}.") from None

    return parse


def _print_anywhere() -> list[OSError]:
    """Has text printed in whatever encoding a terminal or pipe takes, such as ASCII.

    Where it cannot be written, as on a full disk, the program goes on. Returns a list of such errors, empty as yet.
    """
    lost: list[OSError] = []

    def go_on(call: Callable[..., Any]) -> Callable[..., Any]:
        def attempt(*text: str) -> Any:
            try:
                return call(*text)
            except OSError as error:
                lost.append(error)
                return 0

        return attempt

    def plain(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        return "".join(_PLAIN.get(letter, "?") for letter in error.object[error.start : error.end]), error.end

    codecs.register_error("plain", plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a test may have put something else there
            stream.reconfigure(errors="plain")
            vars(stream).update(write=go_on(stream.write), flush=go_on(stream.flush))
    return lost


def _log_to_stderr() -> None:
    handler = Lines()
    handler.addFilter(_fit_to_show)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("wbc").setLevel(logging.INFO)


def _fit_to_show(record: logging.LogRecord) -> bool:
    record.msg, record.args = shown(record.getMessage()), ()
    if record.exc_info:
        record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
    return True


def _show_masked(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints the traceback of a bug without the passwords in its addresses."""
    print(mask("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
