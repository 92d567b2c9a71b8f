"""The commands behind MLproject and Makefile: `python -m entrypoints.<name>`; each parses, calls wbc, prints a result.

`mlflow run --env-manager local` starts whatever python3 is first on PATH. Where that one lacks the packages and
`make setup` has made `.venv`, the command goes on there.
"""

import importlib.util
import os
import sys
from pathlib import Path

_VENV_PYTHON = Path(__file__).parent.parent / ".venv" / "bin" / "python"

if importlib.util.find_spec("mlflow") is None and _VENV_PYTHON.exists():
    os.execv(_VENV_PYTHON, [str(_VENV_PYTHON), *sys.orig_argv[1:]])
