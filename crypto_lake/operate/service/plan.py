"""The jobs that shall run on a machine, and what any of the systems answers to that: files and calls. Pure."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal, NamedTuple

# When: always (and again whenever it ends), every five minutes, or each night once the day is over.
When = Literal["always", "often", "nightly"]


class Job(NamedTuple):
    """One thing to run. Its `commands` follow each other, whatever came of the one before."""

    name: str
    what: str
    when: When
    commands: tuple[str, ...]


COLLECTOR = Job("collector", "records the exchange", "always", ("collector",))
TRANSFORMER = Job("transformer", "makes bars of what was recorded", "often", ("transformer",))
NIGHTLY = Job(
    "nightly",
    "fetches missing trades, compacts and checks finished days",
    "nightly",
    ("heal", "compact", "validate"),
)
UP = Job("up", "collector, Dagster and its page under one supervisor", "always", ("up",))
# Without Dagster's daemon: three jobs. With it, one, which looks after the rest.
APART = (COLLECTOR, TRANSFORMER, NIGHTLY)
TOGETHER = (UP,)
EVERY = APART + TOGETHER


class Machine(NamedTuple):
    """The machine to run on. All paths are absolute; they need not be of the system that this process runs on.

    `writes` are the folders that the jobs write to, `environment` what they need of this process's, `system` whether
    it starts with the machine or with the session of `user`. `night` is a local time, hour and minute, that is half an
    hour or more after midnight UTC all year.
    """

    python: PurePath
    config: PurePath
    writes: tuple[PurePath, ...]
    environment: Mapping[str, str]
    home: PurePath
    program_data: PurePath
    user: str
    uid: int
    system: bool
    night: tuple[int, int]


class Unit(NamedTuple):
    """One file, and the calls that make the system take note of it and let go of it.

    `starting` is empty where another unit starts it. `removing` ends it and takes it out; only its last call has to
    succeed. `asking` succeeds while the system knows of the unit; None where the file is all there is to it.
    """

    name: str
    path: PurePath
    content: bytes
    starting: tuple[list[str], ...]
    removing: tuple[list[str], ...]
    asking: list[str] | None = None


class Recipe(NamedTuple):
    """All that a system needs to run `python`.

    `rereading` is called once files have come or gone; `hints` tell how to look at it.
    """

    python: PurePath
    units: list[Unit]
    rereading: list[str] | None
    hints: list[str]


def command(machine: Machine, name: str) -> list[str]:
    """A command of the lake as a list of words, none of which depends on a folder or a search path."""
    return [str(machine.python), "-m", "crypto_lake", name, "--config", str(machine.config)]
