"""What is to be sent is made once, ahead of its time, however many listen."""

from collections import Counter
from collections.abc import Iterator

from crypto_lake.simulator.binance import wire
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.market.tape import Quote, Trade
from crypto_lake.simulator.server.program import Program

from .conftest import NOON_US

SYMBOLS = [f"A{number}USDT" for number in range(30)]


class Counted(SyntheticMarket):
    """A market that knows how often each symbol was asked for."""

    asked: Counter[str]

    def events(self, symbol: str, start_us: int, end_us: int) -> Iterator[Trade | Quote]:
        self.asked[symbol] += 1
        return super().events(symbol, start_us, end_us)


def market() -> Counted:
    made = Counted(7, SYMBOLS)
    made.asked = Counter()
    return made


def test_a_stretch_holds_all_events_of_its_symbols_in_the_order_of_their_times() -> None:
    tape = market()
    program = Program(tape, speed=1)
    first = program.stretch_of(NOON_US)
    planned = [one for stretch in (first, first + 1) for one in program.planned(SYMBOLS[:5], stretch, 1)]
    start, end = first * program.stretch_us, (first + 2) * program.stretch_us
    events = [(name, event) for name in SYMBOLS[:5] for event in tape.events(name, start, end)]
    expected = [
        (name, wire.payload(name, event, 1)) for name, event in sorted(events, key=lambda one: one[1].sent_us)
    ]
    assert [(one.stream.partition("@")[0].upper(), one.text) for one in planned] == expected
    assert all(isinstance(one.event, Trade) == one.stream.endswith("@trade") for one in planned)


def test_a_symbol_is_asked_for_once_a_stretch_by_however_many_connections() -> None:
    tape = market()
    program = Program(tape, speed=1)
    stretch = program.stretch_of(NOON_US)
    drawn = sum(1 for _ in program.ahead(SYMBOLS, stretch, 1))
    for _ in range(3):
        program.planned(SYMBOLS, stretch, 1)
        assert list(program.ahead(SYMBOLS, stretch, 1)) == []
    assert drawn == len(SYMBOLS)
    assert tape.asked == Counter(SYMBOLS)


def test_a_market_of_many_symbols_keeps_few_blocks_beside_those_being_sent() -> None:
    tape = market()
    for hours in range(3):
        for symbol in SYMBOLS:
            tape.recent_trades(symbol, 5, NOON_US + hours * 3_600_000_000)
    for cache in (tape.shared.trades, tape.shared.book):
        assert cache.cache_info().currsize <= len(SYMBOLS) + 16
