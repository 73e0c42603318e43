"""An exchange that there is not, unlike Binance in all that an exchange may differ in: `wire.py` and `rest.py` are it.

Several trades come in one message, prices are JSON numbers, ids rise and skip, past trades are asked for by time, and
candles do not tell what takers bought. `server.py` plays it on loopback; the tests beside it need nothing else.
"""

from datetime import date

from crypto_lake.exchanges.base import Client, Exchange, Limits
from crypto_lake.exchanges.capabilities import Capabilities, PastTrades

from .wire import WIRE


def _rest(rest_url: str) -> Client:
    from .rest import MadeUpRest  # noqa: PLC0415 - a collector needs no HTTP client

    return MadeUpRest(rest_url)


EXCHANGE = Exchange(
    wire=WIRE,
    rest=_rest,
    archive=None,
    limits=Limits(
        streams_a_connection=50,
        streams_a_request=1,
        request_pace_sec=0.01,
        renew_sec=3000,
        connection_sec=3600,
        attempts=100,
        attempts_within_sec=60,
    ),
    capabilities=Capabilities(
        trade_ids="rising",
        past_trades=PastTrades(by="time", at_once=10),
        candles="without taker volumes",
        quotes_have_id=False,
        quotes_have_time=False,
    ),
    first_day=date(2020, 1, 1),
)
