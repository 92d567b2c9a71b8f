import signal
from pathlib import Path

import pytest

from wbc.errors import TrackingError
from wbc.processes import only_process, sigterm_exits


def test_second_process_at_the_same_run_is_refused(store: Path) -> None:
    with only_process("abc"), pytest.raises(TrackingError, match="another process"), only_process("abc"):
        pass
    with only_process("abc"):
        pass


def test_sigterm_ends_the_block_as_an_exit_with_code_143() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, sigterm_exits():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
