"""A key in an address is sent, and told to nobody: no file, no page, no terminal, no history of Dagster's has it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from crypto_lake import config as configuration
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import SimulatedExchange, running
from crypto_lake_tests import commands, processes

pytestmark = pytest.mark.waits

CANARY = "CANARY"
# The one that ends by signals and clocks is a process of its own; the others would take seconds to start.
_OF_ITS_OWN = {"collector"}
YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()


def keyed(url: str) -> str:
    """An address with a key in each place where one travels."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{CANARY}user:{CANARY}pw@{rest}?token={CANARY}"


def write(folder: Path, port: int, *, source: str = "rest", **collector: object) -> None:
    """A configuration whose every address has a key in it."""
    http, stream = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/ws"
    sections = {
        "general": {"base_path": "./lake", "log_level": "TRACE"},
        "exchanges": [
            {
                "name": "binance",
                "symbols": ["SOLUSDT"],
                "rest_url": keyed(f"{http}/api/v3"),
                "wss_url": keyed(stream),
                "fallback_wss_urls": [keyed(stream.replace("/ws", "/stream"))],
            }
        ],
        "collector": {"min_free_disk_gb": 0, "flush_interval_sec": 0.1} | collector,
        "backfill": {"source": source, "archive_url": keyed(http)},
        "alerts": {"webhook": keyed("http://127.0.0.1:1/hook"), "timeout_sec": 1},
    }
    (folder / "config.yml").write_bytes(msgspec.yaml.encode(sections))


Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run `crypto-lake …`; afterwards nothing that it said or left may have a key in it."""
    home, said = tmp_path / "home", []
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")

    def runs(*words: str) -> int:
        if words[0] in _OF_ITS_OWN:
            done = processes.run("crypto_lake", *words, cwd=tmp_path, DAGSTER_HOME=str(home))
            code, out, err = done.returncode, done.stdout, done.stderr
        else:
            code, out, err = commands.run(*words, cwd=tmp_path, DAGSTER_HOME=str(home))
        said.append((words, out + err))
        return code

    yield runs
    assert [words for words, text in said if CANARY in text] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "config.yml"]
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
    assert len(files) > 3


def test_a_lake_that_works_tells_no_key(tmp_path: Path, run: Run) -> None:
    # So busy that a machine which is busy as well has heard something after three seconds.
    with running(SimulatedExchange(SyntheticMarket(3, ["SOLUSDT"], rate=10), MarketClock())) as address:
        write(tmp_path, address.port, source="archive")
        assert run("collector", "--duration", "3") == 0
        assert run("transformer") == 0
        assert run("backfill", "--date", YESTERDAY) == 0
        assert run("validate") in {0, 1}
    assert run("status") == 0
    assert run("report") == 0
    journal = next((tmp_path / "lake" / "raw" / "binance" / "_journal").iterdir()).read_text(encoding="utf-8")
    assert f'"ws://127.0.0.1:{address.port}/ws"' in journal


def test_a_lake_whose_exchange_is_away_tells_no_key(tmp_path: Path, run: Run) -> None:
    write(tmp_path, 1)
    assert run("collector", "--duration", "3") == 1
    assert run("backfill", "--date", YESTERDAY) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rest_url", "https://user:CANARY@:port/p"),
        ("rest_url", "https://user:CAN[ARY@host/p"),
        ("rest_url", "https://user:CANARY/CANARY@host/p"),
        ("rest_url", "ftp://user:CANARY@host/"),
        ("rest_url", "https://user:CANARY@host/ CANARY"),
        ("wss_url", "wss://user:CANARY@:0/ws"),
        ("wss_url", "wss://user:CANARY@host:99999999/ws"),
        ("wss_url", ["wss://user:CANARY@host"]),
        ("fallback_wss_urls", ["https://user:CANARY@host"]),
        ("https://user:CANARY@host", "x"),
        ("symbols", ["https://user:CANARY@host"]),
    ],
)
def test_a_mistake_in_an_address_is_told_without_its_key(tmp_path: Path, key: str, value: object) -> None:
    write(tmp_path, 1)
    path = tmp_path / "config.yml"
    tree = msgspec.yaml.decode(path.read_bytes())
    tree["exchanges"][0][key] = value
    path.write_bytes(msgspec.yaml.encode(tree))
    with pytest.raises(ConfigError) as caught:
        configuration.load(path)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'a: "https://user:CANARY@host',
        "a: https://user:CANARY@host: b: c",
        "https://user:CANARY@host: 1\nhttps://user:CANARY@host: 2",
        "- *https://user:CANARY@host",
        "!https://user:CANARY@host x",
    ],
)
def test_a_mistake_in_the_files_syntax_is_told_without_its_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LakeError) as caught:
        configuration.load(path)
    assert CANARY not in str(caught.value)
