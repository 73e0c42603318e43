"""The commands within the tests' own process: what they say and how they end, without the seconds that a start takes.

What a process is to its surroundings (signals, streams, its end) is asked of real ones, see `processes`.
"""

import io
import signal
import sys
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from crypto_lake import __main__, logs
from crypto_lake_tests import processes


def run(*words: str, cwd: Path, **environment: str) -> tuple[int, str, str]:
    """Run `crypto-lake …` in a folder: its exit code, what it printed, and what it said on standard error."""
    out, err = _stream(), _stream()
    terminated = signal.getsignal(signal.SIGTERM)
    with ExitStack() as around:
        around.callback(signal.signal, signal.SIGTERM, terminated)
        around.callback(logs.stop)
        around.enter_context(chdir(cwd))
        around.enter_context(patch.dict("os.environ", processes.surroundings(**environment), clear=True))
        around.enter_context(patch.object(sys, "argv", ["crypto-lake", *words]))
        around.enter_context(redirect_stdout(out))
        around.enter_context(redirect_stderr(err))
        with pytest.raises(SystemExit) as ended:
            __main__.main()
    code = ended.value.code
    assert isinstance(code, int)
    return code, _written(out), _written(err)


def _stream() -> io.TextIOWrapper:
    """Somewhere to print to, as text or as bytes."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
