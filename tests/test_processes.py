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


def test_sigterm_ends_the_block_as_an_exit_with_code_143() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, signals_exit():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    stop_if_asked()


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
