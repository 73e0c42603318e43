import errno
import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from loguru import logger

from crypto_lake import logs
from crypto_lake.config import Config, Exchange, General


@pytest.fixture(autouse=True)
def _own_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a fresh process, and nothing left of it afterwards."""
    monkeypatch.setattr(logs, "_started", set())
    logger.disable("crypto_lake")
    yield
    logger.remove()
    logger.disable("crypto_lake")


@pytest.fixture
def lake(tmp_path: Path) -> Config:
    exchange = Exchange("binance", ["SOLUSDT"], "http://127.0.0.1:1", "ws://127.0.0.1:1")
    return Config([exchange], General(base_path=str(tmp_path)))


def changed(lake: Config, **general: str) -> Config:
    return msgspec.structs.replace(lake, general=msgspec.structs.replace(lake.general, **general))


def lake_says(message: str, level: str = "INFO") -> None:
    """Log as a module of the package does: loguru goes by the caller's name."""
    names = {"__name__": "crypto_lake.somewhere", "logger": logger, "message": message, "level": level}
    exec("logger.log(level, '{}', message)", names)  # noqa: S102


def written(lake: Config, purpose: str = "transformer") -> str:
    return (lake.layout.logs / f"{purpose}.log").read_text(encoding="utf-8")


def test_who_imports_the_package_hears_nothing() -> None:
    heard: list[str] = []
    logger.add(heard.append)
    lake_says("unheard")
    assert heard == []


@pytest.mark.parametrize("purpose", ["collector", "transformer", "validation"])
def test_each_purpose_has_a_file_of_its_own(lake: Config, purpose: logs.Purpose) -> None:
    logs.start(lake, purpose)
    lake_says("bars made")
    assert [path.name for path in lake.layout.logs.iterdir()] == [f"{purpose}.log"]
    assert written(lake, purpose).endswith(" INFO    bars made\n")


def test_nothing_is_made_before_the_first_message(lake: Config) -> None:
    logs.start(lake, "transformer")
    assert not lake.layout.logs.exists()


def test_what_listened_before_the_start_hears_no_more(lake: Config) -> None:
    heard: list[str] = []
    logger.add(heard.append)
    logs.start(lake, "transformer")
    lake_says("bars made")
    assert heard == []


def test_a_second_start_in_the_same_process_changes_nothing(lake: Config) -> None:
    logs.start(lake, "validation")
    logs.start(lake, "transformer")
    lake_says("once")
    assert [path.name for path in lake.layout.logs.iterdir()] == ["validation.log"]
    assert written(lake, "validation").count("once") == 1


@pytest.mark.parametrize(("zone", "offset"), [("UTC", "+00:00"), ("Asia/Singapore", "+08:00")])
def test_times_are_shown_in_the_configured_time_zone(lake: Config, zone: str, offset: str) -> None:
    logs.start(changed(lake, timezone=zone), "transformer")
    lake_says("now")
    day, time, level, _ = written(lake).split()
    assert (len(day), time[12:], level) == (10, offset, "INFO")


def test_what_is_below_the_level_is_left_out(lake: Config) -> None:
    logs.start(changed(lake, log_level="WARNING"), "transformer")
    lake_says("detail")
    lake_says("trouble", "WARNING")
    assert "detail" not in written(lake)
    assert "trouble" in written(lake)


@pytest.mark.parametrize("message", ["{0} {extra}", "<red>not a colour</red>", "100 % – µs"])
def test_a_message_is_written_as_it_is(lake: Config, message: str) -> None:
    logs.start(lake, "transformer")
    lake_says(message)
    assert written(lake).endswith(f"INFO    {message}\n")


def test_an_exception_is_written_with_its_traceback(lake: Config) -> None:
    logs.start(lake, "transformer")
    try:
        int("what went wrong")
    except ValueError:
        logger.exception("failed")
    assert "Traceback" in written(lake)
    assert "ValueError: invalid literal" in written(lake)


def test_the_console_hears_it_where_it_is_asked_for(lake: Config, capsys: pytest.CaptureFixture[str]) -> None:
    logs.start(lake, "transformer", console=True)
    lake_says("bars made")
    assert capsys.readouterr().err == written(lake)


def test_the_console_is_left_alone_otherwise(lake: Config, capsys: pytest.CaptureFixture[str]) -> None:
    logs.start(lake, "transformer")
    lake_says("bars made")
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


def test_without_a_console_the_file_hears_it_all_the_same(
    lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    logs.start(lake, "transformer", console=True)
    lake_says("bars made")
    assert "bars made" in written(lake)


def test_what_a_command_ends_with_is_in_the_file_and_not_on_the_console_twice(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.start(lake, "transformer", console=True)
    logs.told("the disk is full")
    assert written(lake).endswith("ERROR   the disk is full\n")
    assert capsys.readouterr().err == ""


# Windows allows no folder with a `*` or `?` in its name.
_NAMES = [
    "{",
    "}",
    "{time}",
    "a{b}c",
    "{0}",
    "[a]",
    "%Y",
    *([] if sys.platform == "win32" else ["[a]*", "?"]),
]


@pytest.mark.parametrize("name", _NAMES)
def test_whatever_a_folder_is_called_it_has_its_log(lake: Config, tmp_path: Path, name: str) -> None:
    here = changed(lake, base_path=str(tmp_path / name))
    logs.start(here, "transformer")
    lake_says("bars made")
    assert written(here).endswith(" INFO    bars made\n")


def test_a_log_in_a_folder_with_braces_is_renewed_and_forgotten_like_any(
    lake: Config, tmp_path: Path
) -> None:
    here = changed(lake, base_path=str(tmp_path / "{time}[a]"))
    old, log = here.layout.logs / "transformer.2020-01-01.log", here.layout.logs / "transformer.log"
    here.layout.logs.mkdir(parents=True)
    for path in (old, log):
        path.write_text("of long ago\n", encoding="utf-8")
        os.utime(path, (1_577_836_800, 1_577_836_800))
    logs.start(here, "transformer")
    lake_says("bars made")
    logs.stop()
    assert not old.exists()
    assert [path.name for path in here.layout.logs.iterdir()].count("transformer.log") == 1


@pytest.mark.parametrize("message", ["\x1b[31mred", "\x9b31m", "\u202ereversed", "bell\x07"])
def test_a_message_cannot_steer_the_terminal_that_shows_it(
    lake: Config, capsys: pytest.CaptureFixture[str], message: str
) -> None:
    logs.start(lake, "transformer", console=True)
    lake_says(message)
    assert written(lake).rstrip("\n").isprintable()
    assert capsys.readouterr().err.rstrip("\n").isprintable()


def test_no_password_is_logged_whatever_quotes_it(lake: Config) -> None:
    secret = "https://user:CANARY@host/p?token=CANARY"  # noqa: S105 - what must not be seen
    logs.start(changed(lake, log_level="TRACE"), "transformer")
    lake_says(f"cannot reach {secret}: refused")
    try:
        int(secret)
    except ValueError:
        logger.exception("failed")
    assert "cannot reach https://host/p" in written(lake)
    assert "CANARY" not in written(lake)


def test_the_libraries_that_log_passwords_are_silenced(lake: Config) -> None:
    logs.start(lake, "transformer")
    for name in ("httpx", "httpcore", "httpcore.http11", "websockets", "websockets.client"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_a_log_that_cannot_be_written_is_told_once_in_one_line_that_quotes_no_message(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.layout.logs.write_text("a file, where the folder belongs")
    logs.start(lake, "transformer")
    for _ in range(3):
        lake_says("http://user:canary@127.0.0.1/")
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{lake.layout.logs / 'transformer.log'}: cannot be written: ")
    assert "canary" not in said


def test_a_log_is_written_again_once_it_can_be(lake: Config, capsys: pytest.CaptureFixture[str]) -> None:
    lake.layout.logs.write_text("a file, where the folder belongs")
    logs.start(lake, "transformer")
    lake_says("lost")
    lake.layout.logs.unlink()
    lake_says("kept")
    assert written(lake).endswith(" INFO    kept\n")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_log_that_cannot_be_closed_is_told_in_one_line(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    path = lake.layout.logs / "transformer.log"
    log = logs._File(path)
    log._sink._file = Full()
    log.stop()
    assert capsys.readouterr().err == f"{path}: cannot be written: No space left on device\n"
