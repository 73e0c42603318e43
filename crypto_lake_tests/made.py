"""Lakes that take long to make: each is made once a process, and every test that wants it is given a copy, to spoil."""

import shutil
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from crypto_lake.config import General
from crypto_lake.disk import parquet
from crypto_lake.series import Series

if TYPE_CHECKING:
    from pathlib import Path


class Made:
    """`made(series, make, …)` is `make(duck, series, …)`, done for the first of equal calls and copied for the others.

    Calls are equal if the function, the settings and what else is given are; `make` reads no clock, and nothing that
    is there before.
    """

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._made: dict[Hashable, Path] = {}

    def __call__(self, series: Series, make: Callable[..., None], **given: Any) -> Series:  # noqa: ANN401 - of `make`
        settings = msgspec.structs.replace(series.config, general=General(base_path=""))
        key = make, series.exchange, series.symbol, msgspec.json.encode((settings, given))
        if key not in self._made:
            base = self._folders.mktemp("made")
            general = General(base_path=str(base))
            with parquet.connect() as duck:
                make(
                    duck, replace(series, config=msgspec.structs.replace(settings, general=general)), **given
                )
            self._made[key] = base
        shutil.copytree(self._made[key], series.layout.base, dirs_exist_ok=True)
        return series
