"""A finding: what one question of the doctor came to."""

from dataclasses import dataclass
from typing import Literal, Self

Outcome = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """The answer to one question: `about` names it, `text` says what was seen and, unless all is well, what to do."""

    about: str
    outcome: Outcome
    text: str

    @classmethod
    def ok(cls, about: str, text: str) -> Self:
        """All is well."""
        return cls(about, "ok", text)

    @classmethod
    def warning(cls, about: str, text: str) -> Self:
        """The lake works, though not as well as it could."""
        return cls(about, "warning", text)

    @classmethod
    def failed(cls, about: str, text: str) -> Self:
        """The lake cannot do its work until this is mended."""
        return cls(about, "failed", text)

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{self.outcome:<8} {self.about:<22} {self.text}"
