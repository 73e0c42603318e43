"""`python -m crypto_lake` and the `crypto-lake` script: errors become one line and an exit code here."""

import io
import os
import signal
import sys
from typing import TextIO

import click

from crypto_lake import logs
from crypto_lake.cli import cli
from crypto_lake.errors import LakeError
from crypto_lake.showing import printable
from crypto_lake.stop_signals import STOP


def main() -> None:
    """Run the command; 0 done, 1 failed, 2 wrong usage or configuration."""
    _speak_to_nobody_if_alone()
    _take_a_supervisors_wish_for_ctrl_c()
    for stream in (sys.stdout, sys.stderr):
        # A Windows console, or a pipe, may not know every character of a table's frame.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = cli.main(standalone_mode=False)
    except LakeError as error:
        logs.told(str(error))
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except click.UsageError as error:
        error.show()
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except OSError as error:
        logs.told(str(error))
        click.echo(f"error: {printable(str(error))}", err=True)
        code = 1
    except (click.Abort, KeyboardInterrupt, RuntimeError) as error:
        if not _is_ctrl_c(error):
            raise
        click.echo("interrupted; what was done stays done", err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _take_a_supervisors_wish_for_ctrl_c() -> None:
    # Ctrl-C itself stays as it is: a shell's background job is started without it.
    for number in set(STOP) - {signal.SIGINT}:
        signal.signal(number, signal.default_int_handler)


def _is_ctrl_c(error: BaseException) -> bool:
    """Return whether Ctrl-C, or a supervisor, ended a command: in a query of DuckDB that is a bare `RuntimeError`."""
    return isinstance(error, click.Abort | KeyboardInterrupt) or "interrupted" in str(error)


class _Nobody(io.TextIOWrapper):
    """A stream that nobody reads, and no terminal: Windows calls its null device one."""

    def __init__(self) -> None:
        super().__init__(open(os.devnull, "wb"), encoding="utf-8")  # noqa: SIM115, PTH123 - open to the end

    def isatty(self) -> bool:
        """No."""
        return False


def _speak_to_nobody_if_alone() -> None:
    """Replace standard streams that lead nowhere.

    Under `pythonw.exe`, as a service of Windows, there are none, and what prints would fail. Where one is Windows' null
    device it calls itself a terminal, and would get colours and progress bars.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or (stream.isatty() and not _has_a_size(stream)):
            setattr(sys, name, _Nobody())


def _has_a_size(stream: TextIO) -> bool:
    """Return whether a stream is a terminal's, which has columns and lines; the null device has none."""
    try:
        os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return False
    return True


if __name__ == "__main__":
    main()
