"""Torture: kills, damaged files and spoilt answers for a number of rounds, and what came of them.

    make torture [ARGS="--rounds 30 --seed 1"]

Each round trains one small run in a fresh store while it does one kind of harm. It then checks that the run came out as
an undisturbed one did, or that the harm was named. A lost round is printed with its seed, by which it can be repeated.
"""

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from entrypoints.command import main
from tests.conftest import write_cells
from tests.servers import breaking_proxy, free_port, mlflow_server, one_in_six
from wbc.settings import option
from wbc.surroundings import all_and

_ROOT: Final = Path(__file__).parents[1]
_SETTINGS: Final = (
    "--source folder:home --targets folder:away --pretrained none --image_size 32 --batch_size 8 "
    "--epochs 3 --checkpoint_every 1 --device cpu"
)
_TRAIN: Final = tuple(_SETTINGS.split())
_GRACE_S: Final = 600.0
_SILENT: Final[Mapping[str, Any]] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass(frozen=True, kw_only=True)
class TortureConfig:
    """Options of `torture`."""

    rounds: int = option(9, "Rounds: the three kinds of harm in turn.")
    seed: int = option(0, "Seed of the first round; the next one has the next.")


def torture(options: TortureConfig) -> None:
    """Runs the rounds and prints a line for each, then how many of each kind held.

    Raises:
        WbcError: a round was lost.
    """
    from wbc.errors import WbcError

    kinds, held = {"kill": _kill, "damage": _damage, "answers": _answers}, Counter[str]()
    undisturbed, whole_s = _undisturbed()
    for number, seed in enumerate(range(options.seed, options.seed + options.rounds), start=1):
        kind, drawn = list(kinds)[seed % len(kinds)], random.Random(seed)
        with tempfile.TemporaryDirectory() as name:
            place = _make_place(Path(name))
            what = kinds[kind](place, drawn, undisturbed, whole_s)
        held[kind] += not what.startswith("LOST")
        print(f"{number}/{options.rounds}  seed {seed}  {kind}: {what}", flush=True)
    print(", ".join(f"{kind}: {held[kind]} held" for kind in kinds))
    if held.total() < options.rounds:
        raise WbcError(f"{options.rounds - held.total()} of {options.rounds} rounds were lost: see the lines above.")


def _kill(place: Path, drawn: random.Random, undisturbed: str, whole_s: float) -> str:
    """Kills the training at a drawn moment, up to three times, then lets it end."""
    kills = 0
    for _ in range(drawn.randint(1, 3)):
        with subprocess.Popen(_command("train", *_TRAIN), cwd=place, env=_variables(), **_SILENT) as process:
            time.sleep(drawn.uniform(0, whole_s))
            kills += process.poll() is None
            process.kill()
    _run("train", *_TRAIN, place=place)
    return _judged(place, undisturbed, f"killed {kills} times")


def _damage(place: Path, drawn: random.Random, _undisturbed: str, _whole_s: float) -> str:
    """Flips one bit of one file that the finished run rests on, and asks `doctor` what is wrong."""
    _run("train", *_TRAIN, place=place)
    files = [path for path in _files(place) if {"checkpoint", "predictions", "embeddings"} & set(path.parts)]
    path = drawn.choice(files)
    content = bytearray(path.read_bytes())
    content[drawn.randrange(len(content))] ^= 1 << drawn.randrange(8)
    path.write_bytes(content)
    found = subprocess.run(
        _command("doctor", "--store"), cwd=place, env=_variables(), capture_output=True, text=True, check=False
    )
    told = found.returncode == 2 and f"{path.parent.name}/{path.name} is not what was logged" in found.stdout
    return f"{'' if told else 'LOST '}a bit of {path.parent.name}/{path.name} flipped, {'named' if told else 'unseen'}"


def _answers(place: Path, drawn: random.Random, undisturbed: str, _whole_s: float) -> str:
    """Trains by way of a proxy that breaks off one answer in six."""
    with (
        mlflow_server(free_port(), f"sqlite:///{place}/mlflow.db", place / "mlartifacts") as server,
        breaking_proxy(server, one_in_six(drawn.randrange(2**31))) as address,
    ):
        _run("train", *_TRAIN, place=place, MLFLOW_TRACKING_URI=address)
    return _judged(place, undisturbed, "one answer in six broken off")


def _undisturbed() -> tuple[str, float]:
    """Returns the digest of an undisturbed run's predictions, and how many seconds it took."""
    with tempfile.TemporaryDirectory() as name:
        place, began = _make_place(Path(name)), time.monotonic()
        _run("train", *_TRAIN, place=place)
        return _predicted(place), time.monotonic() - began


def _judged(place: Path, undisturbed: str, harm: str) -> str:
    whole = subprocess.run(_command("doctor", "--store"), cwd=place, env=_variables(), **_SILENT, check=False)
    same = _predicted(place) == undisturbed
    if same and not whole.returncode:
        return f"{harm}; predictions equal, store whole"
    return (
        f"LOST {harm}; predictions {'equal' if same else 'differ'}, store {'faulty' if whole.returncode else 'whole'}"
    )


def _make_place(folder: Path) -> Path:
    for name, images in (("home", 6), ("away", 2)):
        write_cells(folder / name, images)
    return folder


def _files(place: Path) -> list[Path]:
    return sorted(path for path in (place / "mlartifacts").rglob("*") if path.is_file())


def _predicted(place: Path) -> str:
    """Returns the digest of all predictions below a folder; images are named by their paths within theirs."""
    tables = [path.read_bytes() for path in _files(place) if path.parent.name == "predictions"]
    return hashlib.sha256(b"".join(tables)).hexdigest() if tables else "none"


def _run(name: str, *words: str, place: Path, **variables: str) -> None:
    done = subprocess.run(
        _command(name, *words),
        cwd=place,
        env=_variables(**variables),
        capture_output=True,
        text=True,
        timeout=_GRACE_S,
        check=False,
    )
    if done.returncode:
        print(f"{name} ended with code {done.returncode}:\n{done.stderr}", flush=True)


def _command(name: str, *words: str) -> Sequence[str]:
    return [sys.executable, "-m", f"entrypoints.{name}", *words]


def _variables(**more: str) -> dict[str, str]:
    """Returns the environment of a command: this one's, without its store and data."""
    return all_and(PYTHONPATH=str(_ROOT), OMP_NUM_THREADS="1", WBC_DATA_DIR="", MLFLOW_TRACKING_URI="") | more


if __name__ == "__main__":
    main(TortureConfig, torture)
