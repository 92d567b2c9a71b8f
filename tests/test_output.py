"""What commands print, whatever the terminal takes and names hold; and what `make` passes on of what is typed."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from entrypoints.command import main
from tests.forks import start
from wbc.config import DoctorConfig, TrainConfig
from wbc.report.study import typed
from wbc.scoring import Outcome
from wbc.studies import resolve
from wbc.sweep.reproduce import print_table

_ROOT = Path(__file__).parents[1]


def _table(_: DoctorConfig) -> None:
    configs = [resolve(TrainConfig(seed=seed)) for seed in range(5)]
    shares = ({"bccd": 0.5}, {"bccd": 0.7}, *3 * [{"bccd": 0.6}])
    outcomes = [
        Outcome(run_id="a", config=config, accuracies=share, guessing=share, done_already=False)
        for config, share in zip(configs, shares, strict=True)
    ]
    print_table(configs, outcomes)
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
    assert output.splitlines()[-1] == last


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
