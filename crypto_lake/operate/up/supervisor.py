"""The loop: children started in order, tended, and stopped in the opposite order."""

import ipaddress
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loguru import logger
from rich.console import Console

from crypto_lake import config as configuration
from crypto_lake import dagster_home, starter
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.operate.up import simulation, watch
from crypto_lake.operate.up.child import Child, Program
from crypto_lake.operate.up.screen import Screen
from crypto_lake.stop_signals import ONE_KEYSTROKE_SEC, STOP

_LOOK_SEC = 0.5
# Dagster answers each call in another thread, and glibc keeps memory for each of them: two pools are enough. (Other
# systems do not know the variable.)
_FEW_POOLS = {"MALLOC_ARENA_MAX": "2"}


def programs(config: Config, config_file: Path, host: str, port: int) -> list[Program]:
    """Return the collector, and Dagster: its daemon and its web UI.

    Raises:
        ConfigError: there is no folder for Dagster's instance.
        LakeError: its settings cannot be written.
    """
    own = {configuration.ENVIRONMENT_VARIABLE: str(config_file)}
    folder = dagster_home.furnished(config_file)
    # Where there is one, it says the same, and may say more.
    module = () if (folder / starter.WORKSPACE).is_file() else ("-m", "crypto_lake.definitions")
    dagster = ("-m", "dagster", "dev", "--host", host, "--port", str(port), *module)

    def command(name: str, log: Path) -> Program:
        words = ("-m", "crypto_lake", name, "--config", str(config_file))
        return Program(name, words, f"logs to {log}", config_file.parent, own, keeps_log=False)

    return [
        command("collector", config.collector_layout.collector_log),
        *([command("ship", config.layout.logs / "ship.log")] if config.store else []),
        Program("dagster", dagster, f"web UI at http://{host}:{port}", folder, own | _FEW_POOLS),
    ]


def supervise(config: Config, wanted: list[Program], hints: list[str]) -> None:
    """Run them until Ctrl-C or a polite kill; a second one ends them at once."""
    guardian = watch.of_this_system()
    with Screen(config, hints, Console()) as screen, _asked_to_stop() as (stop, hurry):

        def say(sentence: str) -> None:
            logger.info(sentence)
            screen.event(sentence)

        children = [Child(program, guardian, say, logger.info) for program in wanted]
        try:
            for child in children:
                child.start()
            while not stop.wait(_LOOK_SEC):
                for child in children:
                    child.tend()
                screen.show(children)
            say("stopping, Dagster first (once more Ctrl-C: at once)")
        finally:
            for child in reversed(children):
                screen.show(children)
                child.stop(hurry)
            guardian.close()
            screen.show(children)


def free(host: str, port: int) -> None:
    """Look whether the UI's address can be had.

    Raises:
        ConfigError: it is not this machine's.
        LakeError: something listens there.
    """
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server((host, port), family=family):
            pass
    except socket.gaierror as error:
        raise ConfigError(f"--host {host}: {error.strerror}") from None
    except OSError as error:
        raise LakeError(
            f"{host}:{port}: {error.strerror}; is another `crypto-lake up` running? Expected a free port, see --port"
        ) from None


def exposure(host: str) -> str | None:
    """Return a warning where others than this machine can reach the web UI; None where `host` is loopback alone."""
    found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    if all(ipaddress.ip_address(one).is_loopback for one in found):
        return None
    return (
        f"WARNING: --host {host}: everybody who can reach this machine can see and start runs in Dagster's UI, which "
        "has no authentication; expected a firewall, or a proxy that asks for a password, before it"
    )


def simulated(folder: Path, speed: float | None) -> Path:
    """Prepare the lake with the bundled exchange; its configuration is returned, and in use from here on."""
    path = simulation.prepare(folder, speed)
    os.environ["DAGSTER_HOME"] = str(folder / "dagster")
    return path


@contextmanager
def _asked_to_stop() -> Iterator[tuple[threading.Event, threading.Event]]:
    """Set by the first and by the second Ctrl-C (or polite kill)."""
    stop, hurry = threading.Event(), threading.Event()
    asked = 0.0

    def ask(*_: object) -> None:
        nonlocal asked
        if not stop.is_set():
            asked = time.monotonic()
            stop.set()
        elif time.monotonic() - asked > ONE_KEYSTROKE_SEC:
            hurry.set()

    # A terminal that is closed ends all that was started in it.
    closed = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
    before = {number: signal.signal(number, ask) for number in [*STOP, *closed]}
    try:
        yield stop, hurry
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
