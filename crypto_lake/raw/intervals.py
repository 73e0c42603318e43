"""Intervals [start, end) of whole numbers, microseconds or ids, and what is done with them.

Here belongs what is true of any of them: what they cover, what they leave out, what of them lies in another. What they
mean, as listening or missing trades, is their owners'. No I/O. Light: the collector uses it too.
"""

from collections.abc import Iterable

Interval = tuple[int, int]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the fewest intervals that cover the same, in order; those that touch become one."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def clipped(intervals: Iterable[Interval], start: int, end: int) -> list[Interval]:
    """Return the parts of intervals that lie in [start, end)."""
    return [(max(a, start), min(b, end)) for a, b in intervals if a < end and b > start]


def without(intervals: Iterable[Interval], start: int, end: int) -> list[Interval]:
    """Return what of [start, end) intervals leave out, which are in order, as those of `union`."""
    found: list[Interval] = []
    for first, last in intervals:
        if first >= end:
            break
        if first == last:
            # What is empty covers nothing, and parts nothing.
            continue
        if first > start:
            found.append((start, first))
        start = max(start, last)
    return [*found, (start, end)] if start < end else found
