"""The history that most of these tests run in."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from crypto_lake.defs.launch import NO_CAPTURE


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One with files: a schedule's context takes no other."""
    folder = tmp_path / "instance"
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder), overrides=NO_CAPTURE) as found:
        yield found
