"""Many subjects looked at together, which costs one statement instead of one each.

What a subject is told never depends on who shares its batch. Bars of other columns than the declared ones, or not in
order of time, are asked about alone; and so is every subject where a statement over all of them fails, for the error to
name the file.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from crypto_lake import sql
from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.disk import parquet


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
    def in_order(self) -> list[int]:
        """The subjects, by number, whose bars lie in their files as declared, each instant once and after the last."""
        alike = [number for number, found in enumerate(self.differences) if not found]
        if not alike:
            return []
        answer = sql.ask(self._first.connection, "checks/not_in_order", self.bars_of(alike))
        wrong = {alike[number] for (number,) in answer.fetchall()}
        return [number for number in alike if number not in wrong]

    @property
    def _first(self) -> Subject:
        return self.subjects[0]

    def bars_of(self, numbers: list[int]) -> sql.Tables:
        """The table `bars` of some: the rows of each, after its place among them (`subject`)."""
        return {"bars": parquet.scan_each([self.subjects[number].files for number in numbers])}

    def rows(self, name: str, **variables: object) -> list[Rows]:
        """By subject: the rows of a query of `sql/checks/` that reads `bars` by subject and in order of time."""
        found: list[Rows] = [[] for _ in self.subjects]
        together = self.in_order
        if together:
            tables = self.bars_of(together)
            for row in sql.rows(sql.ask(self._first.connection, f"checks/{name}", tables, **variables)):
                found[together[row.pop("subject")]].append(row)
        for number in self.others(together):
            one = self.subjects[number]
            bars = {"bars": f"(SELECT 0 AS subject, * FROM {parquet.scan(one.files)} ORDER BY window_start)"}
            rows = sql.rows(sql.ask(one.connection, f"checks/{name}", bars, **variables))
            found[number] = [{key: row[key] for key in row if key != "subject"} for row in rows]
        return found

    def others(self, numbers: Iterable[int]) -> list[int]:
        """The subjects that are not among these."""
        these = {*numbers}
        return [number for number in range(len(self.subjects)) if number not in these]


Rule = Callable[[Batch], list[Rows]]


def each(rule: Callable[[Subject], Rows]) -> Rule:
    """A rule about one subject as one about each of a batch, which looks at them one by one."""
    return lambda batch: [rule(subject) for subject in batch.subjects]
