"""One process at a time holds a lock; whoever does not get it is told in one line."""

import errno
from pathlib import Path

import pytest

from crypto_lake.disk import locks
from crypto_lake.errors import LakeBusyError, LakeError
from crypto_lake.series import Series
from crypto_lake.transform.workspace import locked


def test_a_second_holder_is_told_which_lock_it_waits_for(tmp_path: Path) -> None:
    path = tmp_path / "state" / "one.lock"
    with (
        locks.hold(path),
        pytest.raises(LakeBusyError, match=r"one\.lock: held by another run"),
        locks.hold(path, 0),
    ):
        pass


def test_a_second_holder_is_told_in_the_words_of_its_caller(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    with (
        locks.hold(path),
        pytest.raises(LakeBusyError, match=r"^come later$"),
        locks.hold(path, 0, "come later"),
    ):
        pass


def test_a_lock_is_free_after_its_block_though_the_block_failed(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    with pytest.raises(LakeError), locks.hold(path):
        raise LakeError("no")
    with locks.hold(path, 0):
        pass


def test_a_lake_whose_locks_cannot_be_written_is_told_in_one_line(series: Series) -> None:
    series.layout.base.mkdir()
    (series.layout.base / "state").write_text("in the way", encoding="utf-8")
    with pytest.raises(LakeError, match=r"locks: cannot be written"), locked(series):
        pass


def test_a_file_system_without_locks_is_told_and_not_locked_by_a_file_that_may_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="Windows locks in another way")

    def none(*_given: object) -> None:
        raise OSError(errno.ENOSYS, "no locks here")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(LakeError, match="no locks here"), locks.hold(tmp_path / "one.lock"):
        pass
