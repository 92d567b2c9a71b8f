"""What commands print, whatever the terminal takes and names hold; and what `make` passes on of what is typed."""

import fcntl
import logging
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

import pytest

from entrypoints.command import _log_to_stderr, main
from tests.forks import start
from wbc.assess.names import how_to_map
from wbc.config import DoctorConfig, TrainConfig
from wbc.outcome import Outcome
from wbc.processes import TERMINAL_SIGNALS
from wbc.report.study import typed
from wbc.studies import resolve
from wbc.sweep.reproduce import print_outcomes
from wbc.terminal import LINE_EVERY_S, print_table, progress

_ROOT = Path(__file__).parents[1]


def _table(_: DoctorConfig) -> None:
    configs = [resolve(TrainConfig(seed=seed)) for seed in range(5)]
    shares = ({"bccd": 0.5}, {"bccd": 0.7}, *3 * [{"bccd": 0.6}])
    outcomes = [
        Outcome(run_id="a", config=config, accuracies=share, guessing=share, done_already=False)
        for config, share in zip(configs, shares, strict=True)
    ]
    print_outcomes(configs, outcomes)
    print("98.00 −3.10/+2.00")
    print("and the report of caf\udce9, 白")


def _print_table(encoding: str) -> None:
    sys.stdout, sys.argv = open(1, "w", encoding=encoding), ["entrypoints.doctor"]  # noqa: SIM115
    main(DoctorConfig, _table)


@pytest.mark.parametrize(
    ("encoding", "interval", "last"),
    [
        ("ascii", b"60.00 +/- ", b"and the report of caf?, ?"),
        ("latin-1", b"60.00 \xb1 ", b"and the report of caf?, ?"),
    ],
)
def test_table_is_printed_and_what_follows_too_when_the_output_has_few_letters(
    tmp_path: Path, encoding: str, interval: bytes, last: bytes
) -> None:
    process = start(tmp_path / "out", tmp_path / "err", _print_table, encoding)
    process.join()
    output = (tmp_path / "out").read_bytes()
    assert (process.exitcode, (tmp_path / "err").read_bytes()) == (0, b"")
    assert b"resnet50" in output
    assert interval in output
    assert output.splitlines()[-2:] == [b"98.00 -3.10/+2.00", last]


def _wait_in_a_folder(place: Path) -> None:
    def command(_: DoctorConfig) -> None:
        with tempfile.TemporaryDirectory(dir=place):
            (place / "there").touch()
            time.sleep(600)

    for signum in (signal.SIGTERM, *TERMINAL_SIGNALS):  # as in a terminal, whatever the tests were started by
        signal.signal(signum, signal.SIG_DFL)
    sys.argv = ["entrypoints.doctor"]
    main(DoctorConfig, command)


@pytest.mark.parametrize("signum", [signal.SIGTERM, *TERMINAL_SIGNALS])
def test_command_that_is_told_to_end_leaves_no_temporary_files(tmp_path: Path, signum: signal.Signals) -> None:
    place = tmp_path / "place"
    place.mkdir()
    process = start(tmp_path / "out", tmp_path / "err", _wait_in_a_folder, place)
    while not (place / "there").exists():
        assert process.is_alive()
        time.sleep(0.05)
    os.kill(process.pid or 0, signum)
    process.join()
    assert ([path.name for path in place.iterdir()], process.exitcode) == (["there"], 128 + signum)
    assert (tmp_path / "err").read_text() == ""


def _print_and_go_on(stream: str, done: Path) -> None:
    def command(_: DoctorConfig) -> None:
        print(10_000 * "a long table ")
        done.touch()

    if stream == "closed":
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, 1)
    sys.stdout, sys.argv = open(1 if stream == "closed" else stream, "w"), ["entrypoints.doctor"]  # noqa: PTH123, SIM115
    main(DoctorConfig, command)


@pytest.mark.parametrize(
    ("stream", "code", "told"),
    [
        pytest.param(
            "/dev/full",
            2,
            "error: what was printed could not be written (No space left on device); all else was done.\n",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is full"),
        ),
        ("closed", 0, ""),
    ],
)
def test_command_goes_on_where_its_output_cannot_be_written(tmp_path: Path, stream: str, code: int, told: str) -> None:
    process = start(tmp_path / "out", tmp_path / "err", _print_and_go_on, stream, tmp_path / "done")
    process.join()
    assert ((tmp_path / "done").exists(), process.exitcode, (tmp_path / "err").read_text()) == (True, code, told)


def test_names_to_map_are_passed_on_as_they_are_when_the_remedy_is_typed(tmp_path: Path) -> None:
    names = ["My Segs", 'a"b$(touch made)', "`touch made`'s", "with,comma"]
    make = f"make -f {shlex.quote(str(_ROOT / 'Makefile'))} -o setup assess SLIDES=slides RUN='printf %s\\\\n' "
    done = subprocess.run(make + how_to_map(names), cwd=tmp_path, shell=True, capture_output=True, text=True)
    passed = ",".join(f"{name}=CLASS" for name in names[:3])
    assert passed in done.stdout.splitlines()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["my slides", "a'b", 'a"b$(touch made)', "a;touch made", "`touch made`", "$x", "a\\b%"]
)
@pytest.mark.parametrize("name", ["MODEL", "MODELS", "PROFILE", "RUN_ID", "TARGETS"])
def test_command_to_paste_passes_a_name_on_as_it_is_and_runs_nothing_else(tmp_path: Path, name: str, text: str) -> None:
    target = {"MODEL": "train", "MODELS": "reproduce", "PROFILE": "report", "RUN_ID": "evaluate", "TARGETS": "train"}
    make = f"make -f {shlex.quote(str(_ROOT / 'Makefile'))} -o setup {target[name]} RUN='printf %s\\\\n' "
    done = subprocess.run(
        make + typed(name, text), cwd=tmp_path, shell=True, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    passed = text.replace(" ", ",") if name == "MODELS" else text
    assert passed in done.stdout.splitlines()
    assert not list(tmp_path.iterdir())


def show() -> None:
    """In a process of its own: what a command shows."""
    _log_to_stderr()
    LINE_EVERY_S["epochs"] = 0
    log = logging.getLogger("wbc")
    with progress("a run", 4, "epochs") as advance:
        advance(1.5)
        time.sleep(0.3)  # the bar is drawn ten times a second
        log.info("a line")
    log.warning("a warning with [brackets] and :smile: " + 10 * "long ")
    print_table(
        ["model", "home", "away"],
        [["resnet50_frozenbn_last16", *2 * ["98.33 (97.10–99.20)"]]],
        below=["most", "2", "3"],
    )


def test_output_to_files_is_plain_lines(tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    process = start(out, err, show)
    process.join()
    assert "\x1b" not in out.read_text() + err.read_text()
    first, *lines = err.read_text().splitlines()
    assert re.fullmatch(r"a run: 1\.5 of 4 epochs, \d+ .*left", first)
    assert lines == ["a line", "a warning with [brackets] and :smile: " + 10 * "long "]
    assert any(
        line.startswith("│ resnet50_frozenbn_last16 │ 98.33 (97.10–99.20) │") for line in out.read_text().splitlines()
    )


def go_on(done: Path) -> None:
    """In a process of its own: works on after its terminal is gone, and then says so."""
    _log_to_stderr()
    with progress("a run", 4, "epochs") as advance:
        while os.isatty(2):
            time.sleep(0.05)
        time.sleep(0.2)
        logging.getLogger("wbc").info("a line")
        advance(1)
    done.touch()


def test_terminal_that_goes_away_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    path = Path(os.ttyname(theirs))
    process = start(path, path, go_on, tmp_path / "done")
    os.read(ours, 1)
    os.close(ours)
    os.close(theirs)
    process.join()
    assert (tmp_path / "done").exists()


def on_terminal(columns: int) -> str:
    """Returns what `show` writes to a terminal, with its control codes."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    written = bytearray()

    def read() -> None:
        while not written.endswith(b"the end"):
            written.extend(os.read(ours, 65536))

    reader = threading.Thread(target=read)
    reader.start()
    path = Path(os.ttyname(theirs))
    start(path, path, show).join()
    os.write(theirs, b"the end")
    reader.join()
    os.close(ours)
    os.close(theirs)
    return written.decode()


def test_narrow_terminal_has_a_bar_and_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    written = on_terminal(60)
    assert "\x1b[2K" in written
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= 60
    assert any(re.fullmatch(r"a run \W+ 1\.5 of 4 epochs, \d+ .*left", line) for line in lines)
    assert "a line" in lines
    listed = ["resnet50_frozenbn_last16", *(f"  {lab}  98.33 (97.10–99.20)" for lab in ("home", "away"))]
    assert [line for line in lines if line][-7:] == [*listed, "most", "  home  2", "  away  3", "the end"]
