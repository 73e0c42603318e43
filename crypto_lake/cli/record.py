"""Commands that listen to an exchange, the real or the bundled one, until they are stopped or done."""

# ruff: noqa: PLC0415 - see the package

import os
from datetime import date
from pathlib import Path

import click
from loguru import logger

from crypto_lake import config as configuration
from crypto_lake import logs
from crypto_lake.cli import options


@click.command()
@options.config_option
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop after so many seconds.",
)
@click.pass_context
def collector(context: click.Context, config_file: str | None, duration: float | None) -> None:
    """Record the exchange into raw segments, until Ctrl-C."""
    from collector_daemon.__main__ import collect

    context.exit(collect(Path(config_file) if config_file else None, duration))


@click.command()
@options.config_option
@click.option("--once", is_flag=True, help="Ship what waits, and end.")
def ship(config_file: str | None, *, once: bool) -> None:
    """Bring what is recorded into the store, until Ctrl-C.

    Sealed segments, journals and tables of instruments, each verified; what is stored leaves this disk in time.
    """
    import threading

    from crypto_lake.operate.ship import loop
    from crypto_lake.stop_signals import set_on_stop

    loaded = options.loaded(config_file, "ship")
    stop = threading.Event()
    set_on_stop(stop)
    files = loop.run(loaded, configuration.find(config_file), once=once, stop=stop)
    click.echo(f"files shipped: {files:,}")


@click.command()
@options.config_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where the web UI listens. It has no authentication: keep it on this machine, or guard it.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="The web UI's port."
)
@click.option("--simulate", is_flag=True, help="Record the bundled exchange into a lake in ./simulated-lake.")
@click.option(
    "--speed",
    type=options.Amount(1, 100),
    help="With --simulate: how many times as fast the market runs.  [default: 1]",
)
def up(config_file: str | None, host: str, port: int, *, simulate: bool, speed: float | None) -> None:
    """Run the collector and Dagster together, until Ctrl-C.

    Of Dagster the daemon and the web UI. What dies is started again.
    """
    if speed and not simulate:
        raise click.UsageError("--speed is the bundled exchange's; expected it with --simulate")
    if simulate and config_file:
        raise click.UsageError("--simulate makes a lake of its own; expected it without --config")
    from crypto_lake.operate.up import simulation, supervisor

    supervisor.free(host, port)
    folder = Path.cwd() / simulation.FOLDER
    path = supervisor.simulated(folder, speed) if simulate else configuration.find(config_file)
    loaded = options.configured(str(path))
    os.environ[configuration.ENVIRONMENT_VARIABLE] = str(path)
    logs.start(loaded, "up")
    wanted = supervisor.programs(loaded, path, host, port)
    if simulate:
        wanted.insert(0, simulation.exchange(loaded, folder))
    if warning := supervisor.exposure(host):
        logger.warning(warning)
    supervisor.supervise(
        loaded,
        wanted,
        [
            *([warning] if warning else []),
            f"The lake: {loaded.layout.base}",
            f"Dagster's UI: http://{host}:{port} (bars appear within some minutes)",
            f'Ask it: crypto-lake query --config "{path}" "FROM bars_1m ORDER BY window_start DESC LIMIT 5"',
            "Ctrl-C stops everything, in order.",
        ],
    )


@click.command()
@click.option(
    "--minutes", type=click.IntRange(2, 60), default=6, show_default=True, help="Market minutes to record."
)
@click.option("--serve", is_flag=True, help="Leave Dagster's UI open on what was made, until Ctrl-C.")
def demo(minutes: int, *, serve: bool) -> None:
    """Show the whole pipeline on this machine, offline.

    All that is made lies in one new folder.
    """
    from crypto_lake.operate import demo as story

    story.tell(minutes, serve=serve)


@click.command()
@options.config_option
@click.option("--date", "day", type=options.Day(), required=True, help="The finished day, UTC.")
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    metavar="SYMBOL",
    help="A symbol; may be given several times.  [default: all that have ticks of the day]",
)
@click.option(
    "--speed",
    type=options.Amount(0.1, 100),
    default=1,
    show_default=True,
    help="How many times as fast as life.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9443, show_default=True, help="Where it listens; 0: any."
)
@click.option(
    "--at",
    type=options.TimeOfDay(),
    default="00:00:00",
    show_default=True,
    help="Begin at this time of the day, UTC.",
)
@click.option(
    "--begin-in",
    type=options.Amount(0, 3600),
    metavar="SECONDS",
    help="Begin so soon, not with the first client.  [default: none at --speed 1, else 8]",
)
@click.option("--mark-gaps", is_flag=True, help="Tell in the stream what the lake lacks.")
def replay(  # noqa: PLR0913 - one for each option
    config_file: str | None,
    *,
    day: date,
    symbols: tuple[str, ...],
    speed: float,
    port: int,
    at: int,
    begin_in: float | None,
    mark_gaps: bool,
) -> None:
    """Serve a finished day as the exchange did, until Ctrl-C.

    In its own WebSocket and REST, on this machine: a bot that is given this address trades that day.
    """
    from crypto_lake.operate.replay import serve
    from crypto_lake.staging import Rooms, known, staged

    loaded = options.configured(config_file)
    rooms = Rooms.TICKS | Rooms.DEPTH | Rooms.BARS | Rooms.MINUTES | Rooms.CANDLES | Rooms.INSTRUMENTS
    wish = serve.Wish(day, symbols, speed, at, begin_in, mark_gaps)
    some = [one for one in known(loaded) if not symbols or one.symbol in symbols]
    with staged(loaded, some, [day], rooms) as local:
        serve.serve(serve.prepared(local.config, wish), port, click.echo)
