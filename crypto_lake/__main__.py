"""`python -m crypto_lake` and the `crypto-lake` script: errors become one line and an exit code here."""

import sys

import click

from crypto_lake.cli import cli
from crypto_lake.errors import LakeError


def main() -> None:
    """Run the command; 0 done, 1 failed, 2 wrong usage or configuration."""
    for stream in (sys.stdout, sys.stderr):
        # A Windows console, or a pipe, may not know every character of a table's frame.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = cli.main(standalone_mode=False)
    except LakeError as error:
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except click.UsageError as error:
        error.show()
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except OSError as error:
        click.echo(f"error: {error}", err=True)
        code = 1
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what was done stays done", err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
