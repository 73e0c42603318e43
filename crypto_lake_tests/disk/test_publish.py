import errno
import os
import threading
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from crypto_lake.disk import publish
from crypto_lake.errors import NoFileError
from crypto_lake.layout import Layout
from crypto_lake.raw.segments import sealed

if TYPE_CHECKING:
    _ThisSystemsPath = Path
else:
    _ThisSystemsPath = type(Path())


class Held(_ThisSystemsPath):
    """A path that a reader holds open: renaming it is refused so many times."""

    refusals: int
    tries: int

    def replace(self, target: str | os.PathLike[str]) -> "Held":
        self.tries += 1
        if self.tries <= self.refusals:
            raise PermissionError(errno.EACCES, "held by a reader")
        os.replace(self, target)  # noqa: PTH105 - the method that would do it is this one
        return Held(target)


def held(path: Path, refusals: int) -> Held:
    path.write_bytes(b"new")
    found = Held(path)
    found.refusals, found.tries = refusals, 0
    return found


def write_half(path: Path, error: type[BaseException]) -> None:
    with publish.publishing(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


def full(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "no space left")


def test_a_file_appears_with_its_content_and_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "state" / "deep" / "file.json"
    publish.write(path, b"{}")
    assert path.read_bytes() == b"{}"
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    publish.write(path, b"old and longer")
    publish.write(path, b"new")
    assert path.read_bytes() == b"new"


def test_until_the_block_ends_the_old_file_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with publish.publishing(path) as temporary:
        temporary.write_bytes(b"ne")
        assert path.read_bytes() == b"old"
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [b"old", None])
def test_an_error_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, error: type[BaseException], old: bytes | None
) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(error):
        write_half(path, error)
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == ([old] if old else [])


@pytest.mark.parametrize("step", ["sync_file", "replace"])
def test_a_disk_that_refuses_at_the_end_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(publish, step, full)
    with pytest.raises(OSError, match="no space left"):
        publish.write(path, b"new")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


def test_the_bytes_are_on_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    seen: list[tuple[str, bool]] = []
    monkeypatch.setattr(publish, "sync_file", lambda file: seen.append((file.suffix, path.exists())))
    monkeypatch.setattr(publish, "sync_folder", lambda folder: seen.append((folder.name, path.exists())))
    publish.write(path, b"new")
    assert seen == [(".tmp", False), (tmp_path.name, True)]


def test_a_temporary_name_is_hidden_and_ends_in_tmp(tmp_path: Path) -> None:
    with publish.publishing(tmp_path / "file.json") as temporary:
        temporary.touch()
    assert temporary.parent == tmp_path
    assert temporary.name.startswith(".file.json.")
    assert temporary.suffix == ".tmp"


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), publish.publishing(tmp_path / "file"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_leftover_of_a_crash_is_seen_by_no_reader(tmp_path: Path) -> None:
    layout, key = Layout(tmp_path), ("binance", "SOLUSDT", date(2025, 10, 20))
    for path in (layout.segment(*key, 1), layout.part(*key, 0), layout.daily(*key), layout.candles(*key)):
        with publish.publishing(path) as temporary:
            temporary.touch()
        path.rename(temporary)  # as if the process had died just before its own rename
    assert sealed(layout.raw_day(*key)) == []
    assert layout.parts(*key) == []
    assert layout.bar_days("binance", "SOLUSDT") == layout.candle_days("binance", "SOLUSDT") == []


def test_a_rename_onto_a_file_that_a_reader_holds_is_tried_again(tmp_path: Path) -> None:
    waits: list[float] = []
    publish.replace(held(tmp_path / "source", 3), tmp_path / "target", sleep=waits.append)
    assert (tmp_path / "target").read_bytes() == b"new"
    assert waits == [0.1] * 3


def test_a_rename_that_is_not_refused_does_not_wait(tmp_path: Path) -> None:
    publish.replace(held(tmp_path / "source", 0), tmp_path / "target", sleep=full)
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_file_that_is_held_for_good_ends_in_its_error_after_five_seconds(tmp_path: Path) -> None:
    waits: list[float] = []
    source = held(tmp_path / "source", 1000)
    with pytest.raises(PermissionError, match="held by a reader"):
        publish.replace(source, tmp_path / "target", sleep=waits.append)
    assert sum(waits) == pytest.approx(5)
    assert (tmp_path / "source").exists()


def test_another_refusal_than_a_held_file_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        publish.replace(tmp_path / "missing", tmp_path / "target", sleep=full)


def test_a_new_folder_is_on_the_disk_before_what_lies_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(publish, "sync_folder", synced.append)
    path = Layout(tmp_path).segment("binance", "SOLUSDT", date(2025, 10, 20), 1)
    publish.write(path, b"line\n")
    publish.write(path, b"line\n")
    raw = tmp_path / "raw"
    assert synced == [tmp_path, raw, raw / "binance", raw / "binance" / "SOLUSDT", path.parent, path.parent]


def test_a_new_folder_whose_sync_was_refused_is_synced_at_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a" / "b"
    with monkeypatch.context() as patch:
        patch.setattr(publish, "sync_folder", full)
        with pytest.raises(OSError, match="no space left"):
            publish.make_folder(folder)
    synced: list[Path] = []
    monkeypatch.setattr(publish, "sync_folder", synced.append)
    for _ in range(2):
        publish.make_folder(folder)
    assert synced == [tmp_path, tmp_path / "a"]


def test_while_a_folder_is_being_synced_nobody_relies_on_it_and_one_made_meanwhile_is_synced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []

    def slow(folder: Path) -> None:
        synced.append(folder)
        if len(synced) == 1:
            # What another thread does before this sync is through.
            publish.sync_folders_above(tmp_path / "a" / "file")
            publish.make_folder_unsynced(tmp_path / "c")

    monkeypatch.setattr(publish, "sync_folder", slow)
    publish.make_folder(tmp_path / "a")
    assert synced == [tmp_path] * 2
    publish.sync_folders_above(tmp_path / "c" / "file")
    assert synced == [tmp_path] * 3


def test_a_folder_on_a_drive_that_is_not_there_is_an_error_of_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    with pytest.raises(OSError, match=r"exists|denied|directory"):
        publish.make_folder(Path(Path.cwd().anchor))


NOW = 1_800_000_000.0


def aged(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    os.utime(path, (NOW - seconds, NOW - seconds))
    return path


@pytest.mark.parametrize(
    "name",
    [
        ".lake.duckdb.123.tmp",
        ".lake.duckdb.123.tmp.wal",
        "raw/binance/SOLUSDT/2025-10-20/.heal_0001.jsonl.7.tmp",
        "parquet/binance/SOLUSDT/year=2025/month=10/day=20/.part-0001.parquet.99999.tmp",
    ],
)
def test_what_a_dead_writer_left_is_swept_after_an_hour(tmp_path: Path, name: str) -> None:
    path = aged(tmp_path / name, 3_500)
    os.utime(path.parent, (NOW, NOW))
    assert publish.sweep(tmp_path, NOW) == []
    os.utime(path, (NOW - 3_700, NOW - 3_700))
    assert publish.sweep(tmp_path, NOW) == [path]
    assert not path.exists()


@pytest.mark.parametrize(
    "name", ["part_0001.jsonl", ".collector.lock", "x.1.tmp", ".hidden.tmp", "state/lake.tmp"]
)
def test_no_other_file_is_swept(tmp_path: Path, name: str) -> None:
    path = aged(tmp_path / name, 10**6)
    assert publish.sweep(tmp_path, NOW) == []
    assert path.exists()


def test_a_day_that_has_not_changed_for_long_is_not_looked_through(tmp_path: Path) -> None:
    path = aged(tmp_path / "raw/binance/SOLUSDT/2025-10-20/.heal_0001.jsonl.7.tmp", 40 * 86_400)
    os.utime(path.parent, (NOW - 40 * 86_400, NOW - 40 * 86_400))
    assert publish.sweep(tmp_path, NOW) == []


def test_a_folder_that_is_not_there_has_nothing_to_sweep(tmp_path: Path) -> None:
    assert publish.sweep(tmp_path / "none", NOW) == []


class BeingReplaced(_ThisSystemsPath):
    """A path that cannot be opened so many times, as on Windows in the instant in which it is replaced."""

    refusals: int

    def open(self, *words: Any, **more: Any) -> Any:  # noqa: ANN401 - as that which it stands for
        self.refusals -= 1
        if self.refusals >= 0:
            raise PermissionError(errno.EACCES, "being replaced")
        return super().open(*words, **more)


def being_replaced(path: Path, refusals: int) -> BeingReplaced:
    path.write_bytes(b"new")
    found = BeingReplaced(path)
    found.refusals = refusals
    return found


def test_what_is_being_replaced_is_read_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_READ_TRIES", 3)
    assert publish.read(being_replaced(tmp_path / "file", 2)) == b"new"


def test_what_cannot_be_read_is_not_asked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_READ_TRIES", 3)
    path = being_replaced(tmp_path / "file", 1000)
    with pytest.raises(PermissionError):
        publish.read(path)
    assert path.refusals == 997


def test_a_file_that_is_not_there_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_READ_TRIES", 3)
    slept: list[float] = []
    with pytest.raises(FileNotFoundError):
        publish.patiently((tmp_path / "file").read_bytes, slept.append)
    assert slept == []


def test_a_reader_sees_each_file_whole_while_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    publish.write(path, b"0" * 1000)
    replacing = threading.Event()

    def replace() -> None:
        for number in range(50):
            publish.write(path, str(number % 10).encode() * 1000)
        replacing.set()

    writer = threading.Thread(target=replace)
    writer.start()
    while not replacing.is_set() and writer.is_alive():
        found = publish.read(path)
        assert found == found[:1] * 1000
        # Readers that never let go of a file keep Windows from replacing it.
        time.sleep(0.005)
    writer.join()
    assert replacing.is_set()


def test_a_folder_that_windows_does_not_open_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(NoFileError, match="is a folder; expected a file"), publish.told_of_folders():
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))
    path = tmp_path / "a file"
    path.touch()
    with pytest.raises(PermissionError), publish.told_of_folders():
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
