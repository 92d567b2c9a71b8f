"""The folder of a report or another result: nothing else is lost by it, and it is replaced as a whole."""

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from wbc.config import ReportConfig
from wbc.errors import ReportError
from wbc.studies import study_name

_CONTENTS: Final = {"report.html", "report.tex", "report.pdf", "numbers.tex", "tables", "figures"}
_ATTEMPTS: Final = 20


def report_folder(options: ReportConfig) -> Path:
    """Returns the folder that a report is written to, having made sure that what it replaces is a report.

    Raises:
        ReportError: the folder holds something else, or cannot be there.
    """
    return own_folder(options.output or f"reports/{study_name(options.profile)}", _CONTENTS)


def own_folder(output: str, contents: Collection[str]) -> Path:
    """Returns the folder that `output` names, having made sure that it holds nothing but `contents` and can be written.

    Raises:
        ReportError: the folder holds something else, or cannot be there.
    """
    folder = Path(output).resolve()
    with _refusals(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(dir=folder.parent).cleanup()  # refused here and now, not after all the work
        foreign = sorted({path.name for path in folder.iterdir()} - set(contents)) if folder.exists() else []
    if foreign:
        raise ReportError(
            f"output={folder}: holds '{foreign[0]}', which is no part of a report and would be lost; name another one."
        )
    return folder


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yields an empty folder to fill; `folder` becomes it when the block ends well, whoever else does the same."""
    with _refusals(folder):
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            part.chmod(0o755)
            (part / "new").mkdir()
            yield part / "new"
            for attempts_left in reversed(range(_ATTEMPTS)):
                with suppress(FileNotFoundError):
                    folder.rename(tempfile.mkdtemp(dir=part))
                try:
                    (part / "new").rename(folder)
                    break
                except OSError:  # another process may have put its own there at this moment
                    if not attempts_left:
                        raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """Turns what the operating system refuses into one line.

    Raises:
        ReportError: the folder cannot be made or written.
    """
    try:
        yield
    except OSError as error:
        raise ReportError(
            f"output={folder}: {error.strerror or error}; name another folder, or make it writable."
        ) from error
