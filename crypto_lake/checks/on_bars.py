"""Checks of bars alone, in parts or in daily files: are they all there, once each, and do they add up."""

from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.disk import checksums, parquet
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.transform import plan


def schema(subject: Subject) -> Rows:
    """Files, of bars or candles, whose columns are not the declared ones."""
    return [
        {"file": path.name, "difference": difference}
        for path in subject.files
        for difference in parquet.schema_differences(path)
    ]


def missing_seconds(subject: Subject) -> Rows:
    """Stretches without bars; of a day in progress, in what was made of it."""
    start = day_start_us(subject.day)
    until = start + DAY_US
    if subject.now_us < until:
        records = plan.remembered(subject.series, subject.day)
        until = max((record.fingerprint["until"] for record in records.values()), default=start)
    return subject.query("no_missing_seconds", subject.bars, start=start, until=until, step=subject.step)


def duplicate_seconds(subject: Subject) -> Rows:
    """Seconds with more than one bar."""
    return subject.query("no_duplicate_seconds", subject.bars)


def inconsistent_prices(subject: Subject) -> Rows:
    """Bars that contradict themselves."""
    return subject.query("prices_are_consistent", subject.bars)


def jumps(subject: Subject) -> Rows:
    """Bars whose price moved further than `checks.max_jump`."""
    return subject.query("no_absurd_jump", subject.bars, max_jump=subject.bounds.max_jump)


def wrong_checksum(subject: Subject) -> Rows:
    """Finished files, daily bars or ticks, whose bytes are not those that were verified."""
    rows: Rows = []
    for path in subject.files:
        found, expected = checksums.of(path), checksums.noted(subject.series.layout.checksum(path))
        if found != expected:
            rows.append({"file": path.name, "sha256": found, "expected": expected})
    return rows
