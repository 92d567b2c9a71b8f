"""The .toml file of a user's study: its name and fields checked, each with what is allowed."""

import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from wbc.errors import ConfigError, unknown
from wbc.settings import Settings

Kind = TypeVar("Kind", bound=Settings)


def read_study_file(path: Path, kind: type[Kind], taken: Collection[str]) -> Kind:
    """Returns the study that a .toml file describes, of a class of studies, validated as options are.

    Raises:
        ConfigError: the file's name is among those `taken` or would not pass through a store, it cannot be read, or it
            has a field or value that is not allowed.
    """
    if not re.fullmatch(r"[\w.+ -]+", path.stem):
        raise ConfigError(
            f"profile={path}: a study is called like its file: use letters, digits, spaces and _ . + - alone."
        )
    if path.stem in taken:
        raise ConfigError(f"profile={path}: '{path.stem}' is a study of this project; give the file another name.")
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"profile={path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"profile={path}: is no TOML: {error}") from error
    hints = get_type_hints(kind)
    for name in fields.keys() - hints.keys():
        raise ConfigError(f"profile={path}: {unknown('field', name, hints)}")
    values = {name: _typed(path, name, value, hints[name]) for name, value in fields.items()}
    missing = [name for name in ("sources", "targets", "seeds") if name not in values]
    if missing:
        raise ConfigError(f"profile={path}: lacks {', '.join(missing)}.")
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"profile={path}: {error}") from error


def _typed(path: Path, name: str, value: Any, hint: Any) -> Any:
    """Returns a value of a TOML file as its field has it, or raises a ConfigError that says what it must be."""
    kinds = [kind for kind in (*get_args(hint), hint) if isinstance(kind, type)] or [str]
    if get_args(hint) == (str, ...):
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            return tuple(value)
        raise ConfigError(f'profile={path}: {name}={value!r}: must be a list of names, such as ["bccd", "tecom"].')
    if float in kinds and type(value) is int:
        return float(value)
    if type(value) not in kinds:
        raise ConfigError(f"profile={path}: {name}={value!r}: must be of type {kinds[0].__name__}.")
    return value
