"""What the store has for a report, before files are read; and whether a report was made from the same."""

import dataclasses
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wbc.arms import PLAIN, Arm, parse_arm
from wbc.code import PACKAGE
from wbc.config import PlanConfig, RunConfig
from wbc.data.fetch.checksums import file_sha256
from wbc.environment import latex_engine
from wbc.studies import find_study, plan, study_name
from wbc.tracking import schema
from wbc.tracking.read import StoredRun, read_runs, read_trainings

GridCell = tuple[Arm, int]
"""An arm and a seed."""


@dataclass(frozen=True, kw_only=True)
class Records:
    """The runs that a report looks at, as the store has them, the newest first."""

    runs: list[StoredRun]
    """Those of the study, of every kind."""
    lent: list[StoredRun]
    """Complete runs of other studies for the cells that have none of this one."""


def read_records(options: PlanConfig) -> Records:
    """Reads the records of a study.

    Raises:
        TrackingError: the store does not answer.
        ConfigError: a study, model, method or seed that is not known.
    """
    configs, name = plan(options), study_name(options.profile)
    runs = read_runs(name)
    complete = [run for run in runs if schema.AVERAGED not in run.tags and unfinished(run) is None]
    return Records(runs=runs, lent=_of_other_studies(complete, configs, name))


def stands(options: PlanConfig, records: Records, folder: Path) -> bool:
    """Returns whether the report in a folder is whole, and the one that would be made now."""
    seals = {run.tags.get(schema.SEAL) for run in records.runs if run.status == "FINISHED"}
    return folder.is_dir() and seal(options, records, folder) in seals


def seal(options: PlanConfig, records: Records, folder: Path) -> str:
    """Returns a digest of all that a report is made from, and of the files in its folder, 64 hexadecimal digits.

    It is made from what is asked of the study, its runs, whose tags hold the digests of their scores, and the code.
    """
    asked = [getattr(options, field.name) for field in dataclasses.fields(PlanConfig)]
    runs = [run for run in records.runs if names_a_model(run) or schema.AVERAGED in run.tags]
    parts = [asked, find_study(options.profile), latex_engine(), *map(_parts, [*runs, *records.lent])]
    digest = hashlib.sha256(repr(parts).encode())
    for root in (PACKAGE, folder):
        for file in sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            digest.update(f"{file.relative_to(root).as_posix()} {file_sha256(file)}\n".encode())
    return digest.hexdigest()


def _parts(run: StoredRun) -> list[object]:
    """Returns what the store has of a run, in an order that is always the same; but who works on it."""
    known = [value for name, value in vars(run).items() if name != "owners"]
    return [sorted(value.items()) if isinstance(value, dict) else value for value in known]


def _of_other_studies(own: Sequence[StoredRun], configs: Sequence[RunConfig], profile: str) -> list[StoredRun]:
    """Returns completed runs of other studies for the cells that have none of this one.

    A sweep does not train them again if their settings are the same, such as those of `make tune`.
    """
    missing = {(config.arm, config.seed) for config in configs} - {cell_of(run) for run in own}
    runs = read_trainings() if missing else []
    return [
        run
        for run in runs
        if run.tags.get(schema.PROFILE) != profile and unfinished(run) is None and cell_of(run) in missing
    ]


def names_a_model(run: StoredRun) -> bool:
    """Returns whether a run is of a model, as those that train are; or says so and is odd."""
    return bool(run.fault or schema.MODEL in run.settings)


def unfinished(run: StoredRun) -> str | None:
    """Returns why a report leaves a run out before it reads its files; None where it does not."""
    identified = bool(run.trained_as or run.fingerprint)
    if run.fault or (run.complete and identified):
        return run.fault
    if run.status == "FINISHED":
        return "ended without being complete" if identified else "scores of a checkpoint file"
    words = {"RUNNING": "running, or killed outright", "FAILED": "failed", "KILLED": "interrupted"}
    return words.get(run.status, run.status.lower())


def cell_of(run: StoredRun) -> GridCell | None:
    """Returns a run's arm and seed; None where it names none. Runs made before there were methods have none."""
    with suppress(KeyError, ValueError):
        settings = run.settings
        if not (settings["model"] + settings.get("method", PLAIN)).isprintable():
            return None  # a name that would break a line or a command
        sources = tuple(settings["source"].split(","))
        return parse_arm(settings["model"], sources, settings.get("method", PLAIN)), int(settings["seed"])
    return None
