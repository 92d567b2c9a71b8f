"""The commands behind MLproject and Makefile: `python -m entrypoints.<name>`; each parses, calls wbc, prints a result.

`mlflow run --env-manager local` starts whatever python3 is first on PATH. Where that one lacks the packages and
`make setup` has made `.venv`, the command goes on there.
"""

import importlib.util
import os
import sys
from pathlib import Path

_VENV = Path(__file__).absolute().parent.parent / ".venv"
_PYTHON = _VENV / "bin" / "python"

if importlib.util.find_spec("mlflow") is None and _PYTHON.exists() and Path(sys.prefix) != _VENV:
    os.execv(_PYTHON, [str(_PYTHON), *sys.orig_argv[1:]])
