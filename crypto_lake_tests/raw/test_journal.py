import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from crypto_lake.layout import DAY_US, HOUR_US, Layout, day_of
from crypto_lake.raw import journal, journal_writer
from crypto_lake.raw import records as kinds
from crypto_lake.raw.journal import AnyRecord, Contents, Gap, OfSymbol, Record, Sealed, Started, Stopped
from crypto_lake.raw.journal_writer import JournalWriter

DAY = date(2025, 10, 20)
NOON_US = 1_760_961_600_000_000

# What a record of a silent stretch knows of lines.
NOTHING = dict.fromkeys(
    ("recv_from", "recv_to", "event_from", "event_to", "first_trade_id", "last_trade_id"), None
)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(min_value=0, max_value=2**63 - 1)
instants = st.integers(min_value=0, max_value=4_102_444_799_999_999)
offsets = st.integers(min_value=-4_102_444_799_999_999, max_value=4_102_444_799_999_999)
# What a field of a record may be, by its annotation.
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    kinds.Instant: instants,
    kinds.Offset: offsets,
    kinds.Count: numbers,
    str: texts,
    kinds.Instant | None: st.none() | instants,
    kinds.Offset | None: st.none() | offsets,
    kinds.Id | None: st.none() | numbers,
    str | None: st.none() | texts,
    Contents: st.builds(Contents, st.none() | instants, *[st.none() | texts] * 3),
    list[str]: st.lists(texts, max_size=3),
    list[tuple[kinds.Instant, kinds.Instant]]: st.lists(
        st.integers(NOON_US, NOON_US + HOUR_US).map(lambda us: (us, us + HOUR_US)), max_size=3
    ),
}


def records_of(kind: type[Record]) -> st.SearchStrategy[Any]:
    """Records of one kind, with whatever its fields' types allow; those that contradict themselves are put right."""
    fields = {field.name: VALUES[field.type] for field in msgspec.structs.fields(kind)}
    if issubclass(kind, OfSymbol):
        fields["symbol"] = st.sampled_from(["SOLUSDT", "ADAUSDT"])
    return st.builds(kind, **fields).map(_put_right)


def _put_right(record: Any) -> Any:  # noqa: ANN401 - of any kind
    if isinstance(record, Gap):
        ids = sorted([record.first_id, record.last_id])
        return msgspec.structs.replace(record, first_id=ids[0], last_id=ids[1])
    if isinstance(record, Sealed):
        ends = dict.fromkeys(("recv_from", "recv_to"), NOON_US) if record.recv_from is not None else NOTHING
        return msgspec.structs.replace(record, **(NOTHING | ends))
    if isinstance(record, kinds.DepthSealed):
        pairs = dict.fromkeys(("event_from", "event_to", "first_id", "last_id"))
        received = dict.fromkeys(("recv_from", "recv_to"), NOON_US)
        return msgspec.structs.replace(record, snapshots=record.lines, **pairs, **received)
    return record


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture(scope="module")
def new_layout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Layout]:
    """Give each example a lake of its own. Pytest, for each, would look through all folders that it ever made."""
    folder, numbers = tmp_path_factory.mktemp("lakes"), count()
    return lambda: Layout(folder / str(next(numbers)))


def read(layout: Layout, day: date = DAY) -> list[AnyRecord]:
    """What the journal that all symbols share says of a day."""
    return list(journal.read(layout.journal("binance", day)))


def read_of(layout: Layout, symbol: str, day: date = DAY) -> list[AnyRecord]:
    """What a symbol's own journal says of a day."""
    return list(journal.read(layout.symbol_journal("binance", symbol, day)))


def stopped(reason: str, at: int = NOON_US) -> Stopped:
    return Stopped(at=at, reason=reason)


def write(layout: Layout, content: bytes) -> Path:
    """A journal as an earlier process left it."""
    path = layout.journal("binance", DAY)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _leaves(kind: type[Record]) -> set[type[Record]]:
    below = kind.__subclasses__()
    return {leaf for one in below for leaf in _leaves(one)} if below else {kind}


def test_the_kinds_are_all_records_that_there_are() -> None:
    assert set(journal.KINDS) == set(get_args(AnyRecord)) == _leaves(Record)
    tags = [kind.__struct_config__.tag for kind in journal.KINDS]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize("kind", journal.KINDS, ids=lambda kind: kind.__struct_config__.tag)
# Of a lake with many records rather than of many lakes, each of which takes longer to make than to write to.
@settings(max_examples=25)
@given(data=st.data())
def test_a_record_of_any_kind_reads_as_it_was_written(
    new_layout: Callable[[], Layout], kind: type[Record], data: st.DataObject
) -> None:
    layout = new_layout()
    written = data.draw(st.lists(records_of(kind), min_size=1, max_size=12))
    diary = JournalWriter(layout, "binance")
    for record in written:
        diary.write(record, DAY)
    if issubclass(kind, OfSymbol):
        assert read(layout) == []
        for symbol in {record.symbol for record in written if isinstance(record, OfSymbol)}:
            of_symbol = [one for one in written if isinstance(one, OfSymbol) and one.symbol == symbol]
            assert read_of(layout, symbol) == of_symbol
    else:
        assert read(layout) == written


@given(records_of(Stopped))
def test_a_record_is_one_line_that_names_its_kind(new_layout: Callable[[], Layout], record: Stopped) -> None:
    layout = new_layout()
    JournalWriter(layout, "binance").write(record, DAY)
    content = layout.journal("binance", DAY).read_bytes()
    assert content.count(b"\n") == 1
    assert content.endswith(b"}\n")
    assert msgspec.json.decode(content)["kind"] == "stopped"


def test_a_record_goes_to_the_day_it_was_written_on(layout: Layout) -> None:
    diary = JournalWriter(layout, "binance")
    for at in (NOON_US, NOON_US + DAY_US):
        diary.write(stopped("x", at))
        assert read(layout, day_of(at)) == [stopped("x", at)]


def test_a_record_may_be_told_its_day(layout: Layout) -> None:
    JournalWriter(layout, "binance").write(stopped("x", NOON_US + DAY_US), DAY)
    assert read(layout) == [stopped("x", NOON_US + DAY_US)]


def test_exchanges_have_journals_of_their_own(layout: Layout) -> None:
    JournalWriter(layout, "binance").write(stopped("x"))
    JournalWriter(layout, "other").write(stopped("y"))
    assert read(layout) == [stopped("x")]


def test_a_record_is_there_for_others_when_write_returns(layout: Layout) -> None:
    diary = JournalWriter(layout, "binance")
    for number in range(3):
        diary.write(stopped(str(number)))
        assert len(read(layout)) == number + 1


def test_a_second_process_goes_on_where_the_first_ended(layout: Layout) -> None:
    for reason in ("first", "second"):
        JournalWriter(layout, "binance").write(stopped(reason))
    assert read(layout) == [stopped("first"), stopped("second")]


def test_a_day_without_a_journal_has_no_records(layout: Layout) -> None:
    assert read(layout) == []


@pytest.mark.parametrize("size", range(len(b'{"kind":"stopped","at":2,"reason":"b"}')))
def test_a_record_torn_at_any_byte_is_left_out_by_readers_and_cut_by_the_next_writer(
    layout: Layout, size: int
) -> None:
    whole, torn = (msgspec.json.encode(stopped(reason, at)) for reason, at in (("a", 1), ("b", 2)))
    write(layout, whole + b"\n" + torn[:size])
    assert read(layout) == [stopped("a", 1)]
    JournalWriter(layout, "binance").write(stopped("c"))
    assert read(layout) == [stopped("a", 1), stopped("c")]


def test_the_first_record_of_all_may_be_torn(layout: Layout) -> None:
    write(layout, b'{"kind":')
    assert read(layout) == []
    JournalWriter(layout, "binance").write(stopped("c"))
    assert read(layout) == [stopped("c")]


WRONG = [
    b"",
    b"nonsense",
    b"{}",
    b'{"kind":"stopped","at":"x","reason":""}',
    b'{"kind":"sto{"kind":"stopped","at":1,"reason":"b"}',
    b"\xff\xfe",
    b"\0" * 5000,
    b'{"kind":"nonsense","at":1}',
    b'{"kind":"sealed","at":1760961600000000}',
]


@pytest.fixture
def logged() -> Iterator[list[str]]:
    messages: list[str] = []
    logger.enable("crypto_lake")
    sink = logger.add(messages.append, format="{message}")
    yield messages
    logger.remove(sink)


@pytest.mark.parametrize("line", WRONG)
def test_a_line_that_is_no_record_is_left_out_and_told_once(
    layout: Layout, logged: list[str], line: bytes
) -> None:
    a, b = (msgspec.json.encode(stopped(reason)) + b"\n" for reason in "ab")
    path = write(layout, a + line + b"\n" + b)
    for _ in range(3):
        assert read(layout) == [stopped("a"), stopped("b")]
    assert logged == [f"{path}: 1 lines are no journal records, and are left out\n"]
    assert not journal.is_record(line)


def _sealed(**changed: object) -> bytes:
    """A record of a segment's minute, with some fields changed."""
    end = NOON_US + 60_000_000
    fields: dict[str, object] = {
        "kind": "sealed",
        "at": end,
        "symbol": "SOLUSDT",
        "segment": "part_0001.jsonl",
        "lines": 2,
        "size": 300,
        "recv_from": NOON_US,
        "recv_to": end,
        "event_from": NOON_US - 80_000,
        "event_to": end - 80_000,
        "offset_us": 80_000,
        "listened": [[NOON_US, end]],
        "first_trade_id": 1,
        "last_trade_id": 2,
    }
    return msgspec.json.encode(fields | changed)


NOT_MEANT = {
    "a time after 2100": {"event_to": 9_760_961_600_000_000},
    "a time before 1970": {"event_from": -795},
    "the largest number": {"event_to": 2**63 - 1},
    "an end before its beginning": {"event_to": NOON_US - DAY_US},
    "an end without a beginning": {"event_from": None},
    "events of no lines": {"recv_from": None, "recv_to": None},
    "an absurd offset": {"offset_us": 2**62},
    "a negative id": {"first_trade_id": -1},
    "ids in no order": {"first_trade_id": 3},
    "lines by the minus": {"lines": -2},
    "listening until 2100": {"listened": [[NOON_US, 9_760_961_600_000_000]]},
    "listening for a day": {"listened": [[NOON_US, NOON_US + DAY_US]]},
    "listening backwards": {"listened": [[NOON_US, NOON_US - 1]]},
    "listening on another day": {"listened": [[NOON_US + 5 * DAY_US, NOON_US + 5 * DAY_US + 1]]},
    "receipt on another day": {"recv_to": NOON_US + 5 * DAY_US},
}


@pytest.mark.parametrize("changed", NOT_MEANT.values(), ids=NOT_MEANT.keys())
def test_a_record_whose_numbers_cannot_be_meant_is_left_out_and_told_once(
    layout: Layout, logged: list[str], changed: dict[str, object]
) -> None:
    path = write(layout, _sealed() + b"\n" + _sealed(**changed) + b"\n")
    for _ in range(2):
        assert len(read(layout)) == 1
    assert logged == [f"{path}: 1 lines are no journal records, and are left out\n"]


@pytest.mark.parametrize("changed", NOT_MEANT.values(), ids=NOT_MEANT.keys())
def test_a_record_in_a_symbols_own_journal_is_judged_by_the_day_of_its_folder(
    layout: Layout, logged: list[str], changed: dict[str, object]
) -> None:
    path = layout.symbol_journal("binance", "SOLUSDT", DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(_sealed() + b"\n" + _sealed(**changed) + b"\n" + b"\0" * 99 + _sealed() + b"\n{tor")
    assert len(read_of(layout, "SOLUSDT")) == 2
    assert logged == [f"{path}: 2 lines are no journal records, and are left out\n"]


def test_a_torn_end_of_a_symbols_own_journal_is_cut_by_the_next_writer(layout: Layout) -> None:
    gap = Gap(at=NOON_US, symbol="SOLUSDT", first_id=1, last_id=2, event_from=1, event_to=2)
    JournalWriter(layout, "binance").write(gap)
    path = layout.symbol_journal("binance", "SOLUSDT", DAY)
    path.write_bytes(path.read_bytes() + b'{"kind":"gap"')
    JournalWriter(layout, "binance").write(gap)
    assert read_of(layout, "SOLUSDT") == [gap, gap]
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("kind", ["clock_offset", "gap", "sealed", "stopped"])
@pytest.mark.parametrize("number", [2**63 - 1, 2**63, -1, 10**400])
def test_no_time_of_a_record_is_beyond_a_calendar(layout: Layout, kind: str, number: int) -> None:
    fields: dict[str, dict[str, object]] = {
        "clock_offset": {"at": NOON_US, "minute": number, "offset_us": 0, "trades": 5},
        "gap": {
            "at": NOON_US,
            "symbol": "X",
            "first_id": 1,
            "last_id": 2,
            "event_from": 0,
            "event_to": number,
        },
        "stopped": {"at": number, "reason": ""},
    }
    fields["sealed"] = msgspec.json.decode(_sealed()) | {"at": 1}
    if kind == "sealed":
        fields["sealed"]["recv_to"] = 10**18 if number > 0 else number
    write(layout, json.dumps({"kind": kind} | fields[kind]).encode() + b"\n")
    assert read(layout) == []


def test_a_record_that_stands_whole_beside_a_block_of_nuls_counts(layout: Layout) -> None:
    a, b = (msgspec.json.encode(stopped(reason)) + b"\n" for reason in "ab")
    write(layout, a + b"\0" * 4096 + b)
    assert read(layout) == [stopped("a"), stopped("b")]


def test_a_record_of_a_later_version_is_left_out_and_stays_a_record(layout: Layout) -> None:
    line = b'{"kind":"unheard of","at":1760961600000000,"more":[]}'
    write(layout, line + b"\n")
    assert read(layout) == []
    assert journal.is_record(line)


def test_a_record_of_a_later_version_is_no_error(layout: Layout, logged: list[str]) -> None:
    path = write(layout, b'{"kind":"unheard of","at":1760961600000000}\n')
    read(layout)
    assert logged == [f"{path}: 1 records are of a later version, and are left out\n"]


def test_records_of_one_kind_are_found_among_others() -> None:
    gap = Gap(at=1, symbol="SOLUSDT", first_id=2, last_id=3, event_from=4, event_to=5)
    assert list(journal.of_kind([stopped("a"), gap, stopped("b")], Gap)) == [gap]
    assert list(journal.of_kind([stopped("a")], Started)) == []


def test_a_file_is_known_by_its_name() -> None:
    assert journal.file_name(Path("a") / "part_0001.jsonl") == "part_0001.jsonl"
    assert journal.file_name(None) is None


@contextlib.contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """The system's own limit: a write that would pass it takes a part, the next is refused."""
    resource = pytest.importorskip("resource", reason="only POSIX limits the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_whole_records_and_the_next_one_follows_them(layout: Layout) -> None:
    diary = JournalWriter(layout, "binance")
    diary.write(stopped("before"))
    path = layout.journal("binance", DAY)
    before = path.read_bytes()
    with files_limited_to(len(before) + 10), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        diary.write(stopped("too much"))
    assert path.read_bytes() == before
    diary.write(stopped("after"))
    assert read(layout) == [stopped("before"), stopped("after")]


def test_a_tail_that_could_not_be_undone_is_cut_before_the_next_record(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(file: BinaryIO, content: bytes) -> None:
        file.write(content[:5])
        raise OSError(errno.EIO, "input/output error")

    diary = JournalWriter(layout, "binance")
    diary.write(stopped("before"))
    with monkeypatch.context() as patch:
        patch.setattr(journal_writer, "write_whole", torn)
        with pytest.raises(OSError, match="input/output error"):
            diary.write(stopped("lost"))
    diary.write(stopped("after"))
    assert read(layout) == [stopped("before"), stopped("after")]
