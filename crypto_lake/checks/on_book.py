"""Checks of a finished day's order book, and of its quotes by the book: by what manifests say, which are bounded."""

from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.layout import iso
from crypto_lake.transform import book_kept, proof
from crypto_lake.transform.book_kept import Breaks, KeptBook
from crypto_lake.transform.judging import Offender

# So many of the levels compared may differ from a snapshot for the exchange's own reason: of 6,493 events of a real
# night, two lacked a level that the next one took away.
_ODD_LEVELS = 0.001
_ODD = "the exchange's own events lack a level now and then"
_NO_DEPTH = "depth is configured, and none of the day was recorded"


def _kept(subject: Subject) -> KeptBook | None:
    return book_kept.read_kept(subject.series, subject.day)


def breaks(subject: Subject) -> Rows:
    """Every hole in the chain of events (the first thousand): the ids on both sides, and when it was noticed."""
    kept = _kept(subject)
    told = kept.breaks if kept else Breaks(0, [])
    return [
        {"after_id": one.after_id, "first_id": one.first_id, "at": iso(one.ts_event), "breaks": told.count}
        for one in told.first
    ]


def no_chain(subject: Subject) -> str | None:
    """Say why no break proves nothing of a chain; None: it proves that there is none."""
    return None if _kept(subject) else _NO_DEPTH


def different_anchors(subject: Subject) -> Rows:
    """Snapshots that differ from the book that was carried to them; with a reason where a few levels do."""
    kept = _kept(subject)
    return [
        {
            "id": one.id,
            "at": iso(one.ts_recv),
            "levels_compared": one.levels_compared,
            "levels_different": one.levels_different,
            **({"reason": _ODD} if one.levels_different <= 1 + _ODD_LEVELS * one.levels_compared else {}),
        }
        for one in (kept.anchors.first if kept else [])
        if one.use == "differs"
    ]


def no_anchor(subject: Subject) -> str | None:
    """Say why no snapshot differs from the book; None: at least one equals it."""
    kept = _kept(subject)
    if kept is None:
        return _NO_DEPTH
    return None if kept.anchors.counts.get("equal") else "no snapshot could be held against the book"


def contradicted_quotes(subject: Subject) -> Rows:
    """The first boundaries at which the quote held is not the book's best bid and ask, with the day's numbers."""
    told = proof.read(subject.series, subject.day)
    if told is None:
        return []
    counts = told.counts
    numbers = {
        "contradicted": counts.contradicted,
        "share_equal": round(counts.equal / max(1, counts.boundaries), 6),
        "seconds_contradicted": counts.seconds_contradicted,
    }
    return [
        {
            "id": one.id,
            "at": one.at,
            "quote_id": one.quote_id,
            "book": " ".join(one.book),
            "quote": " ".join(one.quote),
            "why": _why(one),
            **numbers,
        }
        for one in told.offenders
    ]


def _why(one: Offender) -> str:
    if not one.told:
        return "nothing told the book of that level"
    return "a quote was lost" if one.lost else "the book lacks a level"


def no_proof(subject: Subject) -> str | None:
    """Say why no contradiction proves nothing of a day's quotes; None: they are proved while the book was known."""
    told = proof.read(subject.series, subject.day)
    if told is None:
        return "there is no proof: no depth, or no quotes, of the day" if _kept(subject) else _NO_DEPTH
    counts = told.counts
    if not counts.equal:
        return "no quote could be held against the book"
    if counts.breaks:
        return f"the chain of events broke: of {counts.seconds_unverifiable:,} s nothing is known"
    return None
