"""The daemon's command line: `python -m collector_daemon`, and `collect` for the `crypto-lake collector` command."""

import asyncio
import math
import signal
import sys
from pathlib import Path

import click

from collector_daemon import startup
from collector_daemon.clock import Clock, LakeClock, SystemClock
from collector_daemon.daemon import run
from collector_daemon.ending import Ending
from collector_daemon.follow import Follow
from collector_daemon.recorder import Edges
from collector_daemon.signals import set_on_signals
from crypto_lake import config as configuration
from crypto_lake import logs
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.exchanges import registry
from crypto_lake.stop_signals import STOP


def collect(
    config_path: Path | None = None, duration: float | None = None, *, recover_only: bool = False
) -> int:
    """Record until asked to stop, or for `duration` seconds; the exit code is returned.

    With `recover_only` nothing is recorded: what a collector that died left open is sealed.

    Who asks a second time does not wait for the disk: the process then ends here, with exit code 1.

    0 after a clean end, else that of the error, whose one line went to stderr.
    """
    try:
        if duration is not None and not math.isfinite(duration):
            raise ConfigError(f"--duration: {duration} is no number of seconds; expected one such as 90")
        path = configuration.find(config_path)
        config = configuration.load(path)
        registry.check(config, path)
        logs.start(config, "collector", console=True)
        if recover_only:
            startup.recover(config, _clock(config).now_us())
        else:
            asyncio.run(_until_asked(path, config, duration))
    except LakeError as error:
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        return error.exit_code
    finally:
        logs.stop()
    return 0


async def _until_asked(path: Path, config: Config, duration: float | None) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    ending = Ending()
    set_on_signals(stop, *STOP, again=ending.at_once)
    if hasattr(signal, "SIGHUP"):
        set_on_signals(hurry, signal.SIGHUP)
    clock = _clock(config)
    edges, follow = Edges(ending=ending), Follow(path, config, hurry)
    await run(config, clock=clock, duration=duration, stop=stop, edges=edges, follow=follow)


def _clock(config: Config) -> Clock:
    return SystemClock() if config.clock.began is None else LakeClock(config)


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The configuration file; else $CRYPTO_LAKE_CONFIG, else ./config.yml.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop after so many seconds.",
)
@click.option("--recover", is_flag=True, help="Only seal what a collector that died left open, and end.")
def main(config_path: Path | None, duration: float | None, *, recover: bool) -> None:
    """Record every trade and best bid/ask of the configured symbols, until Ctrl-C; a second one ends it at once."""
    sys.exit(collect(config_path, duration, recover_only=recover))


if __name__ == "__main__":
    main(prog_name="python -m collector_daemon")
