"""What Dagster's page is told: words that come from an exchange stay words."""

import dagster as dg

from crypto_lake import checks
from crypto_lake.ask.latency import Latency
from crypto_lake.checks import Verdict
from crypto_lake.completeness.backfill import Backfilled, Day
from crypto_lake.completeness.healed import Healed
from crypto_lake.config import Config
from crypto_lake.defs import metadata
from crypto_lake.exchanges.base import Usage
from crypto_lake.series import Series
from crypto_lake.transform.daily import Compacted
from crypto_lake.transform.quote_fit import Hits
from crypto_lake.transform.ticks import Ticks
from crypto_lake_tests.raw_lines import DAY

MANY = [f"S{n:04d}USDT" for n in range(2000)]


def test_an_exchanges_words_become_no_link_picture_or_column_in_a_table() -> None:
    words = "![x](http://evil/x.png) <img src=x> `a` | b\n| c \x1b[31m https://u:CANARY@host/p"
    told = metadata._table([{"reason": words, "n": 1}]).md_str
    assert told is not None
    assert told.splitlines()[-1] == (
        "| !\\[x](http://evil/x.png) \\<img src=x> \\`a\\` \\| b \\| c \\\\x1b\\[31m https://host/p | 1 |"
    )


def test_what_dagster_keeps_of_two_thousand_symbols_is_what_it_keeps_of_a_few(lake: Config) -> None:
    for symbol in MANY:
        lake.layout.parts_day("binance", symbol, DAY).mkdir(parents=True)
    file = lake.layout.base / "a"
    file.touch()
    ones = dict.fromkeys(("rows", "trades", "quotes", "bytes"), 1)
    numbers = [{"exchange": "binance", "symbol": one, "unobserved": n} | ones for n, one in enumerate(MANY)]
    counts = dict.fromkeys(MANY, 3)
    all_told = {
        "day": metadata.of_day(numbers),
        "places": metadata.places([Series(lake, "binance", one) for one in MANY], DAY),
        "hits": metadata.of_hits({one: Hits(0.9, 1.0) for one in MANY}),
        "daily": metadata.of_daily([Compacted(one, DAY, file, 1, "0" * 64, True) for one in MANY], {}),
        "ticks": metadata.of_ticks(
            [
                Ticks(one, DAY, {"trades": 1, "quotes": 1}, {"trades": file, "quotes": file}, True)
                for one in MANY
            ],
            {one: Latency(1.0, 2.0) for one in MANY},
        ),
        "candles": metadata.of_candles(
            Day(DAY, [Backfilled(one, DAY, file, 1440, 0, fetched=True) for one in MANY], Usage(1, 1))
        ),
        "heal": metadata.of_heal([Healed(one, DAY, too_many=True) for one in MANY]),
        "verdict": metadata.of_verdict(
            Verdict(checks.NO_MISSING_SECONDS, DAY, counts, {one: [{"a": 1}] * 3 for one in MANY})
        ),
    }
    for name, told in all_told.items():
        event = dg.AssetMaterialization("a", metadata=told)
        assert len(dg.serialize_value(event)) < 10_000, name
        assert len(told) < 30, name


def test_of_many_symbols_the_worst_are_told(lake: Config) -> None:
    counts = dict.fromkeys(MANY, 0) | {"S1234USDT": 7}
    told = metadata.of_verdict(Verdict(checks.NO_MISSING_SECONDS, DAY, counts))
    assert (told["offending_rows"], told["offending_rows_S1234USDT"], told["symbols_checked"]) == (7, 7, 2000)
