"""`python -m crypto_lake` and the `crypto-lake` script: errors become one line and an exit code here."""

import os
import signal
import sys

import click

from crypto_lake import logs
from crypto_lake.cli import cli
from crypto_lake.errors import LakeError
from crypto_lake.showing import printable


def main() -> None:
    """Run the command; 0 done, 1 failed, 2 wrong usage or configuration."""
    _speak_to_nobody_if_alone()
    # A supervisor's wish that it end is a person's Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
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
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what was done stays done", err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _speak_to_nobody_if_alone() -> None:
    """Under `pythonw.exe`, as a service of Windows, there are no standard streams, and what prints would fail."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open to the end


if __name__ == "__main__":
    main()
