"""Checksums: the SHA-256 of finished files, and the line beside a file that says which it had when it was verified.

The line is what `sha256sum -c` reads. Light: the collector uses it too.
"""

import hashlib
import re
from pathlib import Path
from typing import Protocol

from crypto_lake.disk import publish

_is_checksum = re.compile(r"[0-9a-f]{64}").fullmatch


class _Readable(Protocol):
    """An open file, or a stream, of bytes."""

    def readinto(self, buffer: bytearray, /) -> int: ...
    def readable(self) -> bool: ...


def of(path: Path) -> str:
    """Return the checksum of a file, in hex."""
    with publish.patiently(lambda: path.open("rb")) as file:
        return of_stream(file)


def of_stream(stream: _Readable) -> str:
    """Return the checksum of what a stream still holds."""
    return hashlib.file_digest(stream, "sha256").hexdigest()


def of_bytes(content: bytes) -> str:
    """Return the checksum of bytes."""
    return hashlib.sha256(content).hexdigest()


def note(beside: Path, path: Path, checksum: str) -> None:
    """Publish the line that says a file's checksum.

    Raises:
        OSError: the disk refused.
    """
    publish.write(beside, f"{checksum}  {path.name}\n".encode())


def keep(beside: Path, path: Path, checksum: str) -> None:
    """Publish the line that says a file's checksum where none, or another one, is there; the file is known to have it.

    Raises:
        OSError: the disk refused.
    """
    if not beside.is_file() or _words(beside) != [checksum, path.name]:
        note(beside, path, checksum)


def noted(beside: Path) -> str | None:
    """Return the checksum that a line says, as it is spelt there; None where there is none."""
    words = _words(beside) if beside.is_file() else []
    return words[0] if words else None


def is_one(text: str | None) -> bool:
    """Say whether a text is a checksum."""
    return bool(text and _is_checksum(text))


def damage(path: Path, beside: Path) -> str | None:
    """Say how a finished file differs from the checksum that was noted `beside` it; None: not at all."""
    if not path.exists():
        return "is missing; its checksum is there"
    if not beside.exists():
        return "has no checksum beside it"
    try:
        words, found = _words(beside), of(path)
    except OSError as error:
        return f"cannot be read, or its checksum cannot: {error.strerror or error}"
    if len(words) != 2 or words[1] != path.name:  # noqa: PLR2004 - a checksum and a name
        return "has a checksum file that cannot be understood"
    return None if found == words[0] else f"has the checksum {found}; expected {words[0]}"


def _words(beside: Path) -> list[str]:
    return publish.read(beside).decode("ascii", errors="replace").split()
