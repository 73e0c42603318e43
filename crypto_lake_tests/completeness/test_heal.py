"""Healing against the bundled exchange: what was lost comes back, and daily files are as if nothing had been."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb
import msgspec
import pytest

from crypto_lake.completeness import heal
from crypto_lake.completeness.healed import Healed
from crypto_lake.config import Config
from crypto_lake.layout import MINUTE_US
from crypto_lake.series import Series
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange, running
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, SYMBOL, land, trade
from crypto_lake_tests.recorded_market import (
    MIDNIGHT,
    NEXT,
    OVER,
    QUIET,
    copied,
    cut,
    daily_bytes,
    first_after_midnight,
    random_holes,
    record,
    segments_of,
    trade_ids,
)

FROM, TO = MIDNIGHT - 65 * MINUTE_US, MIDNIGHT + 20 * MINUTE_US


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    exchange = SimulatedExchange(QUIET, MarketClock(OVER), weight_limit=900_000)
    with running(exchange) as found:
        yield found


def whole(duck: duckdb.DuckDBPyConnection, series: Series, *, quotes: bool, journaled: bool) -> None:
    """A recording that lost nothing, and what was made of it."""
    record(series.config, FROM, TO, quotes=quotes, journaled=journaled, market=QUIET)
    daily_bytes(duck, series.config)


@pytest.fixture
def recorded(made: Made, series: Series, tmp_path: Path, address: Address) -> Callable[..., Config]:
    """Fill the lake with a recording; the copy of its raw files is to be broken."""

    def of(*, quotes: bool = True, journaled: bool = True) -> Config:
        made(series, whole, quotes=quotes, journaled=journaled)
        return copied(series.config, tmp_path / "copy", address.rest_url)

    return of


@pytest.fixture
def broken(recorded: Callable[..., Config]) -> Config:
    """The copy of a recorded lake, to be broken."""
    return recorded()


def made_before(lake: Config) -> list[bytes]:
    """The daily files of a lake whose recording lost nothing."""
    return [lake.layout.daily("binance", SYMBOL, day).read_bytes() for day in (DAY, NEXT)]


def healed(
    duck: duckdb.DuckDBPyConnection, lake: Config, days: tuple[date, ...] = (DAY, NEXT)
) -> list[Healed]:
    return [
        one for _, done in heal.heal_days(duck, Series.recorded(lake), days, lambda: OVER) for one in done
    ]


def requests(done: list[Healed]) -> int:
    return sum(one.requests for one in done)


@pytest.mark.parametrize("seed", range(3))
def test_random_holes_are_healed_and_the_daily_files_equal_those_of_a_run_that_lost_nothing(
    lake: Config, broken: Config, duck: duckdb.DuckDBPyConnection, seed: int
) -> None:
    lost = random_holes(trade_ids(lake), seed, 6)
    cut(broken, lost)
    done = healed(duck, broken)
    assert sum(one.fetched for one in done) == len(lost)
    assert daily_bytes(duck, broken) == made_before(lake)
    assert requests(healed(duck, broken)) == 0


@pytest.mark.parametrize("absurd", [10**12, (1 << 63) - 1])
def test_one_absurd_id_keeps_no_hole_from_being_healed(
    lake: Config, broken: Config, duck: duckdb.DuckDBPyConnection, absurd: int
) -> None:
    lost = random_holes(trade_ids(lake), 7, 3)
    cut(broken, lost)
    land(broken, [trade(absurd, MIDNIGHT - 30 * MINUTE_US)])
    assert sum(one.fetched for one in healed(duck, broken)) == len(lost)
    assert requests(healed(duck, broken)) == 0


def test_holes_at_both_ends_and_across_midnight_are_healed_by_what_the_journal_knows(
    lake: Config, broken: Config, duck: duckdb.DuckDBPyConnection
) -> None:
    ids = trade_ids(lake)
    middle = first_after_midnight(QUIET)
    cut(broken, {*ids[:3000], *ids[-700:], *range(middle - 2000, middle + 1500)})
    healed(duck, broken)
    assert trade_ids_with_healed(broken) == ids
    assert daily_bytes(duck, broken) == made_before(lake)
    assert requests(healed(duck, broken)) == 0


def trade_ids_with_healed(lake: Config) -> list[int]:
    """Each as often as it is there."""
    healed_lines = lake.layout.raw_symbol("binance", SYMBOL).glob("*/heal_*.jsonl")
    fetched = [
        msgspec.json.decode(line)["id"] for path in healed_lines for line in path.read_bytes().splitlines()
    ]
    return sorted([*trade_ids(lake), *fetched])


def test_a_lake_that_was_compacted_before_is_healed_as_well(
    lake: Config, broken: Config, duck: duckdb.DuckDBPyConnection
) -> None:
    cut(broken, random_holes(trade_ids(lake), 11, 5))
    assert daily_bytes(duck, broken) != made_before(lake)
    healed(duck, broken)
    assert daily_bytes(duck, broken) == made_before(lake)


@pytest.mark.parametrize("journaled", [True, False])
def test_whole_segments_that_are_gone_are_healed(
    lake: Config, recorded: Callable[..., Config], duck: duckdb.DuckDBPyConnection, *, journaled: bool
) -> None:
    broken = recorded(quotes=False, journaled=journaled)
    gone = segments_of(broken)
    for path in [*gone[3:6], *gone[62:67], gone[-9]]:
        path.unlink()
    cut(broken, random_holes(trade_ids(broken), 5, 4))
    healed(duck, broken)
    assert daily_bytes(duck, broken) == made_before(lake)
    assert requests(healed(duck, broken)) == 0


def test_trades_land_in_the_folder_of_the_day_they_happened_on(
    lake: Config, broken: Config, duck: duckdb.DuckDBPyConnection
) -> None:
    middle = first_after_midnight(QUIET)
    cut(broken, set(range(middle - 3, middle + 2)))
    healed(duck, broken, (NEXT,))
    counts = {
        day: len(broken.layout.segment("binance", SYMBOL, day, 1, "heal").read_bytes().splitlines())
        for day in (DAY, NEXT)
    }
    assert counts == {DAY: 3, NEXT: 2}


def test_a_lake_without_holes_makes_no_request_and_no_file(
    broken: Config, duck: duckdb.DuckDBPyConnection
) -> None:
    assert [(one.missing, one.requests, one.files) for one in healed(duck, broken)] == [(0, 0, 0)] * 2
