"""The status as Prometheus reads it, on loopback: the same numbers as in the status file, a second old at most.

`prometheus-client` is an extra (`pip install "crypto-lake[metrics]"`) and is imported only where a port is configured.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from loguru import logger

from crypto_lake.errors import ConfigError
from crypto_lake.raw.collector_status import Status

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_HOST = "127.0.0.1"

# Attribute of `SymbolStatus`, what it is; those that only rise are counters.
SYMBOL_COUNTERS = {
    "trades": "Trades kept",
    "quotes": "Quotes kept",
    "gaps": "Holes: stretches of trade ids that did not come",
    "missing": "Trades that did not come",
    "duplicates": "Trades and quotes that had come before",
    "segments_sealed": "Segments finished",
    "depth": "Events of the order book kept",
    "book_breaks": "Breaks of the chain of these events",
}
SYMBOL_GAUGES = {
    "latency_p50_us": "Median time from the exchange to receipt, microseconds",
    "latency_p99_us": "99th percentile of it",
    "latency_max_us": "The longest of the minute",
    "offset_us": "The shortest of the minute: clock offset and fastest way together",
    "last_frame": "When anything came last, microseconds since the epoch",
    "last_anchor": "When the last snapshot of the order book came, microseconds since the epoch",
}
EXCHANGE_COUNTERS = {
    "connection": "Connection attempts",
    "rejected": "Refused frames, no market data and no answer",
}
EXCHANGE_GAUGES = {
    "live": "Connections that are subscribed",
    "held_bytes": "Bytes in memory, not yet on disk",
}

# Asked for in a thread of the server's; None before the first one.
GetStatus = Callable[[], Status | None]


class Collected:
    """A collector in the words of `prometheus_client`: it turns the newest status into metrics."""

    def __init__(self, status: GetStatus) -> None:
        self._status = status

    def collect(self) -> "Iterator[Metric]":
        """One family for each number, with the exchange and where it fits the symbol as labels."""
        status = self._status()
        if status is None:
            return
        exchanges = [((one.name,), one) for one in status.exchanges]
        symbols = [((one.name, each.symbol), each) for one in status.exchanges for each in one.symbols]
        for names, things, is_counter in (
            (EXCHANGE_COUNTERS, exchanges, True),
            (EXCHANGE_GAUGES, exchanges, False),
            (SYMBOL_COUNTERS, symbols, True),
            (SYMBOL_GAUGES, symbols, False),
        ):
            yield from _families(names, things, is_counter=is_counter)


def _families(
    names: dict[str, str], things: Iterable[tuple[tuple[str, ...], object]], *, is_counter: bool
) -> "Iterator[Metric]":
    # Imported late: an extra, and nothing of it is needed where no port is configured.
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415

    things = list(things)
    for name, meaning in names.items() if things else ():
        values = [(labels, getattr(thing, name)) for labels, thing in things]
        labels = ["exchange", "symbol"][: len(values[0][0])]
        family = (CounterMetricFamily if is_counter else GaugeMetricFamily)(
            f"crypto_lake_{name}", meaning, labels=labels
        )
        for these, value in values:
            if value is not None:
                family.add_metric(these, value)
        yield family


@contextlib.contextmanager
def serving(port: int | None, status: GetStatus) -> Iterator[None]:
    """Answer scrapes on loopback while the block runs; nothing at all for a port of None.

    Raises:
        ConfigError: the extra is not installed, or the port is taken.
    """
    if port is None:
        yield
        return
    try:
        from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            'collector.metrics_port: needs prometheus-client: pip install "crypto-lake[metrics]"'
        ) from None
    registry = CollectorRegistry(auto_describe=False)
    try:
        server, thread = start_http_server(port, _HOST, registry)
    except OSError as error:
        raise ConfigError(f"collector.metrics_port: {port} cannot be listened on: {error}") from None
    registry.register(Collected(status))
    logger.info("metrics on http://{}:{}/metrics", _HOST, port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
