"""The files of a folder in which every command works, and putting them there: `crypto-lake init`.

Their texts lie beside this module, because an installed package has no checkout around it. The project's checkout is
such a folder as well, and a test holds its files equal to these.
"""

import os
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from crypto_lake.disk import publish
from crypto_lake.errors import ConfigError, LakeError

CONFIG = "config.yml"
DAGSTER = "dagster.yaml"
WORKSPACE = "workspace.yaml"
_FILES = (CONFIG, DAGSTER, WORKSPACE, "README.md")
# `load_yaml_from_globs` of Dagster takes the path of its settings for a pattern.
_PATTERN = frozenset("*?[")


class Entry(NamedTuple):
    """A file of the folder, and whether it was put there just now."""

    path: Path
    new: bool


def text(name: str) -> str:
    """Return a file as it is put into a new folder."""
    return files("crypto_lake.starter").joinpath(name).read_text(encoding="utf-8")


def furnish(folder: Path) -> list[Entry]:
    """Put each file there that is missing, and the folder if need be. Nothing is overwritten.

    Raises:
        ConfigError: the folder, or a file of it, is something else; nothing was written.
        LakeError: it cannot be written.
    """
    check(folder)
    paths = [folder / name for name in _FILES]
    for path in paths:
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder; expected a file, or nothing there yet")
    return [Entry(path, put(path, text(path.name))) for path in paths]


def check(folder: Path) -> None:
    """See that a folder can be one that Dagster starts in.

    Raises:
        ConfigError: it is something else, or Dagster would not find its settings in it.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; expected a folder, or nothing there yet")
    if found := sorted(_PATTERN.intersection(str(folder))):
        raise ConfigError(
            f"{folder}: {' and '.join(found)} in the path: Dagster would not find its settings there; "
            "expected another folder"
        )


def put(path: Path, content: str) -> bool:
    """Write a file unless there is one, were it a link that leads nowhere; whether it was written is returned.

    Raises:
        LakeError: it cannot be written.
    """
    if os.path.lexists(path):
        return False
    try:
        publish.write(path, content.encode())
    except OSError as error:
        raise LakeError(f"{path}: cannot be written: {error.strerror or error}") from None
    return True
