"""The words of `exchanges[].symbols` and `exclude`: names, patterns such as `*USDT`, and `all`. No I/O.

Here is decided which of the symbols that an exchange lists such words mean, and which names a symbol of the lake may
have. What an exchange lists is asked, or read, elsewhere.
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

ALL = "all"
SYMBOL = r"^[A-Z0-9]{2,30}\Z"
_SHOWN = 60
_is_name = re.compile(SYMBOL).match
_is_pattern = re.compile(r"(?=.*\*)[A-Z0-9*]{1,30}").fullmatch
# A symbol becomes a folder's name, and Windows has no folder of these.
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}


def is_pattern(word: str) -> bool:
    """Return whether a word may mean any number of symbols."""
    return word == ALL or bool(_is_pattern(word))


def has_patterns(words: Iterable[str]) -> bool:
    """Return whether it takes the exchange's list to know which symbols are meant."""
    return any(map(is_pattern, words))


def is_device(name: str) -> bool:
    """Return whether Windows takes a name, with whatever ending, for a device's."""
    return name.upper() in _DEVICES


def is_symbol(name: str) -> bool:
    """Return whether a symbol of that name can be recorded."""
    return bool(_is_name(name)) and name not in _DEVICES


def mistake(word: str) -> str | None:
    """Return what was expected of a word that is neither a symbol nor a pattern; None for one that is."""
    if word in _DEVICES:
        return f"{word} is a device to Windows; expected a name that a folder can have"
    if is_symbol(word) or is_pattern(word):
        return None
    shown = word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…"
    return (
        f"expected `str` matching regex '{SYMBOL}', a pattern of such letters in which * stands for any number of "
        f'them ("*USDT"), or {ALL}; got {shown!r}'
    )


def unfit(words: Sequence[str], exclude: Sequence[str], listed: Iterable[str]) -> set[str]:
    """Return those of the listed names that patterns match, but that no symbol of the lake can have."""
    odd = {name for name in listed if not is_symbol(name)}
    found = {name for word in words if is_pattern(word) for name in odd if fnmatchcase(name, _glob(word))}
    return {name for name in found if not any(fnmatchcase(name, _glob(word)) for word in exclude)}


def matching(word: str, listed: Iterable[str]) -> set[str]:
    """Return those of the listed symbols that can be recorded, and that a word means."""
    glob = _glob(word)
    return {name for name in listed if fnmatchcase(name, glob) and is_symbol(name)}


def _glob(word: str) -> str:
    """Return a word as Python's own patterns, which never try one way after the other, however many stars there are."""
    return "*" if word == ALL else word


def chosen(words: Sequence[str], exclude: Sequence[str], listed: Iterable[str]) -> list[str]:
    """Return the symbols that words mean: names as they stand, then what patterns mean of those listed, sorted.

    None that `exclude` means is among them.
    """
    names = [word for word in words if not is_pattern(word)]
    known = {*names, *listed}
    out = {name for word in exclude for name in matching(word, known)}
    found = {name for word in words if is_pattern(word) for name in matching(word, known)}
    return [name for name in [*names, *sorted(found - {*names})] if name not in out]
