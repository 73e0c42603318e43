"""Checks of bars alone, in parts or in daily files: are they all there, once each, and do they add up."""

from crypto_lake.checks.batch import Batch
from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.disk import checksums


def schema(batch: Batch) -> list[Rows]:
    """Files, of bars or candles, whose columns are not the declared ones."""
    return batch.differences


def missing_seconds(batch: Batch) -> list[Rows]:
    """Stretches without bars; of a day in progress, in what was made of it.

    Bars in order of time of which there are as many as there should be lack none: only of the others it is asked which.
    """
    return [
        [] if _is_whole(batch, number) else _missing(subject) for number, subject in enumerate(batch.subjects)
    ]


def _is_whole(batch: Batch, number: int) -> bool:
    """Return whether a subject has a bar for each interval of its span."""
    subject = batch.subjects[number]
    return batch.is_in_order(number) and batch.agreements[number].bars == len(
        range(*subject.span, subject.step)
    )


def _missing(subject: Subject) -> Rows:
    start, until = subject.span
    return subject.query("no_missing_seconds", subject.bars, start=start, until=until, step=subject.step)


def duplicate_seconds(batch: Batch) -> list[Rows]:
    """Seconds with more than one bar: bars in order of time have none."""
    return [
        [] if batch.is_in_order(number) else subject.query("no_duplicate_seconds", subject.bars)
        for number, subject in enumerate(batch.subjects)
    ]


def inconsistent_prices(batch: Batch) -> list[Rows]:
    """Bars that contradict themselves."""
    return [agreement.inconsistent for agreement in batch.followed()]


def jumps(batch: Batch) -> list[Rows]:
    """Bars whose price moved further than `checks.max_jump`."""
    return [agreement.jumps for agreement in batch.followed()]


def wrong_checksum(subject: Subject) -> Rows:
    """Finished files, daily bars or ticks, whose bytes are not those that were verified."""
    rows: Rows = []
    for path in subject.files:
        found, expected = checksums.of(path), checksums.noted(subject.series.layout.checksum(path))
        if found != expected:
            rows.append({"file": path.name, "sha256": found, "expected": expected})
    return rows
