"""What patterns mean when a collector starts: by the list, by a table of before, or by nothing."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from crypto_lake.config import Config
from crypto_lake.errors import ExchangeError, NoListError, UnknownSymbolError
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.binance.http import BinanceHttp
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.layout import Layout
from crypto_lake.raw import instruments
from crypto_lake.raw.instruments import Instrument
from crypto_lake_tests.collector_daemon.daemon_runs import DAY
from crypto_lake_tests.collector_daemon.fakes import (
    Exchange,
    until,
)
from crypto_lake_tests.collector_daemon.test_follow import has_come, trading
from crypto_lake_tests.collector_daemon.test_universe import nothing, recorded

EARLIER = DAY - timedelta(days=1)


def test_a_pattern_that_matches_nothing_at_the_start_is_one_line(tmp_path: Path, told: list[str]) -> None:
    async def story(config: Config, _exchange: Exchange) -> None:
        await until(has_come(config, "SOLUSDT"), "a line")

    recorded(tmp_path, ["SOLUSDT", "*USTD"], story)
    assert told == ["binance trades nothing that matches *USTD; see exchanges.symbols"]


@pytest.mark.parametrize(
    ("words", "exclude", "line"),
    [
        (["*USTD"], [], "binance: exchanges.symbols (*USTD) and exclude leave nothing that it trades"),
        (["*USDT"], ["all"], "binance: exchanges.symbols (*USDT) and exclude leave nothing that it trades"),
        (
            ["SOLUSDT"],
            ["SOL*"],
            "binance: exchanges.symbols (SOLUSDT) and exclude leave nothing that it trades",
        ),
        (["NOSUCH", "*USDT"], [], "binance does not list NOSUCH; see exchanges.symbols"),
    ],
)
def test_nothing_to_record_and_a_name_that_is_not_listed_are_mistakes_of_the_configuration(
    tmp_path: Path, words: list[str], exclude: list[str], line: str
) -> None:
    with pytest.raises(UnknownSymbolError) as caught:
        recorded(tmp_path, words, nothing, exclude=exclude)
    assert (str(caught.value), caught.value.exit_code) == (line, 2)


def test_without_a_list_at_the_start_patterns_mean_what_the_newest_table_says(
    tmp_path: Path, told: list[str]
) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "ADAUSDT"), "a line")
        exchange.fails_to_list = False
        await until(has_come(config, "SUIUSDT"), "what the table did not have")

    layout = Layout(tmp_path)
    table = {
        one: Instrument(one, "TRADING", trading=True, listed_since=EARLIER) for one in ("SOLUSDT", "ADAUSDT")
    }
    instruments.write(layout, "binance", EARLIER, table)
    exchange = trading()
    exchange.fails_to_list = True
    recorded(tmp_path, ["*USDT"], story, exchange)
    assert told[0].endswith("recording what traded on 2025-10-19")
    listed = instruments.read(layout.reference("binance", DAY))
    assert (listed["SOLUSDT"].listed_since, listed["SUIUSDT"].listed_since) == (EARLIER, DAY)


@pytest.mark.parametrize(("days_ago", "believed"), [(1, False), (2, True)])
def test_at_a_start_a_list_is_held_against_a_table_of_yesterday_and_none_that_is_older(
    tmp_path: Path, days_ago: int, believed: bool
) -> None:
    async def story(config: Config, _exchange: Exchange) -> None:
        await until(has_come(config, "SOLUSDT"), "a line")

    day = DAY - timedelta(days=days_ago)
    names = ("SOLUSDT", "ADAUSDT", "XRPUSDT", "BTCUSDT", "ETHUSDT")
    instruments.write(
        Layout(tmp_path), "binance", day, {one: Instrument(one, "", trading=True) for one in names}
    )
    exchange = trading()
    exchange.listed = ["SOLUSDT"]
    recorded(tmp_path, ["*USDT"], story, exchange)
    asked = {name.partition("@")[0].upper() for name in exchange.asked["SUBSCRIBE"]}
    assert asked == ({"SOLUSDT"} if believed else {*names})


def test_without_a_list_or_a_table_at_the_start_there_is_nothing_to_record(tmp_path: Path) -> None:
    exchange = trading()
    exchange.fails_to_list = True
    with pytest.raises(ExchangeError, match="400"):
        recorded(tmp_path, ["*USDT"], nothing, exchange)


class NamesOnly:
    """A client that can be asked about names, and not for all that the exchange lists."""

    def __init__(self, url: str) -> None:
        self._client = BinanceRest(BinanceHttp(url))

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        return await self._client.listed(symbols)

    async def aclose(self) -> None:
        await self._client.aclose()


def test_an_exchange_that_tells_no_list_is_recorded_by_names_and_by_no_patterns(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "SOLUSDT"), "a line")

    monkeypatch.setattr(registry, "rest_client", lambda _name, url: NamesOnly(url))
    exchange = trading()
    layout = recorded(tmp_path, ["SOLUSDT"], story, exchange)
    assert (exchange.lists_asked, told, layout.references("binance")) == (1, [], [])
    with pytest.raises(NoListError, match="binance tells no list of its symbols; expected names") as caught:
        recorded(tmp_path, ["*USDT"], nothing)
    assert caught.value.exit_code == 2
