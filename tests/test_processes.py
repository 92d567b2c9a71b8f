import os
import signal

import pytest

from wbc.processes import cores, signals_exit, stop_if_asked, stops_on


class Last:
    """Sends a signal to this process while it is destroyed."""

    def __init__(self, signum: signal.Signals) -> None:
        self.signum = signum

    def __del__(self) -> None:
        signal.raise_signal(self.signum)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)])
def test_signal_ends_the_block_as_an_exit_with_its_code(signum: signal.Signals, code: int) -> None:
    before = signal.getsignal(signum)
    with pytest.raises(SystemExit) as ended, signals_exit():
        signal.raise_signal(signum)
    assert ended.value.code == code
    assert signal.getsignal(signum) is before
    stop_if_asked()


def test_closed_terminal_ends_nothing_below_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    went_on = []
    try:
        with signals_exit():
            signal.raise_signal(signal.SIGHUP)
            went_on.append(True)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert went_on


def test_signal_of_a_terminal_that_comes_twice_leaves_the_cleaning_alone() -> None:
    cleaned = []

    def clean() -> None:
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            signal.raise_signal(signal.SIGHUP)
            cleaned.append(True)

    with pytest.raises(SystemExit), signals_exit():
        clean()
    assert cleaned


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("signum", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_signal_that_falls_into_a_destructor_stops_all_the_same(
    signum: signal.Signals, error: type[BaseException]
) -> None:
    went_on = []

    def destroy_and_go_on() -> None:
        Last(signum)
        went_on.append(True)
        stop_if_asked()

    with pytest.raises(error), stops_on(signum):
        destroy_and_go_on()
    assert went_on


def test_signal_that_a_library_makes_an_error_of_stops_all_the_same() -> None:
    def convert() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException as error:
            raise RuntimeError("error return without exception set") from error

    with pytest.raises(SystemExit) as ended, signals_exit():
        convert()
    assert ended.value.code == 143


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process to cores")
def test_cores_are_those_that_the_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
