"""The status file, as others read it."""

from pathlib import Path

import pytest

from crypto_lake.errors import LakeError
from crypto_lake.raw.collector_status import Status, StatusFile, read_status

STATUS = Status(
    pid=1,
    version="1",
    state="listening",
    reason=None,
    started=1,
    updated=2,
    updated_iso="1970-01-01T00:00:00.000002Z",
    exchanges=[],
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    StatusFile(tmp_path / "state" / "collector.json").write(STATUS)
    assert read_status(tmp_path / "state" / "collector.json") == STATUS


def test_no_file_is_no_status(tmp_path: Path) -> None:
    assert read_status(tmp_path / "collector.json") is None


def test_something_else_in_its_place_is_told(tmp_path: Path) -> None:
    path = tmp_path / "collector.json"
    path.write_text("{}")
    with pytest.raises(LakeError, match="not a status file"):
        read_status(path)


def test_a_file_that_cannot_be_replaced_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "collector.json").mkdir()
    StatusFile(tmp_path / "collector.json").write(STATUS)
