"""A lake of some finished days of some symbols, whose minutes are files, made in no time."""

from datetime import date, timedelta

from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.layout import DAY_US, MINUTE_US, SECOND_US, day_start_us
from crypto_lake.schema import BAR
from crypto_lake_tests.raw_lines import DAY

SYMBOLS = ("ADAUSDT", "SOLUSDT", "SUIUSDT")
DAYS = tuple(DAY + timedelta(days=n) for n in range(4))
# The days before have minutes.
IN_PROGRESS = DAYS[-1]
_BARS = """
SELECT
    '{symbol}' AS symbol, make_timestamptz({begin} + range * {step}) AS window_start, o AS open, o + 1 AS high,
    o - 1 AS low, o AS close, 1.5 AS volume_base, 1.5 * o AS volume_quote, 0.5 AS taker_buy_base,
    0.5 * o AS taker_buy_quote, o AS vwap, 2 AS trade_count, 3 AS quote_count, o AS bid, 1 AS bid_qty, o AS ask,
    1 AS ask_qty, 0 AS spread, true AS observed, range AS first_trade_id, range AS last_trade_id
FROM (SELECT *, 100 + range % 7 AS o FROM range({count}))
"""


def write(config: Config) -> None:
    """Write minutes and daily files of the days but the last, of which there is an hour, for each symbol."""
    layout = config.layout
    with parquet.connect() as connection:

        def bars(symbol: str, day: date, step: int, count: int) -> str:
            rows = _BARS.format(symbol=symbol, begin=day_start_us(day), step=step, count=count)
            shown = ", ".join(f"{column.name}::{column.type} AS {column.name}" for column in BAR)
            return f"SELECT {shown} FROM ({rows})"

        for symbol in SYMBOLS:
            for day in DAYS[:-1]:
                of_day = "binance", symbol, day
                for path, step in (
                    (layout.daily(*of_day), 3_600 * SECOND_US),
                    (layout.minutes(*of_day), MINUTE_US),
                ):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    parquet.copy(connection, bars(symbol, day, step, DAY_US // step), path)
            part = layout.part("binance", symbol, IN_PROGRESS, 0)
            part.parent.mkdir(parents=True)
            parquet.copy(connection, bars(symbol, IN_PROGRESS, SECOND_US, 3_600), part)
