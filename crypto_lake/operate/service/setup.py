"""Putting units in place and taking them away: files written, the system's tool called, each step told."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath

from crypto_lake.disk import publish
from crypto_lake.errors import LakeError
from crypto_lake.operate.service.plan import Machine, Recipe, Unit

# A call of the system's tool: its exit code, and what it said.
Run = Callable[[list[str]], tuple[int, str]]
_PATIENCE_SEC = 120


def call(words: list[str]) -> tuple[int, str]:
    """Call the system's tool.

    Raises:
        LakeError: there is none, or it does not answer.
    """
    if shutil.which(words[0]) is None:
        raise LakeError(f"{words[0]}: not found; `crypto-lake service print` shows what would be installed")
    try:
        done = subprocess.run(  # noqa: S603 - lists made here, no shell
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE_SEC,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LakeError(f"{subprocess.list2cmdline(words)}: no answer within {_PATIENCE_SEC} s") from None
    return done.returncode, " ".join(done.stdout.split())


def install(recipe: Recipe, every: Recipe, machine: Machine, run: Run = call) -> None:
    """Put the recipe's units in place of what an earlier install left (of `every`), and start them.

    Raises:
        LakeError: the system refused, or a file could not be written; then nothing of it is left.
    """
    if not Path(recipe.python).is_file():
        raise LakeError(f"{recipe.python}: not found; expected it beside the interpreter of this command")
    remove(every, run)
    new = _missing([*machine.writes, *(unit.path.parent for unit in recipe.units)])
    try:
        _make_folders(machine)
        for unit in recipe.units:
            publish.write(Path(unit.path), unit.content)
        if recipe.rereading:
            _do(recipe.rereading, run)
        for unit in recipe.units:
            for words in unit.starting:
                _do(words, run)
    except BaseException as error:
        _undo(recipe, run)
        for folder in new:
            # One that holds something by now is somebody's.
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise LakeError(f"{error}; nothing was installed") from None
        raise


def remove(every: Recipe, run: Run = call, sleep: Callable[[float], None] = time.sleep) -> list[Unit]:
    """Stop and take away all units that are there; those are returned.

    Raises:
        LakeError: the system refused; the unit it refused to let go of is still there.
    """
    there = [unit for unit in every.units if Path(unit.path).exists()]
    for unit in there:
        _remove(unit, run, sleep)
        Path(unit.path).unlink()
    if there and every.rereading:
        _do(every.rereading, run)
    return there


def _remove(unit: Unit, run: Run, sleep: Callable[[float], None]) -> None:
    """Have the system let go of a unit, and wait until it knows nothing of it: launchd takes its time."""
    *before, last = unit.removing
    for words in before:
        run(words)
    code, said = run(last)
    if unit.asking is None:
        _check(last, code, said)
        return
    for _ in range(_PATIENCE_SEC if code == 0 else 1):
        if run(unit.asking)[0]:
            return
        sleep(1)
    _check(last, code or 1, said or "it is still there")


def _missing(folders: Iterable[PurePath]) -> list[Path]:
    """Return which of these folders, and of those above them, are not there; the deepest first."""
    every = {one for folder in folders for one in (Path(folder), *Path(folder).parents)}
    return sorted((one for one in every if not one.exists()), key=lambda one: len(one.parts), reverse=True)


def _make_folders(machine: Machine) -> None:
    """Make the folders that the jobs write to, the user's own: a confined service cannot make them itself."""
    for folder in reversed(_missing(machine.writes)):
        folder.mkdir()
        if sys.platform != "win32":
            shutil.chown(folder, machine.user)


def _do(words: list[str], run: Run) -> None:
    _check(words, *run(words))


def _check(words: list[str], code: int, said: str) -> None:
    if code:
        raise LakeError(f"{subprocess.list2cmdline(words)}: exit code {code}: {said or 'no reason given'}")


def _undo(recipe: Recipe, run: Run) -> None:
    """Leave nothing behind, whatever else fails: the error that led here is the one to tell."""
    for unit in recipe.units:
        for words in unit.removing:
            with contextlib.suppress(LakeError, OSError):
                run(words)
        with contextlib.suppress(OSError):
            Path(unit.path).unlink()
    if recipe.rereading:
        with contextlib.suppress(LakeError, OSError):
            run(recipe.rereading)
