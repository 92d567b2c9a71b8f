import signal

import pytest

from wbc.processes import sigterm_exits


def test_sigterm_ends_the_block_as_an_exit_with_code_143() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, sigterm_exits():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
