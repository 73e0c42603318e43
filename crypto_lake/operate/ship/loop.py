"""`crypto-lake ship`: one round after another, until it is stopped; a store that is away is waited for."""

import contextlib
import threading
import time
from pathlib import Path

from loguru import logger
from msgspec import Struct, json

from crypto_lake.config import Config
from crypto_lake.disk import locks, publish
from crypto_lake.disk.store import Store
from crypto_lake.errors import NOT_JSON, ConfigError, LakeError, StoreAwayError, StoreError
from crypto_lake.operate.ship import ownership
from crypto_lake.operate.ship.recovery import Mourner
from crypto_lake.operate.ship.shipper import RECORD_SEC, Shipper
from crypto_lake.staging import identity, landings

# Where nothing waits, a round looks at this disk alone and may come often. A store that is away is asked ever more
# rarely, but knows of everything a minute after it is back.
_ROUND_SEC, _LONGEST_WAIT_SEC = 5.0, 60.0
# What leaves the disk has been stored for hours and is in no hurry; to make sure, the store is asked.
_FREE_SEC = 600.0


class ShipStatus(Struct):
    """How shipping is: what waits, since when (ns; 0: nothing does), and what is wrong."""

    at_ns: int
    files: int
    size: int
    oldest_ns: int
    trouble: str = ""


def run(config: Config, config_file: Path, *, once: bool, stop: threading.Event | None = None) -> int:
    """Ship until `stop` is set, or `once` all that waits; return how many files were put.

    Raises:
        ConfigError: there is no store, or its client is not installed.
        LakeBusyError: another process ships this lake.
        StoreError: the store refuses, or holds another lake; with `once` also if it does not answer.
    """
    if config.store is None:
        raise ConfigError("store: there is none in the configuration; expected store.url")
    layout = config.layout
    busy = f"{layout.base}: another crypto-lake ship is at work on this lake"
    with locks.hold(layout.ship_lock, wait_sec=0, busy=busy):
        loop = _Loop(config, config_file, stop or threading.Event(), once=once)
        return loop.run()


class _Loop:
    def __init__(self, config: Config, config_file: Path, stop: threading.Event, *, once: bool) -> None:
        self._config = config
        self._once = once
        self._stop = stop
        self._mourner = Mourner(config, config_file, **({"grace_sec": 0.0} if once else {}))
        self._shipper = Shipper(config, 0 if once else RECORD_SEC)
        self._is_ours = False
        self._freed = 0.0
        self._trouble = ""

    def run(self) -> int:
        wait = _ROUND_SEC
        while not self._stop.is_set():
            try:
                self._mourner.look()
                self._round()
            except StoreAwayError as error:
                self._tell(str(error))
                if self._once:
                    raise
                wait = min(2 * wait, _LONGEST_WAIT_SEC)
            except StoreError as error:
                self._tell(str(error))
                # At the start it is a mistake of who starts it; later the store may come to itself.
                if self._once or not self._is_ours:
                    raise
                # Credentials may have been renewed: they are looked for again.
                identity.forget()
                wait = _LONGEST_WAIT_SEC
            except OSError as error:
                if self._once:
                    raise LakeError(f"{self._config.layout.base}: {error}") from None
                self._tell(f"{self._config.layout.base}: {error}")
            else:
                self._tell("")
                wait = _ROUND_SEC
                if self._once:
                    break
            self._stop.wait(wait)
        return self._shipper.files

    def _round(self) -> None:
        store = identity.opened(self._config)
        if not self._is_ours:
            ownership.claim(self._config, store, self._config.collector.name or "")
            self._is_ours = True
        if self._shipper.round():
            self._tell_landed(store, self._shipper)
        if time.monotonic() - self._freed > _FREE_SEC or self._once:
            self._freed = time.monotonic()
            self._shipper.free()

    def _tell_landed(self, store: Store, shipper: Shipper) -> None:
        """Put, by day and symbol, what has come: so that nobody lists all folders to know where to look."""
        name = self._config.collector.name or "collector"
        landings.tell(store, self._config.layout, name, shipper.landed())

    def _tell(self, trouble: str) -> None:
        """Say on this disk, and in the log once, how shipping is."""
        if trouble and trouble != self._trouble:
            logger.error("{}", trouble)
        elif self._trouble and not trouble:
            logger.info("the store answers again")
        self._trouble = trouble
        waiting = []
        if trouble:
            # Which may be that a folder cannot be read.
            with contextlib.suppress(OSError):
                waiting = list(self._shipper.waiting())
        told = ShipStatus(
            time.time_ns(),
            len(waiting),
            sum(one.size for one in waiting),
            min((one.modified_ns for one in waiting), default=0),
            trouble,
        )
        with contextlib.suppress(OSError):
            publish.write(self._config.layout.ship_status, json.encode(told))


def status(config: Config) -> ShipStatus | None:
    """Return how shipping was when it last said so; None where it never did."""
    try:
        return json.decode(publish.read(config.layout.ship_status), type=ShipStatus)
    except (OSError, *NOT_JSON):
        return None
