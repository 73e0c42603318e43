"""The subject of a check, one symbol's day, and how a query of `sql/checks/` is asked about it."""

import contextlib
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
from msgspec import Struct, convert

from crypto_lake import sql
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.config import Checks
from crypto_lake.disk import parquet
from crypto_lake.errors import NOT_JSON
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.capabilities import Capabilities
from crypto_lake.layout import DAY_US, SECOND_US, day_start_us
from crypto_lake.series import Series
from crypto_lake.transform import plan

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Subject:
    """One symbol's day, its `files` as the check's asset has them; `now_us` tells whether that day is over.

    `reference` is where the exchange's own candles come from.
    """

    connection: duckdb.DuckDBPyConnection
    series: Series
    day: date
    now_us: int
    files: list[Path]
    reference: ExchangeCandles

    @property
    def bounds(self) -> Checks:
        """Return the thresholds above which a check warns."""
        return self.series.config.checks

    @property
    def exchange(self) -> Capabilities:
        """Return what the exchange's data can prove."""
        return registry.exchange(self.series.exchange).capabilities

    @property
    def step(self) -> int:
        """The length of a bar, in µs."""
        return self.series.config.transformer.resample_interval_sec * SECOND_US

    @cached_property
    def span(self) -> tuple[int, int]:
        """From when to when there should be bars, in µs: the day, or what was made of a day in progress."""
        start = day_start_us(self.day)
        until = start + DAY_US
        return start, until if self.now_us >= until else self._made_until(start)

    def _made_until(self, start: int) -> int:
        """How far a day in progress was made: its latest part remembers it, and no earlier one can go further."""
        for path in reversed(self.files):
            with contextlib.suppress(*NOT_JSON):
                return convert(parquet.footer(path), _Part).fingerprint.until
        records = plan.remembered(self.series, self.day)
        return max((record.fingerprint["until"] for record in records.values()), default=start)

    @property
    def bars(self) -> sql.Tables:
        """The table `bars`: the rows of `files`."""
        return {"bars": parquet.scan(self.files)}

    def query(self, name: str, tables: sql.Tables, **variables: object) -> Rows:
        """Return the rows of a query of `sql/checks/` over those tables."""
        return sql.rows(sql.ask(self.connection, f"checks/{name}", tables, **variables))

    def trade_id_before(self) -> int | None:
        """The last trade id of the latest earlier day that has trades; None where there is none, or none to read."""
        return self._trade_id(
            "max(last_trade_id)", [day for day in reversed(self.bar_days()) if day < self.day]
        )

    def trade_id_after(self) -> int | None:
        """The first trade id of the earliest later day that has trades; None where there is none, or none to read."""
        return self._trade_id("min(first_trade_id)", [day for day in self.bar_days() if day > self.day])

    def bar_days(self) -> list[date]:
        """The days that have bars, oldest first."""
        return self.series.layout.bar_days(self.series.exchange, self.series.symbol)

    def _trade_id(self, aggregate: str, days: list[date]) -> int | None:
        for day in days:
            scan = parquet.scan(self.series.layout.bar_files(self.series.exchange, self.series.symbol, day))
            try:
                # All of it, though it is one row: a result that is not used up keeps the connection from other work.
                ((found,),) = self.connection.execute(f"SELECT {aggregate} FROM {scan}").fetchall()
            except duckdb.Error:
                # Damaged, and made anew when its own day is: until then nobody knows.
                return None
            if found is not None:
                return int(found)
        return None


class _Fingerprint(Struct):
    until: int
    segments: list[Any]


class _Part(Struct):
    """The memory of a part, as far as it says how far it goes."""

    fingerprint: _Fingerprint
