"""The places of what proves a finished day: its order book, what that says of its quotes, its coverage.

`layout.Layout` has them beside the others. The book's raw lines lie with the other segments, in files of their family.
"""

from datetime import date
from pathlib import Path

from crypto_lake import listing


class ProofPlaces:
    """What a `Layout` says of proofs. Nothing here needs to exist."""

    base: Path

    def depth(self, exchange: str, symbol: str, day: date) -> Path:
        """The level changes and snapshots of a finished day."""
        return self.base / "depth" / exchange / symbol / f"{day.isoformat()}.parquet"

    def depth_days(self, exchange: str, symbol: str) -> list[date]:
        """The days that have depth, oldest first."""
        return listing.file_days(self.base / "depth" / exchange / symbol)

    def depth_symbols(self, exchange: str) -> list[str]:
        """The symbols that have depth, sorted."""
        return listing.symbols(self.base / "depth" / exchange)

    def book(self, exchange: str, symbol: str, day: date) -> Path:
        """The best levels of each second of a finished day."""
        return self.base / "book" / exchange / symbol / f"{day.isoformat()}.parquet"

    def boundaries(self, exchange: str, symbol: str, day: date) -> Path:
        """The best bid and ask after each event of a finished day's depth."""
        return self.base / "book" / exchange / symbol / "boundaries" / f"{day.isoformat()}.parquet"

    def book_end(self, exchange: str, symbol: str, day: date) -> Path:
        """The whole book at the end of a finished day, which the next one begins with."""
        return self.base / "book" / exchange / symbol / "ends" / f"{day.isoformat()}.parquet"

    def book_days(self, exchange: str, symbol: str) -> list[date]:
        """The days that have a book, oldest first."""
        return listing.file_days(self.base / "book" / exchange / symbol)

    def book_symbols(self, exchange: str) -> list[str]:
        """The symbols that have books, sorted."""
        return listing.symbols(self.base / "book" / exchange)

    def proof(self, exchange: str, symbol: str, day: date) -> Path:
        """What the book says of the quotes of each second of a finished day."""
        return self.base / "proof" / exchange / symbol / f"{day.isoformat()}.parquet"

    def proof_days(self, exchange: str, symbol: str) -> list[date]:
        """The days that have a proof, oldest first."""
        return listing.file_days(self.base / "proof" / exchange / symbol)

    def coverage(self, day: date) -> Path:
        """The rows of a day's coverage, of all symbols."""
        return self.base / "coverage" / f"{day.isoformat()}.parquet"

    def coverage_of_shard(self, day: date, shard: int, shards: int) -> Path:
        """The rows of those symbols of a day that belong to one of several shards."""
        return self.coverage(day).parent / "shards" / f"{day.isoformat()}.{shard}-of-{shards}.parquet"

    def coverage_days(self) -> list[date]:
        """The days that have one, oldest first."""
        return listing.file_days(self.base / "coverage")

    @property
    def coverage_page(self) -> Path:
        """The coverage of the days that were asked for last, for people."""
        return self.base / "reports" / "coverage.html"

    @property
    def coverage_lock(self) -> Path:
        """Keeps two runs off the coverage of one day."""
        return self.base / "state" / "locks" / "coverage.lock"
