"""One hour of one symbol: what it is made from, and when somebody listened in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from crypto_lake import sql
from crypto_lake.exchanges import registry
from crypto_lake.layout import HOUR_US, MINUTE_US
from crypto_lake.raw import scan
from crypto_lake.raw.intervals import Interval, union, without
from crypto_lake.raw.sources import Source, has_late, once_only
from crypto_lake.series import Series
from crypto_lake.transform.chosen import MARGIN_US
from crypto_lake.transform.plan import Carry, Plan
from crypto_lake.transform.workspace import Workspace


@dataclass
class Run:
    """Consecutive hours of one symbol, made one after the other: each hands its last values on to the next."""

    carry: Carry


@dataclass(frozen=True, eq=False)
class Hour:
    """An hour that is to be made: what from, as `Plan.made_from` has it, and the run that it belongs to."""

    plan: Plan
    hour: int
    made_from: dict[str, Any]
    run: Run

    @property
    def series(self) -> Series:
        """Whose hour it is."""
        return self.plan.series

    @property
    def start(self) -> int:
        """Its first instant, in µs."""
        return int(self.made_from["hour_start"])

    @property
    def bars(self) -> int:
        """Return how many bars it will have."""
        return -((self.start - int(self.made_from["until"])) // int(self.made_from["step"]))

    @cached_property
    def sources(self) -> list[Source]:
        """The sources of its lines."""
        return self.plan.sources(self.made_from)

    @property
    def size(self) -> int:
        """Return how many bytes of lines it is made of."""
        return sum(source.size for source in self.sources)

    @property
    def files(self) -> list[Path]:
        """The segments that it is made of, and those beside it."""
        return self.plan.files(self.made_from)

    @property
    def readings(self) -> list["Reading"]:
        """Its sources as they are read: all together, or where several recorders' clocks differ, by recorder."""
        offsets = [(minute, us) for minute, us in self.made_from["offsets"]]
        recorders = self.made_from.get("recorders")
        if not recorders:
            return [Reading(self, self.sources, offsets)]
        found = [
            Reading(
                self,
                [one for one in self.sources if one.received is not None and name in one.recorders],
                [(minute, us) for minute, us in told["offsets"]],
                here=told["here"],
                before=told["before"],
            )
            for name, told in sorted(recorders.items())
        ]
        # What ticks stand for, and what was fetched, comes first, and is everybody's.
        return [Reading(self, [one for one in self.sources if one.received is None], []), *found]

    def __str__(self) -> str:
        return f"{self.series.symbol} {self.plan.day} hour {self.hour:02d}"

    def listened(self, connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> list[Interval]:
        """Return when somebody listened in it, and what healed trades prove of the rest.

        Raises:
            duckdb.Error: a segment holds something other than raw lines.
        """
        listened = [(first, last) for first, last in self.made_from["listened"]]
        missed = without(listened, self.start, self.start + HOUR_US)
        sources = [*self.sources, *self.plan.sources(self.made_from, "beside")]
        healed = [source for source in sources if source.is_healed]
        # Ids that skip, or that the wire made, follow each other by chance.
        proves = registry.exchange(self.series.exchange).capabilities.trade_ids == "contiguous"
        if not (missed and healed and proves):
            return listened
        # What proves a stretch lies around it, or in it: hours before all trades, or after, need no statement.
        earliest, latest = _ends(sources)
        missed = [(start, stop) for start, stop in missed if earliest < stop and latest > start]
        if not missed:
            return listened
        received = [source for source in sources if not source.is_healed]
        tables = {"received": workspace.lines(received), "healed": workspace.lines(healed)}
        proved = sql.ask(connection, "transform/proved", tables, missed=sql.stretches(missed)).fetchall()
        return union([*listened, *proved])


def _ends(sources: Iterable[Source]) -> Interval:
    """The first and the last instant at which an event of sources may lie."""
    spans = [span for source in sources for span in source.spans]
    return min(first for first, _ in spans), max(last for _, last in spans)


class Reading(NamedTuple):
    """Sources of an hour that one clock serves, by its offsets of minutes of receipt.

    Of several recorders': whether it is one of those that the hour, and that the hour `before` it, is read from.
    """

    hour: Hour
    sources: list[Source]
    offsets: list[tuple[int, int]]
    here: bool = True
    before: bool = True

    @property
    def window(self) -> scan.Window:
        """The lines that may be the hour's: its quotes were received in minutes of which an offset is known."""
        minutes = [minute for minute, _ in self.offsets]
        recv_from, recv_to = (min(minutes), max(minutes) + MINUTE_US) if minutes else (0, 0)
        start = self.hour.start
        early = MARGIN_US if "recorders" in self.hour.made_from else 0
        return scan.Window(start - early, start + HOUR_US, recv_from, recv_to)


def lines_of(workspace: Workspace, hours: Sequence[Hour]) -> str:
    """The lines of hours of the same needs, each with its slot; of hours of several recorders, with its reading.

    Raises:
        duckdb.Error: a long file holds something other than raw lines, or the disk refused.
    """
    return workspace.slotted([(one.sources, one.window) for hour in hours for one in hour.readings])


def merging(hours: Sequence[Hour]) -> dict[str, Any]:
    """Return the variables of statements that merge the lines of several recorders."""
    readings = [(slot, one) for slot, hour in enumerate(hours) for one in hour.readings]
    return {
        "readings": [{"slot": slot, "here": one.here, "before": one.before} for slot, one in readings],
        "reading_offsets": [
            {"reading": number, "minute": minute, "offset_us": us}
            for number, (_, one) in enumerate(readings)
            for minute, us in one.offsets
        ],
        "starts": [hour.start for hour in hours],
        "margin": MARGIN_US,
    }


def clocks_of(hours: Sequence[Hour]) -> dict[str, Any]:
    """Return the start of each hour, and by which clock its lines were received, as statements over slots take them.

    Hours of one recording mostly share one.
    """
    known: dict[tuple[tuple[int, int], ...], int] = {}
    of_hours = [tuple((minute, us) for minute, us in hour.made_from["offsets"]) for hour in hours]
    clocks = [known.setdefault(one, len(known)) for one in of_hours]
    offsets = [
        {"clock": clock, "minute": minute, "offset_us": us}
        for one, clock in known.items()
        for minute, us in one
    ]
    return {"starts": [hour.start for hour in hours], "clocks": clocks, "offsets": offsets}


class Needs(NamedTuple):
    """What the lines of hours need before they are added up: may some be there `twice`, quotes have come `late`?

    `merged`: several recorders heard them, and what that needs is all of it.
    """

    twice: bool
    late: bool
    merged: bool = False


def needs(hour: Hour) -> Needs:
    """Return what the lines of an hour need."""
    if "recorders" in hour.made_from:
        return Needs(twice=False, late=False, merged=True)
    return Needs(not once_only(hour.sources), has_late(hour.sources))


def once(lines: str, of: Needs, *, are_copies_same: bool = False) -> str:
    """The lines that were read for hours of the same needs, a table with slots, once each, and in their place.

    Where none can be there twice, looking for copies would be half the work. `are_copies_same`: that is supposed, and
    whoever reads it gets an error where it is not so. Of merged lines whoever reads it gives the variables `merging`.
    """
    if of.merged:
        return scan.merged(lines)
    if of.twice:
        lines = scan.once_if_same(lines) if are_copies_same else scan.once(lines)
    return scan.in_place(lines) if of.late else lines
