"""Checks of a finished day's ticks: are the columns right, is a trade missing, are the bytes those verified."""

from pathlib import Path

from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.disk import parquet
from crypto_lake.raw import numbering
from crypto_lake.raw.lines import QUOTE, TICKS, TRADE, Stream


def schema(subject: Subject) -> Rows:
    """Files whose columns are not those declared for their stream."""
    return [
        {"file": f"{stream.table}/{path.name}", "difference": difference}
        for stream in TICKS
        if (path := _file_of(subject, stream)) in subject.files
        for difference in parquet.schema_differences(path, stream.columns)
    ]


def _file_of(subject: Subject, stream: Stream) -> Path:
    series = subject.series
    return series.layout.ticks(series.exchange, series.symbol, stream.table, subject.day)


def missing_trades(subject: Subject) -> Rows:
    """Every hole in the ids of the trades that are kept: `first_id` to `last_id` are missing."""
    if subject.exchange.trade_ids != "contiguous":
        return []
    trades = _file_of(subject, TRADE)
    if trades not in subject.files:
        return [{"file": TRADE.table, "difference": f"is missing; the {QUOTE.table} are there"}]
    table = {"trades": parquet.scan([trades])}
    before = subject.trade_id_before()
    return subject.query("ticks_contiguous", table, last_id_before=before, **numbering.MOST)
