"""The places that a lake has only where it lies in a store: objects in there, and what of it lies on this machine.

`layout.Layout` has them beside those of every lake.
"""

from pathlib import Path


class StorePlaces:
    """What a `Layout` says of a store. Nothing here needs to exist."""

    base: Path

    def key(self, path: Path) -> str:
        """Return a file's, or folder's, place from the lake's folder on, with slashes: in a store its key."""
        return path.relative_to(self.base).as_posix()

    @property
    def identity(self) -> Path:
        """What tells one lake from another, in its store."""
        return self.base / "lake.json"

    @property
    def known_identity(self) -> Path:
        """The identity of the lake that this folder belongs to, once a store has been asked."""
        return self.base / "state" / "store.json"

    @property
    def known_days(self) -> Path:
        """The folder, in a store, of names of days of which there is something."""
        return self.base / "state" / "days"

    @property
    def first_of_all(self) -> Path:
        """The first day of which a store has something, as it was last known here."""
        return self.base / "state" / "first_day"

    def halts_of(self, exchange: str, symbol: str) -> Path:
        """The halts of one symbol, in a store: the part of `halts` that is its own."""
        return self.base / "state" / "halts" / exchange / f"{symbol}.json"

    @property
    def cache(self) -> Path:
        """The folder of copies of a store's objects; any of it may be removed at any moment."""
        return self.base / "cache"

    @property
    def workings(self) -> Path:
        """The folder of the working copies of runs on a store."""
        return self.base / "state" / "staged"

    def owner(self, name: str) -> Path:
        """Whose the files of a collector's name are, in a store."""
        return self.base / "state" / "collectors" / f"{name}.owner"

    def landed(self, name: str) -> Path:
        """What came of each symbol, by day, as who brought it says, in a store."""
        return self.base / "state" / "landed" / f"{name}.json"

    @property
    def shipping_id(self) -> Path:
        """As whom this folder's files are shipped."""
        return self.base / "state" / "owner.json"

    @property
    def ship_lock(self) -> Path:
        """Keeps two that ship off one lake."""
        return self.base / "state" / "locks" / "ship.lock"

    @property
    def recovery_lock(self) -> Path:
        """Held while what a collector left open is sealed; one that starts waits for it."""
        return self.base / "state" / "locks" / "recovery.lock"

    @property
    def ship_status(self) -> Path:
        """How shipping is."""
        return self.base / "state" / "ship.json"
