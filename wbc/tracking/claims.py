"""Claims: who is at a run, in tags of the run itself, so that every machine that shares the store knows.

MLflow's tags have no compare-and-set, so each claimant writes a tag of its own and only then looks for others'. Of two
that claim one run at once the one that looks last sees both; whoever sees another withdraws and tries again after a
pause drawn at random. Two can thus never both go on, as long as the store shows every write that it has answered for,
as SQLite, PostgreSQL and MLflow's server on either do.

A claim is renewed every minute. It ends with its run, five minutes after it was renewed last, or at once for whoever
can see that its process is gone: on the same machine. So the clocks of machines that share a store must agree to within
four minutes, and a machine cut off or suspended for longer than five may find its run taken over, upon which it stops.
It finds out before it writes again: what was not renewed of late is asked for before each write.
"""

import hashlib
import json
import logging
import math
import os
import random
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import mlflow
import psutil
from mlflow.entities import Run, RunTag
from mlflow.tracking.context.registry import resolve_tags
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from wbc.errors import BusyError
from wbc.surroundings import sweep_run
from wbc.tracking import schema
from wbc.tracking.connection import impatient
from wbc.tracking.store import fresh_run, search

RENEWAL_S: Final = 60.0
EXPIRY_S: Final = 300.0
_MARGIN_S: Final = 15.0
"""How much later than due a renewal may be before it is asked whether the claim still stands."""

_ATTEMPTS: Final = 10
START_TOLERANCE: Final = 0.0 if sys.platform == "linux" else 10.0
"""By how much two readings of `process_start` may differ."""
_log = logging.getLogger(__name__)


class Claim:
    """A claim of this process to a run: its `tag` is to be written, then `rivals` asked for, then `hold` called."""

    def __init__(self) -> None:
        self._key = f"{schema.CLAIM_PREFIX}{secrets.token_hex(4)}"
        self._run_id = ""
        self._renewed = 0.0
        self._lost, self._over = Event(), Event()
        self._renewing = Thread(target=self._renew, daemon=True, name="claim")

    @property
    def tag(self) -> dict[str, str]:
        """The tag, its time being now."""
        return {self._key: json.dumps({**_process(), "renewed": round(time.time())})}

    def rivals(self, runs: Iterable[Run]) -> list[str]:
        """Returns others' claims to any of the runs, as host:pid."""
        return [owner for run in runs for key, owner in standing_claims(run).items() if key != self._key]

    def stake(self, run_id: str, tags: dict[str, str] | None = None) -> tuple[Run, list[str]]:
        """Writes the claim, and other tags, to a run; returns the run and its rivals, for whom the claim withdraws."""
        client = mlflow.MlflowClient()
        for key, value in {**(tags or {}), **self.tag}.items():
            client.set_tag(run_id, key, value)
        run = client.get_run(run_id)
        rivals = self.rivals([run])
        if rivals:
            withdraw(run_id, self.tag)
        return run, rivals

    def hold(self, run: Run) -> None:
        """Keeps the claim, whose tag the run has, until `release`; drops claims to it that others have left behind."""
        self._run_id, self._renewed = run.info.run_id, time.time()
        withdraw(self._run_id, [key for key in claim_tags(run) if key != self._key])
        self._renewing.start()

    def check(self) -> None:
        """Raises a BusyError once another process is known to have taken the run over."""
        if self._lost.is_set():
            raise BusyError(
                f"run {self._run_id} was taken over by another process, since this one could not renew its claim for "
                f"{EXPIRY_S / 60:.0f} minutes: the same command waits for it."
            )

    def confirm(self) -> None:
        """Does as `check`, having asked the store where the claim should have been renewed by now."""
        if time.time() - self._renewed > RENEWAL_S + _MARGIN_S:
            self._look()
        self.check()

    def release(self) -> None:
        """Ends the claim; a server that is away is not waited for, since the claim ends with the process or expires."""
        self._over.set()
        if self._renewing.is_alive():
            self._renewing.join(10)  # else it might write the tag once more
        with impatient():
            withdraw(self._run_id, self.tag)

    def _renew(self) -> None:
        client = mlflow.MlflowClient()
        while not self._over.wait(RENEWAL_S) and not self._lost.is_set():
            with suppress(Exception):  # a store that is away: the claim lasts for a while
                began = time.time()  # not the end: this process may be suspended at any point
                self._look()
                if not self._lost.is_set():
                    for key, value in self.tag.items():
                        client.set_tag(self._run_id, key, value)
                    self._renewed = began

    def _look(self) -> None:
        """Asks the store whether another process has taken the run over.

        It has then dropped this claim; or has one beside it, if this one was renewed just after that.
        """
        run = mlflow.MlflowClient().get_run(self._run_id)
        expired = time.time() - self._renewed > EXPIRY_S
        if self._key not in run.data.tags or (expired and standing_claims(run)):
            self._lost.set()


def claim_run(
    trained_as: str, name: str, experiment_id: str, done: Callable[[Run], bool | None]
) -> tuple[Run, Claim | None]:
    """Returns the run of this identity to work on, claimed: an interrupted or a new one; or one that is `done`.

    One of which `done` says None is left alone.

    Raises:
        BusyError: another process works on it.
    """
    of_identity, client = f"tags.{schema.TRAINED_AS} = '{trained_as}'", mlflow.MlflowClient()
    rivals: list[str] = []
    for _ in range(_ATTEMPTS):
        found, claim = sorted(search(of_identity), key=_progress, reverse=True), Claim()
        stand = {run.info.run_id: done(run) for run in found}
        earlier = [run for run in found if stand[run.info.run_id] is not None]
        finished = next((run for run in earlier if stand[run.info.run_id]), None)
        if finished:
            end_complete(finished)
            return finished, None
        rivals = claim.rivals(earlier)
        if rivals:
            break
        tags = {schema.TRAINED_AS: trained_as, **claim.tag}
        adopted = earlier[0].info.run_id if earlier else fresh_run()
        if adopted:
            client.log_batch(adopted, tags=[RunTag(key, value) for key, value in tags.items()])
        run_id = adopted or create_run(experiment_id, name, tags)
        now = search(of_identity)
        for run in now:  # of a run whose making was answered, but not heard of, there are two
            if run.info.run_id != run_id and claim.tag.keys() <= run.data.tags.keys():
                client.delete_run(run.info.run_id)
        rivals = claim.rivals(now)
        if not rivals:
            if earlier:
                _log.info("going on with the run %s", run_id)
            return next(run for run in now if run.info.run_id == run_id), claim
        if adopted:
            withdraw(run_id, claim.tag)
        else:  # with its claim, else another process might go on with it
            client.delete_run(run_id)
        time.sleep(random.SystemRandom().uniform(0.1, 1.0))
    raise BusyError(f"{name} is being run by {', '.join(rivals)}: wait for it, or stop it.")


def claim_stored(run_id: str) -> Claim:
    """Returns a claim, held already, to a run that further domains are scored for.

    Raises:
        BusyError: another process works on it.
    """
    claim = Claim()
    run, rivals = claim.stake(run_id)
    if rivals:
        raise BusyError(f"run {run_id} is being worked on by {', '.join(rivals)}: wait for it, or stop it.")
    claim.hold(run)
    return claim


def create_run(experiment_id: str, name: str, tags: dict[str, str]) -> str:
    """Returns the id of a new run, in the sweep that is under way if there is one; it has its tags from the start."""
    parent = sweep_run()
    all_tags = resolve_tags(tags | ({MLFLOW_PARENT_RUN_ID: parent} if parent else {}))
    run_id: str = mlflow.MlflowClient().create_run(experiment_id, tags=all_tags, run_name=name).info.run_id
    return run_id


def withdraw(run_id: str, tag: Iterable[str]) -> None:
    """Removes a claim's tag from a run, if it is there and the store answers."""
    for key in tag:
        with suppress(Exception):
            mlflow.MlflowClient().delete_tag(run_id, key)


def end_complete(run: Run) -> None:
    """Marks a run that is complete as FINISHED and drops its claims, where its process ended before it could.

    It leaves alone a run that is not complete or that a process works on.
    """
    tags, info = run.data.tags, run.info
    if tags.get(schema.COMPLETE) != "true" or standing_claims(run):
        return
    if info.status != "FINISHED":
        ended_ms = None if info.status == "RUNNING" else info.end_time
        mlflow.MlflowClient().set_terminated(info.run_id, "FINISHED", ended_ms)
    withdraw(info.run_id, claim_tags(run))


def standing_claims(run: Run) -> dict[str, str]:
    """Returns the claims that other processes have to a run: host:pid by tag."""
    owners = claim_tags(run)
    return {key: f"{owner['host']}:{owner['pid']}" for key, owner in owners.items() if not _ended(owner)}


def claim_tags(run: Run) -> dict[str, dict[str, Any]]:
    """Returns all claims to a run, also those that have ended: by tag, who made it and when it was renewed.

    Tags of another project, which hold something else, are left out.
    """
    claims: dict[str, dict[str, Any]] = {}
    for key, text in run.data.tags.items():
        if key.startswith(schema.CLAIM_PREFIX):
            with suppress(ValueError, RecursionError):
                owner = json.loads(text)
                if isinstance(owner, dict) and {"host", "pid", "machine", "renewed"} <= owner.keys():
                    claims[key] = owner
    return claims


def process_start(pid: int) -> float | None:
    """Returns when a process of this machine started, or None if it is over or cannot be seen.

    On Linux in clock ticks since the boot, which stay the same when the clock is set; elsewhere in seconds since 1970.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if sys.platform != "linux":
            return round(process.create_time(), 1)
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # from the third on
        return float(fields[19])
    except (psutil.Error, OSError, ValueError, OverflowError):  # the last two: no number that a process can have
        return None


def _ended(owner: dict[str, Any]) -> bool:
    """Returns whether a claim has expired, or is of a process of this machine that is gone or is this very one.

    Another user's process may just not be shown to us: /proc may be mounted so. A claim whose time or process is no
    number, or whose time lies further in the future than clocks may differ, is nobody's.
    """
    try:
        age_s, pid = time.time() - float(owner["renewed"]), int(owner["pid"])
        begun = float(owner.get("start", math.nan))
    except (TypeError, ValueError, OverflowError):
        return True
    if not -EXPIRY_S <= age_s <= EXPIRY_S:  # not so either of NaN
        return True
    if owner["machine"] != _process()["machine"]:
        return False
    if pid == os.getpid():
        return True
    start = process_start(pid)
    if start is None:
        return owner.get("uid") == os.getuid()
    return abs(start - begun) > START_TOLERANCE  # the number was given again


def _progress(run: Run) -> bool:
    return run.data.tags.get(schema.CHECKPOINT) == schema.FINAL


def _process() -> dict[str, Any]:
    """Returns what tells this process from others: those of other machines, of other containers, of former times."""
    pid, host = os.getpid(), socket.gethostname()
    return {"host": host, "pid": pid, "start": process_start(pid) or 0.0, "uid": os.getuid(), "machine": _machine()}


@cache
def _machine() -> str:
    """Returns what processes that see each other have in common: on Linux the boot, and the container's process ids."""
    marks = [socket.gethostname()]
    with suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        marks.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:12]
