"""Our 1-minute bars held against the exchange's own candles, nine columns to the last bit."""

import itertools
from dataclasses import replace

import pyarrow as pa
from pyarrow import parquet as pq

from crypto_lake import sql
from crypto_lake.checks.reference import NINE
from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.completeness import holes
from crypto_lake.disk import parquet
from crypto_lake.errors import ExchangeError
from crypto_lake.layout import MINUTE_US
from crypto_lake.transform import longer


def differences_from_exchange(subject: Subject) -> Rows:
    """Minutes that differ from the exchange's. Where trades may be missing they have a `reason`, and are stretches."""
    if subject.exchange.candles == "none":
        return []
    try:
        candles = subject.reference.of(subject.series, subject.day)
    except ExchangeError as error:
        return [{"reason": f"the exchange gave no candles to compare with: {error}"}]
    rows = differences(subject, candles)
    return [row for row in rows if not row["reason"]] + _stretches([row for row in rows if row["reason"]])


def differences_from_backfill(subject: Subject) -> Rows:
    """Backfilled candles that differ from what we recorded of the same minutes, where nothing of these is missing."""
    series, (path,) = subject.series, subject.files
    if not parquet.is_readable(path):
        return [{"reason": f"{path}: damaged; fetch its day anew (crypto-lake backfill --date)"}]
    candles = pq.read_table(path, columns=["window_start", *NINE])
    recorded = series.layout.bar_files(series.exchange, series.symbol, subject.day)
    rows = differences(replace(subject, files=recorded), candles) if recorded else []
    return [row for row in rows if not row["reason"] and row["candle"]]


def differences(subject: Subject, candles: pa.Table) -> Rows:
    """Minutes that differ from candles, which are a table of `window_start` and the columns `reference.NINE`.

    `candle` says whether there is a candle of the minute, `reason` why a trade of it may be missing, null: none may.
    """
    if MINUTE_US % subject.step:
        return [{"reason": "bars of this length do not make up minutes", "candle": False}]
    found = holes.find(subject.connection, subject.series, subject.day, subject.now_us)
    variables = {
        "step": subject.step,
        "contiguous": subject.exchange.trade_ids == "contiguous",
        "taker_volumes": subject.exchange.candles == "with taker volumes",
        "holes": sql.stretches((hole.after_us, hole.before_us) for hole in found),
        "id_before": subject.trade_id_before(),
        "id_after": subject.trade_id_after(),
    }
    # Of their own, since views and macros stay with a database.
    with parquet.connect() as own:
        own.register("candles", candles)
        longer.add_exactly(own)
        longer.define(own, "longer", parquet.scan(subject.files), subject.step, proved=False)
        bars = {**subject.bars, "bars_1m": f"longer({MINUTE_US})"}
        return replace(subject, connection=own).query("equals_exchange_candles", bars, **variables)


def _stretches(rows: Rows) -> Rows:
    """Minutes that differ for the same reason, told as one row."""
    return [
        {"reason": reason, "minutes": len(minutes), "first": minutes[0], "last": minutes[-1]}
        for reason, group in itertools.groupby(rows, key=lambda row: str(row["reason"]))
        if (minutes := [row.get("minute") for row in group])
    ]
