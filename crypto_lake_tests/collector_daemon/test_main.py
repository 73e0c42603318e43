"""The daemon as a process of its own: exit codes, one line of error, Ctrl-C, sudden death."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from crypto_lake.layout import Layout
from crypto_lake.raw import journal, segments
from crypto_lake.raw.collector_status import read_status
from crypto_lake_tests.collector_daemon.fakes import Exchange, lines_of, open_files, records, trade, until

_WINDOWS = sys.platform == "win32"
_INTERRUPT: int = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT)
_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)

CONFIG = """
general: {{ base_path: {base} }}
exchanges:
  - name: binance
    symbols: {symbols}
    rest_url: "http://127.0.0.1:{port}/api/v3"
    wss_url: "ws://127.0.0.1:{wss_port}/ws"
collector: {{ min_free_disk_gb: 0, flush_interval_sec: 0.1, reconnect_backoff: 0.2,
  connections: 1, write_interval_sec: 1 }}
"""


def write_config(
    base: Path, port: int, symbols: str = "[SOLUSDT, ADAUSDT]", wss_port: int | None = None
) -> Path:
    path = base / "config.yml"
    text = CONFIG.format(base="lake", symbols=symbols, port=port, wss_port=wss_port or port)
    path.write_text(text, encoding="utf-8")
    return path


def start(config: Path, *more: str, code: str | None = None) -> subprocess.Popen[str]:
    """Start the collector, or a program of one's own that does."""
    program = ["-c", code] if code else ["-m", "collector_daemon"]
    command = [sys.executable, *program, "--config", str(config), *more]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        creationflags=_GROUP,
        env=environment,
    )


async def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, stderr = await asyncio.to_thread(process.communicate, None, 30)
    finally:
        process.kill()
    return process.returncode, stderr


async def trading(connection: ServerConnection) -> None:
    for number in range(1, 100_000):
        await connection.send(trade(number).decode())
        await asyncio.sleep(0.001)


def with_exchange(story: Callable[[Exchange], Awaitable[None]], exchange: Exchange | None = None) -> None:
    async def together() -> None:
        async with (exchange or Exchange(trading)).running() as running:
            await story(running)

    asyncio.run(together())


def one_line(stderr: str) -> str:
    (line,) = stderr.splitlines()
    assert line.startswith("error: ")
    return line


def landed(layout: Layout) -> int:
    """How many lines are on disk, sealed or not."""
    files = layout.raw_symbol("binance", "SOLUSDT").rglob("part_*.jsonl*")
    try:
        return sum(path.read_bytes().count(b"\n") for path in files)
    except (FileNotFoundError, PermissionError):
        return 0  # One is being sealed at this instant; Windows then refuses to open it.


def has_landed(layout: Layout, wanted: int) -> bool:
    return landed(layout) > wanted


def all_ids(layout: Layout) -> list[int]:
    days = layout.raw_days("binance", "SOLUSDT")
    return [line.id for day in days for line in lines_of(layout, "SOLUSDT", day)]


def test_ctrl_c_ends_it_with_code_0_and_everything_sealed(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "lake")

    async def story(exchange: Exchange) -> None:
        process = start(write_config(tmp_path, exchange.port))
        await until(lambda: landed(layout) > 100, "lines")
        process.send_signal(_INTERRUPT)
        code, stderr = await ended(process)
        assert (code, "Traceback" in stderr, "Warning" in stderr) == (0, False, False), stderr

    with_exchange(story)
    assert not open_files(layout)
    numbers = all_ids(layout)
    assert numbers == list(range(1, len(numbers) + 1))
    status = read_status(layout.collector_status)
    assert status is not None
    assert status.state == "stopped"
    assert (layout.logs / "collector.log").read_text(encoding="utf-8")


@pytest.mark.skipif(_WINDOWS, reason="Windows has no SIGTERM to send")
def test_a_request_to_terminate_is_a_clean_end_too(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "lake")

    async def story(exchange: Exchange) -> None:
        process = start(write_config(tmp_path, exchange.port))
        await until(lambda: landed(layout) > 10, "lines")
        process.terminate()
        assert (await ended(process))[0] == 0

    with_exchange(story)
    assert not open_files(layout)


# The collector on a disk on which a write does not come back.
SILENT_DISK = """
import sys, time
from pathlib import Path
from crypto_lake.raw.segments import OpenSegment
OpenSegment.append = lambda self, lines: time.sleep(60)
{entry}
"""
ENTRIES = {
    "python -m collector_daemon": "from collector_daemon.__main__ import main; main(sys.argv[1:])",
    "crypto-lake collector": "from crypto_lake.__main__ import main; sys.argv[1:1] = ['collector']; main()",
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_a_second_ctrl_c_ends_it_though_the_disk_does_not_answer(tmp_path: Path, entry: str) -> None:
    layout = Layout(tmp_path / "lake")

    async def story(exchange: Exchange) -> None:
        config = write_config(tmp_path, exchange.port)
        process = start(config, code=SILENT_DISK.format(entry=entry))
        await until(lambda: bool(open_files(layout)), "a segment")
        process.send_signal(_INTERRUPT)
        await asyncio.sleep(1)
        assert process.poll() is None
        process.send_signal(_INTERRUPT)
        code, stderr = await ended(process)
        last = stderr.splitlines()[-1]
        assert code == 1
        assert re.fullmatch(
            r"error: ended without waiting for the disk; not written: [1-9]\d* lines of SOLUSDT", last
        ), stderr

    with_exchange(story)


@pytest.mark.skipif(_WINDOWS, reason="Windows has no FIFO in a folder")
def test_a_disk_that_does_not_answer_at_the_start_keeps_nobody_from_ending_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "lake")

    async def story(exchange: Exchange) -> None:
        config = write_config(tmp_path, exchange.port)
        in_the_way = layout.journal("binance", date(2025, 10, 20))
        in_the_way.parent.mkdir(parents=True)
        os.mkfifo(in_the_way)
        process = start(config)
        await until(layout.collector_lock.exists, "the lock")
        await asyncio.sleep(0.5)
        for _ in range(2):
            process.send_signal(_INTERRUPT)
            await asyncio.sleep(0.5)
        code, stderr = await ended(process)
        assert (code, one_line(stderr)) == (
            1,
            "error: ended without waiting for the disk; not written: nothing",
        )

    with_exchange(story)


def start_without_streams(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words], text=True)


@pytest.mark.skipif(_WINDOWS, reason="pythonw.exe does there what closed streams do here")
@pytest.mark.parametrize("module", [["collector_daemon"], ["crypto_lake", "collector"]])
def test_it_records_where_it_has_no_standard_streams(tmp_path: Path, module: list[str]) -> None:
    layout = Layout(tmp_path / "lake")

    async def story(exchange: Exchange) -> None:
        words = [sys.executable, "-m", *module, "--config", str(write_config(tmp_path, exchange.port))]
        process = start_without_streams(*words)
        await until(lambda: landed(layout) > 10, "lines")
        process.terminate()
        assert (await ended(process))[0] == 0

    with_exchange(story)
    assert not open_files(layout)
    assert "stopped in good order" in (layout.logs / "collector.log").read_text(encoding="utf-8")


def test_sudden_death_leaves_whole_lines_for_the_next_start(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "lake")

    async def story(exchange: Exchange) -> None:
        config = write_config(tmp_path, exchange.port)
        for wanted in (100, 400):
            process = start(config)
            await until(partial(has_landed, layout, wanted), "lines")
            process.kill()
            await ended(process)
        code, stderr = await ended(start(config, "--duration", "0.5"))
        assert code == 0, stderr

    with_exchange(story)
    assert not open_files(layout)
    assert len(all_ids(layout)) > 400
    days = layout.raw_days("binance", "SOLUSDT")
    told = [one for day in days for one in records(layout, day)]
    assert sum(isinstance(one, journal.Recovered) for one in told) >= 1
    described = {(one.segment, one.size) for one in told if isinstance(one, journal.Sealed)}
    for day in days:
        for path in segments.sealed(layout.raw_day("binance", "SOLUSDT", day)):
            assert (path.name, path.stat().st_size) in described


def test_an_occupied_lake_is_told_in_one_line(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "lake")

    async def story(exchange: Exchange) -> None:
        config = write_config(tmp_path, exchange.port)
        first = start(config)
        await until(lambda: landed(layout) > 0, "lines")
        code, stderr = await ended(start(config))
        first.send_signal(_INTERRUPT)
        await ended(first)
        assert (code, str(layout.base) in one_line(stderr)) == (1, True)

    with_exchange(story)


def test_an_unknown_symbol_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    async def story(exchange: Exchange) -> None:
        code, stderr = await ended(start(write_config(tmp_path, exchange.port, "[SOLUSDT, NOSUCH]")))
        assert code == 2
        assert "binance does not list NOSUCH" in one_line(stderr)

    with_exchange(story)


def test_an_exchange_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    async def story(exchange: Exchange) -> None:
        closed = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = closed.sockets[0].getsockname()[1]
        closed.close()
        await closed.wait_closed()
        code, stderr = await ended(start(write_config(tmp_path, exchange.port, wss_port=port)))
        assert code == 1
        assert "connection refused" in one_line(stderr)

    with_exchange(story)


def test_an_address_that_is_no_web_socket_is_told_in_one_line(tmp_path: Path) -> None:
    async def story(exchange: Exchange) -> None:
        config = write_config(tmp_path, exchange.port)
        config.write_text(config.read_text().replace("/ws", "/api"), encoding="utf-8")
        code, stderr = await ended(start(config))
        assert code == 1
        assert "HTTP 200" in one_line(stderr)

    with_exchange(story)


def test_an_address_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    async def story(exchange: Exchange) -> None:
        config = write_config(tmp_path, exchange.port)
        impossible = f"ws://{70 * 'a'}/ws"
        text = config.read_text().replace(f"ws://127.0.0.1:{exchange.port}/ws", impossible)
        config.write_text(text, encoding="utf-8")
        code, stderr = await ended(start(config))
        assert (code, "not a WebSocket address" in one_line(stderr)) == (1, True)

    with_exchange(story)


def test_a_wrong_configuration_is_told_in_one_line_and_touches_nothing(tmp_path: Path) -> None:
    config = write_config(tmp_path, 1, symbols="[solusdt]")
    process = start(config)
    code, stderr = asyncio.run(ended(process))
    assert code == 2
    assert "exchanges[" in one_line(stderr)
    assert not (tmp_path / "lake").exists()


def test_the_process_stays_light(tmp_path: Path) -> None:
    heavy = {"dagster", "duckdb", "pandas", "pyarrow", "numpy", "httpx", "prometheus_client"}
    code = f"import sys, collector_daemon.__main__; print(sorted({heavy!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
