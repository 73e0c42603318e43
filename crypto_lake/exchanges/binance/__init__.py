"""Binance spot. Where a number or a promise comes from is said beside it, or in the module that uses it.

Documents are binance-spot-api-docs (2026-07-17), unless said otherwise; "measured" is on captures of 2023 to 2025.

Answers leave this package as raw lines and candles, checked; what becomes of them is decided elsewhere. The bundled
exchange's side of the same protocols is in `simulator/binance`.
"""

from datetime import date

from crypto_lake.exchanges.base import Archive, BulkClient, Client, Exchange, Limits
from crypto_lake.exchanges.binance.wire import WIRE
from crypto_lake.exchanges.capabilities import Capabilities, PastTrades


# Both import late: httpx costs a tenth of a second and 10 MB, which a command that asks no exchange does not need.
def _rest(rest_url: str) -> Client:
    from crypto_lake.exchanges.binance.http import BinanceHttp  # noqa: PLC0415
    from crypto_lake.exchanges.binance.rest import BinanceRest  # noqa: PLC0415

    return BinanceRest(BinanceHttp(rest_url))


def _archive(rest_url: str, archive_url: str) -> BulkClient:
    from crypto_lake.exchanges.binance.archive import BinanceArchive  # noqa: PLC0415
    from crypto_lake.exchanges.binance.http import BinanceHttp  # noqa: PLC0415
    from crypto_lake.exchanges.binance.rest import BinanceRest  # noqa: PLC0415

    return BinanceArchive(BinanceHttp(archive_url), BinanceRest(BinanceHttp(rest_url)))


EXCHANGE = Exchange(
    wire=WIRE,
    rest=_rest,
    archive=Archive("https://data.binance.vision", _archive),
    limits=Limits(
        streams_a_connection=1024,
        # A request of so many names has 5 kB; no limit of its length is documented.
        streams_a_request=200,
        # Five messages a second, our answers to its pings included.
        request_pace_sec=0.3,
        # It ends a connection after 24 hours.
        renew_sec=85_800,
        connection_sec=86_400,
        # Of 300 in 5 minutes that it allows an address, which others may share.
        attempts=200,
        attempts_within_sec=300,
    ),
    capabilities=Capabilities(
        # Measured, not promised: 66,380 trades of five captures without a hole.
        trade_ids="contiguous",
        # historicalTrades, `limit` 1000 at most.
        past_trades=PastTrades(by="id", at_once=1000),
        candles="with taker volumes",
        # `u`, rising and not contiguous; a book ticker has no time.
        quotes_have_id=True,
        quotes_have_time=False,
        # Measured, not promised: 111,995 events of three symbols without a break, and the newest quote up to the end of
        # each equals the book that they make, but for two.
        depth=True,
    ),
    # It opened in July 2017.
    first_day=date(2017, 7, 1),
)
