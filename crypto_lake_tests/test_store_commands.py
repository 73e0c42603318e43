"""Commands on a lake in a store, an S3 on loopback, from a host that has nothing but its configuration."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from crypto_lake import config as configuration
from crypto_lake import open_lake
from crypto_lake.disk import parquet
from crypto_lake.layout import MINUTE_US
from crypto_lake.operate import due
from crypto_lake.operate.ship import loop
from crypto_lake.staging import identity
from crypto_lake_tests import commands
from crypto_lake_tests.disk import s3 as fake
from crypto_lake_tests.disk.s3 import S3, Fault
from crypto_lake_tests.raw_lines import DAY, SYMBOL
from crypto_lake_tests.recorded_market import MIDNIGHT, NEXT, record
from crypto_lake_tests.staging.stores import finished, made

KEYS = {"AWS_ACCESS_KEY_ID": "CANARYKEY", "AWS_SECRET_ACCESS_KEY": "CANARYSECRET"}
BOTH = ("--from", str(DAY), "--to", str(NEXT))
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def s3() -> Iterator[tuple[S3, str]]:
    with fake.running() as found:
        yield found


@pytest.fixture
def write(tmp_path: Path, s3: tuple[S3, str], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write the configuration of a host, whose folder is given."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    identity.forget()

    def host(name: str, url: str = "s3://lake/prefix") -> Path:
        exchange = {
            "name": "binance",
            "symbols": [SYMBOL],
            "rest_url": "http://127.0.0.1:1/",
            "wss_url": "ws://127.0.0.1:1",
        }
        sections = {
            "general": {"base_path": f"./{name}", "log_level": "TRACE"},
            "exchanges": [exchange],
            "store": {"url": url, "endpoint": s3[1]},
        }
        path = tmp_path / f"{name}.yml"
        path.write_bytes(msgspec.yaml.encode(sections))
        return path

    return host


@pytest.fixture
def run(tmp_path: Path, write: Callable[[str], Path], s3: tuple[S3, str]) -> Iterator[Run]:
    """Run a command on a host; afterwards nothing that it said, left or put may have a key in it."""
    home, said = tmp_path / "home", []
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")

    def runs(host: str, *words: str) -> tuple[int, str]:
        path = tmp_path / f"{host}.yml"
        given = (words[0], "--config", str(path), *words[1:])
        code, out, err = commands.run(*given, cwd=tmp_path, DAGSTER_HOME=str(home), **KEYS)
        said.append(out + err)
        return code, out + err

    yield runs
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if b"CANARY" in path.read_bytes()] == []
    assert [text for text in [*said, *map(str, s3[0].objects.values())] if "CANARY" in text] == []


def test_status_says_once_that_the_stores_client_is_not_installed(
    run: Run, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("reader")
    monkeypatch.setitem(sys.modules, "obstore", None)
    code, said = run("reader", "status")
    assert code == 0
    assert "\nStore: needs obstore; expected pip install 'crypto-lake[store]'\n" in said


def test_a_recording_becomes_bars_answers_and_a_copy_on_hosts_that_share_nothing_but_the_store(
    run: Run, write: Callable[[str], Path], tmp_path: Path
) -> None:
    collector, plain = configuration.load(write("collector")), configuration.load(write("plain"))
    plain = msgspec.structs.replace(plain, store=None)
    for lake in (collector, plain):
        record(lake, MIDNIGHT - 2 * MINUTE_US, MIDNIGHT + 2 * MINUTE_US)
    with parquet.connect() as duck:
        finished(duck, plain, [DAY, NEXT])
    assert run("collector", "ship", "--once")[1].startswith("files shipped: 6\n")
    worker = configuration.load(write("worker"))
    assert due.stale_days(worker) == [DAY, NEXT]
    assert run("worker", "transformer")[0] == 0
    assert (due.stale_days(worker), due.for_compaction(worker)) == ([], [DAY, NEXT])
    assert run("worker", "compact", *BOTH)[0] == 0
    assert run("worker", "validate", *BOTH)[0] == 0

    write("reader")
    asked = (
        "SELECT count(*), count(DISTINCT symbol) FROM bars_1s WHERE window_start < TIMESTAMPTZ '2025-10-21'"
    )
    assert "86400" in run("reader", "query", asked)[1]
    frame = open_lake(tmp_path / "reader.yml").bars(SYMBOL, "1m", str(NEXT))
    assert len(frame) == 1440
    assert not (tmp_path / "reader" / "parquet").exists()
    assert "Store: s3://lake/prefix, answers" in run("reader", "status")[1]
    assert run("reader", "verify")[0] == 0
    assert run("reader", "pull", *BOTH)[0] == 0
    assert made(tmp_path / "reader") == made(plain.layout.base)
    assert run("reader", "pull", *BOTH)[1].startswith("files copied: 0 ")


def test_damage_in_the_store_is_named_and_not_copied(
    run: Run, write: Callable[[str], Path], s3: tuple[S3, str]
) -> None:
    collector = configuration.load(write("collector"))
    record(collector, MIDNIGHT - 2 * MINUTE_US, MIDNIGHT)
    run("collector", "ship", "--once")
    store = identity.opened(collector)
    for name, content in {"2025-10-20.parquet": b"PAR1", "2025-10-20.parquet.sha256": b"0" * 64}.items():
        store.put_bytes(f"parquet/binance/{SYMBOL}/{name}", content)
    write("reader")
    code, said = run("reader", "verify")
    assert code == 1
    assert f"s3://lake/prefix/parquet/binance/{SYMBOL}/2025-10-20.parquet has a checksum" in said
    code, said = run("reader", "pull", "--date", str(DAY))
    assert code == 1
    assert "2025-10-20.parquet has a checksum" in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            Fault(403, "AccessDenied"),
            "error: s3://lake/prefix: reading lake.json: it refuses the credentials (403 Acc",
        ),
        (
            Fault(404, "NoSuchBucket"),
            "error: s3://lake/prefix: there is no such bucket; expected one that exists",
        ),
        (
            Fault(400, "Odd"),
            "error: s3://lake/prefix: reading lake.json: it refuses that (400 Odd); expected an S3",
        ),
    ],
)
@pytest.mark.parametrize(
    "words", [("ship", "--once"), ("query", "SELECT 1"), ("pull", *BOTH), ("verify",), ("compact",)]
)
def test_what_is_wrong_with_a_store_is_one_line_of_each_command(
    run: Run,
    write: Callable[[str], Path],
    s3: tuple[S3, str],
    fault: Fault,
    said: str,
    words: tuple[str, ...],
) -> None:
    write("host")
    s3[0].fault = lambda _method, _key: fault
    code, text = run("host", *words)
    assert code == 1
    assert [line for line in text.splitlines() if line.startswith("error:")] == [text.splitlines()[-1]]
    assert text.splitlines()[-1].startswith(said)


def test_commands_for_a_store_say_that_there_is_none(
    run: Run, write: Callable[[str], Path], tmp_path: Path
) -> None:
    path = write("host")
    sections = msgspec.yaml.decode(path.read_bytes())
    path.write_bytes(msgspec.yaml.encode({key: it for key, it in sections.items() if key != "store"}))
    for words in (("ship", "--once"), ("pull", *BOTH)):
        code, text = run("host", *words)
        assert (code, text.splitlines()[-1]) == (
            2,
            "error: store: there is none in the configuration; expected store.url",
        )


def test_what_waits_is_shown_while_a_store_is_away(
    run: Run, write: Callable[[str], Path], s3: tuple[S3, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("collector")
    lake = configuration.load(path)
    loop.run(lake, path, once=True)
    record(lake, MIDNIGHT - 2 * MINUTE_US, MIDNIGHT)
    s3[0].fault = lambda method, _key: Fault(501, "NotNow") if method == "PUT" else None
    assert run("collector", "ship", "--once")[0] == 1
    assert "files wait" in run("collector", "status")[1]
