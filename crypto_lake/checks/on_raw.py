"""Checks of the recording: is a trade missing, was somebody listening, did quotes come, was the clock right.

Trade ids and quotes are asked of the bars, which say in a second what a day of raw lines says in minutes; raw lines are
read only for the seconds in which the bars show a hole, by `holes`, which the healer asks too. Listening and clock are
asked of the journal.
"""

from collections.abc import Iterable
from datetime import timedelta

from crypto_lake import sql
from crypto_lake.checks.batch import Batch
from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.completeness import holes
from crypto_lake.layout import DAY_US, HOUR_US, HOURS_OF_A_DAY, SECOND_US, day_of, day_start_us, iso
from crypto_lake.raw import journal, journals, numbering, segments
from crypto_lake.raw.catalog import Catalog, Recording
from crypto_lake.raw.intervals import clipped
from crypto_lake.raw.sources import lines_of, once_only
from crypto_lake.transform import plan
from crypto_lake.transform.chosen import Chosen
from crypto_lake.transform.plan import Plan


def missing_trades(batch: Batch) -> list[Rows]:
    """Every hole in the trade ids: `first_id` to `last_id` are missing, between `from` and `to`.

    One that begins on an earlier day counts once that day's bars are in line with its raw files: until then they say of
    the minutes before midnight what they say of any that nobody has looked at yet.
    """
    first = batch.subjects[0]
    all_series = [subject.series for subject in batch.subjects]
    found = holes.find_all(first.connection, all_series, first.day, first.now_us)
    return [_told(subject, holes_of) for subject, holes_of in zip(batch.subjects, found, strict=True)]


def _told(subject: Subject, found: list[holes.Hole]) -> Rows:
    if subject.exchange.trade_ids != "contiguous":
        return []
    if not found and holes.is_pruned(subject.series, subject.day):
        before = subject.trade_id_before()
        return subject.query("trade_ids_contiguous", subject.bars, last_id_before=before, **numbering.MOST)
    return [
        {
            "first_id": hole.first_id,
            "last_id": hole.last_id,
            "trades_missing": hole.size,
            "from": iso(hole.after_us),
            "to": iso(hole.before_us),
        }
        for hole in found
        if hole.after_us >= day_start_us(subject.day) or _is_made(subject, hole.after_us)
    ]


def ambiguous_trades(subject: Subject) -> Rows:
    """Ids that went on elsewhere, and ids with two contents, by the journal and of a finished day by its raw lines.

    Raw lines are read only of hours in which an id may be there twice; of a day in progress that would be once again
    with every run.
    """
    series, connection = subject.series, subject.connection
    told = journals.of_symbol(series.layout, series.exchange, series.symbol, subject.day)
    rows: Rows = [
        {"id": one.id, "expected": one.expected, "before": iso(one.before_us)}
        for one in holes.jumps(connection, series, subject.day, subject.now_us)
    ]
    found = _contradictions(subject) if subject.now_us >= day_start_us(subject.day) + DAY_US else []
    known = {row["id"] for row in found}
    conflicts: Rows = [
        {"id": one.id, "first": _spelt(one.first), "last": _spelt(one.second)}
        for one in journal.of_kind(told, journal.Conflict)
        if one.id not in known
    ]
    return rows + found + conflicts


def _contradictions(subject: Subject) -> Rows:
    start = day_start_us(subject.day)
    catalog = Recording(subject.connection, subject.series).around(subject.day)
    day = Plan(catalog, subject.series, subject.day, start + DAY_US)
    hours = {start + hour * HOUR_US: day.chosen(hour) for hour in range(HOURS_OF_A_DAY)}
    merged = [one for one in hours.values() if one.here]
    doubtful = {hour: one for hour, one in hours.items() if one.here or not once_only(one.sources)}
    rows: Rows = []
    if doubtful:
        rows += subject.query("trade_ids_unambiguous", _raw(doubtful.values()), hours=sorted(doubtful))
    if merged:
        rows += subject.query("quote_ids_unambiguous", _raw(merged))
    return rows


def _raw(hours: Iterable[Chosen]) -> sql.Tables:
    """The table `raw`: the lines of the sources that hours are read from, each once."""
    sources = {source.name: source for one in hours for source in one.sources}
    return {"raw": lines_of([sources[name] for name in sorted(sources)])}


def _spelt(said: journal.Contents) -> str:
    return f"{said.ts_event} {said.price} {said.qty} {said.side}"


def _is_made(subject: Subject, instant: int) -> bool:
    """Return whether the bars from an instant to the end of the day before are in line with the raw files."""
    days = {day_of(instant), subject.day - timedelta(days=1)}
    return not any(
        plan.is_stale(subject.connection, subject.series, day, subject.now_us) for day in sorted(days)
    )


def downtime(subject: Subject) -> Rows:
    """All stretches without listening, where together they exceed the share that is tolerated; none otherwise."""
    catalog = Recording(subject.connection, subject.series).around(subject.day)
    start, until = day_start_us(subject.day), day_start_us(subject.day) + DAY_US
    if not _recorded(catalog, start, until):
        return []
    if subject.now_us < until:
        until = max(start, min(until, catalog.end - catalog.end % subject.step))
    rows = subject.query(
        "stream_downtime",
        {},
        listened=sql.stretches(clipped(catalog.listened, start, until)),
        start=start,
        until=until,
        step=subject.step,
        recorded_before=_recorded_before(subject),
    )
    return rows if sum(row["share"] for row in rows) > subject.bounds.max_unobserved_share else []


def _recorded(catalog: Catalog, start: int, until: int) -> bool:
    """Return whether the day's segments are still there: without raw files a day says nothing about listening."""
    return any(start <= (source.start + source.end) // 2 < until for source in catalog.sources)


def _recorded_before(subject: Subject) -> bool:
    series = subject.series
    days = [*subject.bar_days(), *segments.days(series.layout, series.exchange, series.symbol)]
    return any(day < subject.day for day in days)


def stale_quotes(subject: Subject) -> Rows:
    """Stretches of listening without a quote for too long, or all of them, where trades came and quotes never."""
    limit = subject.bounds.max_quote_silence_sec
    return subject.query("quotes_fresh", subject.bars, max_silence=limit * SECOND_US, step=subject.step)


def clock_errors(subject: Subject) -> Rows:
    """Minutes in which a collector's clock was off, or away from where it was for most of the day."""
    layout, exchange = subject.series.layout, subject.series.exchange
    rows: Rows = []
    for recorder in layout.journal_recorders(exchange):
        told = journals.shared(layout.of(recorder), exchange, subject.day)
        found = subject.query(
            "clock_offset",
            {},
            offsets=[
                {"minute": one.minute, "offset_us": one.offset_us}
                for one in journal.of_kind(told, journal.ClockOffset)
            ],
            max_offset=round(subject.bounds.max_clock_offset_sec * SECOND_US),
            max_drift=round(subject.bounds.max_clock_drift_sec * SECOND_US),
        )
        rows += [{"collector": recorder, **row} for row in found] if recorder else found
    return rows
