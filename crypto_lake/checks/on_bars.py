"""Checks of bars alone, in parts or in daily files: are they all there, once each, and do they add up."""

import contextlib
from typing import Any

from msgspec import Struct, convert

from crypto_lake import sql
from crypto_lake.checks.batch import Batch
from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.disk import checksums, parquet
from crypto_lake.errors import NOT_JSON
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.transform import plan


def schema(batch: Batch) -> list[Rows]:
    """Files, of bars or candles, whose columns are not the declared ones."""
    return batch.differences


def missing_seconds(batch: Batch) -> list[Rows]:
    """Stretches without bars; of a day in progress, in what was made of it.

    Bars in order of time of which there are as many as there should be lack none: only of the others it is asked which.
    """
    spans = [_span(subject) for subject in batch.subjects]
    whole = _whole(batch, spans)
    return [
        []
        if number in whole
        else subject.query("no_missing_seconds", subject.bars, start=start, until=until, step=subject.step)
        for number, (subject, (start, until)) in enumerate(zip(batch.subjects, spans, strict=True))
    ]


def _whole(batch: Batch, spans: list[tuple[int, int]]) -> set[int]:
    """The subjects that have a bar for each interval of their span."""
    together = batch.in_order
    if not together:
        return set()
    step = batch.subjects[0].step
    counted = sql.ask(
        batch.subjects[0].connection,
        "checks/bars_of_spans",
        batch.bars_of(together),
        starts=[spans[number][0] for number in together],
        untils=[spans[number][1] for number in together],
        step=step,
    ).fetchall()
    found = {together[place]: count for place, count in counted}
    return {number for number in together if found.get(number, 0) == len(range(*spans[number], step))}


def _span(subject: Subject) -> tuple[int, int]:
    """From when to when a subject should have bars, in µs."""
    start = day_start_us(subject.day)
    until = start + DAY_US
    return start, until if subject.now_us >= until else _made_until(subject, start)


def _made_until(subject: Subject, start: int) -> int:
    """How far a day in progress was made: its latest part remembers it, and no earlier one can go further."""
    for path in reversed(subject.files):
        with contextlib.suppress(*NOT_JSON):
            return convert(parquet.footer(path), _Part).fingerprint.until
    records = plan.remembered(subject.series, subject.day)
    return max((record.fingerprint["until"] for record in records.values()), default=start)


class _Fingerprint(Struct):
    until: int
    segments: list[Any]


class _Part(Struct):
    """The memory of a part, as far as it says how far it goes."""

    fingerprint: _Fingerprint


def duplicate_seconds(batch: Batch) -> list[Rows]:
    """Seconds with more than one bar: bars in order of time have none."""
    once = {*batch.in_order}
    return [
        [] if number in once else subject.query("no_duplicate_seconds", subject.bars)
        for number, subject in enumerate(batch.subjects)
    ]


def inconsistent_prices(batch: Batch) -> list[Rows]:
    """Bars that contradict themselves."""
    return batch.rows("prices_are_consistent")


def jumps(batch: Batch) -> list[Rows]:
    """Bars whose price moved further than `checks.max_jump`."""
    return batch.rows("no_absurd_jump", max_jump=batch.subjects[0].bounds.max_jump)


def wrong_checksum(subject: Subject) -> Rows:
    """Finished files, daily bars or ticks, whose bytes are not those that were verified."""
    rows: Rows = []
    for path in subject.files:
        found, expected = checksums.of(path), checksums.noted(subject.series.layout.checksum(path))
        if found != expected:
            rows.append({"file": path.name, "sha256": found, "expected": expected})
    return rows
