"""Many subjects looked at together, which costs one statement instead of one each.

What a subject is told never depends on who shares its batch. Bars of other columns than the declared ones, or not in
order of time, are asked about alone; and so is every subject where a statement over all of them fails, for the error to
name the file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from crypto_lake import sql
from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.disk import parquet


class Agreement(NamedTuple):
    """What a subject's bars are (`sql/checks/agreement.sql`): `bars` are those that begin an interval of its span."""

    is_in_order: bool
    bars: int
    inconsistent: Rows
    jumps: Rows


@dataclass(frozen=True)
class Batch:
    """Subjects of one asset and day, of one lake: they share connection, settings and day."""

    subjects: list[Subject]

    @cached_property
    def differences(self) -> list[Rows]:
        """By subject: how the columns of its files differ from those of a bar. Each footer is read once."""
        return [
            [
                {"file": path.name, "difference": difference}
                for path in subject.files
                for difference in parquet.schema_differences(path)
            ]
            for subject in self.subjects
        ]

    @cached_property
    def agreements(self) -> dict[int, Agreement]:
        """By number: what the bars of subjects are whose columns are the declared ones, in one pass over them all."""
        alike = [number for number, found in enumerate(self.differences) if not found]
        if not alike:
            return {}
        return dict(
            zip(alike, _asked([self.subjects[number] for number in alike], self.bars_of(alike)), strict=True)
        )

    def bars_of(self, numbers: list[int]) -> sql.Tables:
        """The table `bars` of some: the rows of each, after its place among them (`subject`)."""
        return {"bars": parquet.scan_each([self.subjects[number].files for number in numbers])}

    @cached_property
    def others(self) -> dict[int, Agreement]:
        """The same of the others, and of those whose bars do not lie in order: each alone, in order of time."""
        return {
            number: _agreement_in_time(subject)
            for number, subject in enumerate(self.subjects)
            if number not in self.agreements or not self.agreements[number].is_in_order
        }

    def is_in_order(self, number: int) -> bool:
        """Return whether a subject's bars lie in its files as declared, each instant once and after the last."""
        return number in self.agreements and self.agreements[number].is_in_order

    def followed(self) -> list[Agreement]:
        """By subject: what its bars are in order of time."""
        return [self.others.get(number) or self.agreements[number] for number in range(len(self.subjects))]


def _agreement_in_time(subject: Subject) -> Agreement:
    bars = f"(SELECT 0 AS subject, * FROM {parquet.scan(subject.files)} ORDER BY window_start)"
    (found,) = _asked([subject], {"bars": bars})
    return found


def _asked(subjects: list[Subject], bars: sql.Tables) -> list[Agreement]:
    """By subject: what its bars are, in the order in which the table has them."""
    first, spans = subjects[0], [subject.span for subject in subjects]
    answer = sql.ask(
        first.connection,
        "checks/agreement",
        bars,
        starts=[start for start, _ in spans],
        untils=[until for _, until in spans],
        step=first.step,
        max_jump=first.bounds.max_jump,
    )
    # Files without a row have no subject in the answer.
    found = {row[0]: Agreement(*row[1:]) for row in answer.fetchall()}
    return [found.get(number, Agreement(True, 0, [], [])) for number in range(len(subjects))]


Rule = Callable[[Batch], list[Rows]]


def each(rule: Callable[[Subject], Rows]) -> Rule:
    """A rule about one subject as one about each of a batch, which looks at them one by one."""
    return lambda batch: [rule(subject) for subject in batch.subjects]
