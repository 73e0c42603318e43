"""The table of streams, and the lines themselves."""

from collections.abc import Callable

import msgspec
import pytest

from crypto_lake import schema
from crypto_lake.raw.lines import (
    RECEIVED,
    STREAMS,
    TICKS,
    DepthLine,
    QuoteLine,
    RawLine,
    Stream,
    TradeLine,
    decode,
    decoder,
    is_book_line,
    is_raw_line,
    of_family,
    stream_of,
)

TRADE = TradeLine(
    "SOLUSDT",
    1_760_918_400_000_000,
    1_760_918_400_000_002,
    3,
    "190.12",
    "16.2",
    "sell",
    None,
    None,
    None,
    None,
)
QUOTE = QuoteLine("SOLUSDT", None, 1_760_918_400_000_002, 3, None, None, None, "190.1", "5", "190.2", "7")
DEPTH = DepthLine("SOLUSDT", 1_760_918_400_000_000, 1_760_918_400_000_002, 2, 3, (("190.12", "5"),), ())
LINES = [TRADE, QUOTE]


@pytest.mark.parametrize("stream", STREAMS, ids=[stream.name for stream in STREAMS])
def test_a_line_of_each_stream_has_the_keys_of_the_schema_in_order(stream: Stream) -> None:
    assert ["stream", *stream.line.__struct_fields__] == schema.names(schema.RAW_LINE)


@pytest.mark.parametrize("stream", STREAMS, ids=[stream.name for stream in STREAMS])
def test_what_a_line_says_of_its_stream_is_the_name_in_the_table(stream: Stream) -> None:
    assert stream.line.__struct_config__.tag == stream.name


def test_a_trade_is_the_line_of_the_design() -> None:
    line = TradeLine("SOLUSDT", 1, 2, 3, "190.12000000", "16.2", "sell", None, None, None, None)
    assert msgspec.json.encode(line) == (
        b'{"stream":"trade","symbol":"SOLUSDT","ts_event":1,"ts_recv":2,"id":3,"price":"190.12000000","qty":"16.2",'
        b'"side":"sell","bid":null,"bid_qty":null,"ask":null,"ask_qty":null}'
    )


def test_a_quote_is_the_line_of_the_design() -> None:
    line = QuoteLine("SOLUSDT", None, 2, 3, None, None, None, "190.11", "8.589", "190.12", "239.905")
    assert msgspec.json.encode(line) == (
        b'{"stream":"bookTicker","symbol":"SOLUSDT","ts_event":null,"ts_recv":2,"id":3,"price":null,"qty":null,'
        b'"side":null,"bid":"190.11","bid_qty":"8.589","ask":"190.12","ask_qty":"239.905"}'
    )


@pytest.mark.parametrize("line", LINES)
def test_a_line_read_back_is_the_line_that_was_written(line: RawLine) -> None:
    assert decode(msgspec.json.encode(line)) == line


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_lacks_a_key_is_none(line: RawLine) -> None:
    whole = msgspec.json.decode(msgspec.json.encode(line))
    assert is_raw_line(msgspec.json.encode(whole), "SOLUSDT")
    for key in whole:
        less = {name: value for name, value in whole.items() if name != key}
        assert not is_raw_line(msgspec.json.encode(less), "SOLUSDT")


@pytest.mark.parametrize("is_line", [is_raw_line, is_book_line])
@pytest.mark.parametrize(
    ("more", "is_one"),
    [
        (b'"x":{"id":1,"id":2}', True),
        (b'"X":1,"x":2,"ID":3', True),
        (b'"x":1' + b"0" * 5000, True),
        (b'"id":3', False),
        (b'"i\\u0064":3', False),
        (b'"x":"\xff"', False),
        (b'"\xff":1', False),
    ],
)
def test_a_line_with_more_is_one_where_its_own_keys_are_there_once_and_all_is_text(
    is_line: Callable[[bytes, str], bool], more: bytes, is_one: bool
) -> None:
    written = msgspec.json.encode(TRADE if is_line is is_raw_line else DEPTH)
    assert is_line(written, "SOLUSDT")
    assert is_line(written.removesuffix(b"}") + b"," + more + b"}", "SOLUSDT") is is_one


@pytest.mark.parametrize("line", LINES)
def test_a_line_with_the_values_of_another_stream_is_none(line: RawLine) -> None:
    said = msgspec.json.decode(msgspec.json.encode(line))
    said["stream"] = next(stream.name for stream in STREAMS if stream is not stream_of(line))
    assert not is_raw_line(msgspec.json.encode(said), "SOLUSDT")


def test_a_stream_that_lies_in_segments_of_its_own_is_not_among_the_ticks() -> None:
    apart = STREAMS[0]._replace(name="depth", family="depth")
    assert of_family(RECEIVED, [*STREAMS, apart]) == TICKS
    assert of_family("depth", [*STREAMS, apart]) == (apart,)


class Pulse(msgspec.Struct, tag_field="stream", tag="pulse"):
    symbol: str
    id: int


def test_a_table_with_another_stream_reads_its_lines_as_well() -> None:
    pulse = STREAMS[0]._replace(name="pulse", line=Pulse)
    read = decoder([*STREAMS, pulse]).decode
    assert read(b'{"stream":"pulse","symbol":"SOLUSDT","id":7}') == Pulse("SOLUSDT", 7)
    assert read(msgspec.json.encode(TRADE)) == TRADE
