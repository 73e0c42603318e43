"""The commands as a person types them: exit codes, one clear line for a mistake, and what is printed."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from crypto_lake.config import Config
from crypto_lake.coverage import table
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import SimulatedExchange, running
from crypto_lake_tests import commands, processes
from crypto_lake_tests.raw_lines import DAY, HOUR, START, SYMBOL, land, trade

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(write_config: Callable[..., Path], tmp_path: Path) -> Path:
    """A Dagster instance's folder of its own, beside a config.yml."""
    write_config()
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return folder


@pytest.fixture
def lake_run(home: Path, tmp_path: Path) -> Run:
    """Run `crypto-lake …` as a process of its own, in a folder with a config.yml."""

    def run(*words: str) -> tuple[int, str, str]:
        done = processes.run("crypto_lake", *words, cwd=tmp_path, DAGSTER_HOME=str(home))
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def run_here(home: Path, tmp_path: Path) -> Run:
    """Run `crypto-lake …` within this process, in a folder with a config.yml."""

    def run(*words: str) -> tuple[int, str, str]:
        return commands.run(*words, cwd=tmp_path, DAGSTER_HOME=str(home))

    return run


def test_the_way_from_raw_lines_to_an_answer(lake_run: Run, run_here: Run, lake: Config) -> None:
    land(lake, [trade(n, START + n * HOUR) for n in range(1, 24)])
    code, out, _ = run_here("transformer")
    assert (code, "2025-10-20" in out, "86,400" in out) == (0, True, True)
    code, out, _ = lake_run("compact")
    assert (code, "86,400" in out) == (0, True)
    assert lake.layout.daily("binance", SYMBOL, DAY).exists()
    assert run_here("transformer")[1].startswith("Nothing to do")
    code, out, _ = run_here("query", "SELECT sum(trade_count) AS trades FROM bars_1h")
    assert (code, "23" in out) == (0, True)
    code, out, _ = run_here("validate", "--date", "2025-10-20")
    assert (code, "no_missing_seconds" in out, lake.layout.validation(DAY).exists()) == (0, True, True)
    assert "23" in (lake.layout.logs / "transformer.log").read_text(encoding="utf-8")


def test_days_compacted_before_get_their_minutes_by_the_next_compaction_without_a_day(
    run_here: Run, lake: Config
) -> None:
    days = [DAY, DAY + timedelta(days=1)]
    for day in days:
        land(lake, [trade(day.day, START + HOUR + (day - DAY).days * 24 * HOUR)], day)
    assert run_here("compact", "--from", str(days[0]), "--to", str(days[1]))[0] == 0
    minutes = [lake.layout.minutes("binance", SYMBOL, day) for day in days]
    before = [path.read_bytes() for path in minutes]
    assert run_here("compact")[1].startswith("Nothing to do")
    for path in minutes:
        path.unlink()
    assert run_here("compact")[0] == 0
    assert [path.read_bytes() for path in minutes] == before
    assert run_here("compact")[1].startswith("Nothing to do")


def test_an_answer_for_programs_is_written_to_a_file_or_the_standard_output(
    lake_run: Run, run_here: Run, tmp_path: Path
) -> None:
    assert lake_run("query", "--format", "csv", "SELECT 1 AS n, 'é' AS text") == (0, "n,text\n1,é\n", "")
    assert run_here("query", "FROM history_1m", "--output", "out.parquet") == (0, "", "")
    assert (tmp_path / "out.parquet").read_bytes().startswith(b"PAR1")


def test_late_trades_of_a_compacted_day_are_in_the_next_answer(run_here: Run, lake: Config) -> None:
    land(lake, [trade(n, START + n * HOUR) for n in range(1, 24)])
    assert run_here("compact", "--date", "2025-10-20")[0] == 0
    land(lake, [trade(24, START + 23 * HOUR + 5)])
    assert run_here("transformer")[0] == 0
    assert "24" in run_here("query", "SELECT sum(trade_count) AS trades FROM bars_1s")[1]


def interrupted(
    lake: Config,
    tmp_path: Path,
    *words: str,
    after: Callable[[], bool],
    how: "End" = processes.interrupt,
) -> str:
    """Ctrl-C, or another end, as soon as something holds; what the command said."""
    log = tmp_path / "said.log"
    environment = {"DAGSTER_HOME": str(tmp_path / "home"), "CRYPTO_LAKE_CONFIG": str(tmp_path / "config.yml")}
    with processes.started("crypto_lake", *words, cwd=tmp_path, log=log, **environment) as process:
        for _ in range(600):
            if after() or process.poll() is not None:
                break
            time.sleep(0.1)
        how(process)
        assert process.wait(30) == 1
    return log.read_text(encoding="utf-8")


End = Callable[["subprocess.Popen[bytes]"], None]


def terminated(process: "subprocess.Popen[bytes]") -> None:
    """What a supervisor does to end a process."""
    process.terminate()


ENDS: list[End] = [processes.interrupt] if sys.platform == "win32" else [processes.interrupt, terminated]


@pytest.mark.parametrize("how", ENDS)
def test_ctrl_c_or_a_supervisor_ends_a_transformer_with_one_line(
    lake_run: Run, lake: Config, tmp_path: Path, how: "End"
) -> None:
    days = [DAY + timedelta(days=n) for n in range(40)]
    for n, day in enumerate(days):
        land(lake, [trade(n + 1, START + (24 * n + 1) * HOUR)], day)

    def some() -> bool:
        return len(lake.layout.bar_days("binance", SYMBOL)) > 2

    said = interrupted(lake, tmp_path, "transformer", after=some, how=how)
    assert "interrupted; what was done stays done" in said
    assert "Traceback" not in said
    assert len(lake.layout.bar_days("binance", SYMBOL)) < 40


@pytest.mark.parametrize("how", ENDS)
def test_ctrl_c_or_a_supervisor_ends_a_backfill_with_one_line(
    lake_run: Run, lake: Config, write_config: Callable[..., Path], tmp_path: Path, how: "End"
) -> None:
    # Candles of few trades: those of a busy market take the bundled exchange long to make up.
    exchange = SimulatedExchange(SyntheticMarket(1, ["SOLUSDT"], rate=0.05), MarketClock(), latency_ms=300)
    with running(exchange) as address:
        addresses = {"rest_url": address.rest_url, "wss_url": address.ws_url}
        write_config(exchanges=[{"name": "binance", "symbols": ["SOLUSDT"], **addresses}])

        def some() -> bool:
            return len(lake.layout.candle_days("binance", SYMBOL)) > 2

        said = interrupted(lake, tmp_path, "backfill", "--days", "120", after=some, how=how)
    assert "interrupted; what was done stays done" in said
    assert "Traceback" not in said


def test_an_exchange_that_nobody_knows_is_exit_code_2_in_every_command(
    run_here: Run, write_config: Callable[..., Path]
) -> None:
    exchange = {"name": "kraken", "symbols": ["SOLUSDT"], "rest_url": "http://h/", "wss_url": "ws://h/"}
    write_config(exchanges=[exchange])
    for command in ("status", "query", "transformer", "collector"):
        code, _, err = run_here(command)
        assert (code, "'kraken' is not known; expected one of binance" in err) == (2, True)
        assert "config.yml: exchanges: " in err


def test_what_ends_a_command_is_in_its_log_too(run_here: Run, lake: Config, tmp_path: Path) -> None:
    land(lake, [trade(1, START + HOUR)])
    (tmp_path / "home" / "dagster.yaml").unlink()
    (tmp_path / "home").rmdir()
    assert run_here("transformer")[0] == 2
    assert "expected the absolute path of a folder" in (lake.layout.logs / "transformer.log").read_text(
        "utf-8"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pythonw.exe does there what closed streams do here")
def test_a_command_works_where_it_has_no_standard_streams(
    lake_run: Run, lake: Config, tmp_path: Path
) -> None:
    land(lake, [trade(1, START + HOUR)])
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *processes.python("crypto_lake", "transformer")]
    around = processes.surroundings(DAGSTER_HOME=str(tmp_path / "home"))
    assert subprocess.run(closed, cwd=tmp_path, env=around, timeout=120, check=False).returncode == 0
    assert lake.layout.bar_days("binance", SYMBOL) == [DAY]
    assert "2025-10-20: 24 hours made anew, 0 as they were" in (
        lake.layout.logs / "transformer.log"
    ).read_text("utf-8")


def test_a_dagster_home_that_is_not_there_is_exit_code_2(lake: Config, tmp_path: Path) -> None:
    land(lake, [trade(1, START + HOUR)])
    code, _, err = commands.run("transformer", cwd=tmp_path, DAGSTER_HOME=str(tmp_path / "nowhere"))
    assert code == 2
    assert "Traceback" not in err


def test_a_lake_in_which_there_is_nothing_to_verify_is_one_line_and_exit_code_1(
    run_here: Run, lake: Config
) -> None:
    code, _, err = run_here("verify")
    assert (code, len(err.splitlines())) == (1, 1)
    assert f"{lake.layout.base}: holds no file to verify" in err


def test_coverage_follows_verdicts_and_finds_a_file_that_was_changed(
    run_here: Run, lake: Config, tmp_path: Path
) -> None:
    land(lake, [trade(n, START + n * HOUR) for n in range(1, 24)])
    code, _, err = run_here("coverage")
    assert (code, "no finished day of these is compacted" in err) == (1, True)
    assert [run_here(*words)[0] for words in (["transformer"], ["compact"])] == [0, 0]
    before = table.understood(lake.layout.coverage(DAY))
    assert run_here("validate", "--date", "2025-10-20")[0] == 0
    (row,) = table.understood(lake.layout.coverage(DAY))
    assert row.checks_passed > before[0].checks_passed
    assert run_here("coverage", "--verify")[:2] == (0, "1 days told again from their files: no differences\n")
    code, out, _ = run_here("coverage", "--format", "csv", "--date", "2025-10-20")
    assert out.splitlines()[1].startswith("binance,SOLUSDT,2025-10-20,23,0,0,")
    code, out, _ = run_here("coverage", "--output", str(tmp_path / "page.html"))
    assert (code, "SOLUSDT" in (tmp_path / "page.html").read_text(encoding="utf-8")) == (0, True)
    lake.layout.minutes("binance", SYMBOL, DAY).unlink()
    code, out, err = run_here("coverage", "--verify")
    assert (code, f"{DAY}.parquet: is gone" in out) == (1, True)
    assert err.endswith("error: coverage and files differ: 1\n")


def test_a_failed_check_is_exit_code_1(run_here: Run, lake: Config) -> None:
    land(lake, [trade(1, START + HOUR)])
    assert run_here("transformer", "--date", "2025-10-20")[0] == 0
    lake.layout.part("binance", SYMBOL, DAY, 5).unlink()
    code, out, err = run_here("validate", "--date", "2025-10-20")
    assert (code, "failed" in out) == (1, True)
    assert err.endswith("error: checks failed: 1\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["transformer", "--date", "2025-13-01"], "is not a day; expected e.g. 2025-10-20"),
        (["compact", "--date", "2999-01-01"], "is out of range"),
        (["validate", "--from", "2025-10-20", "--to", "2025-10-19"], "is after --to"),
        (["validate", "--to", "2025-10-19"], "--to without --from"),
        (["backfill", "--date", "2025-10-20", "--from", "2025-10-19"], "expected one or the other"),
        (["backfill", "--days", "0"], "--days"),
        (["no-such-command"], "No such command"),
        (["query", "--format", "csv"], "expected it with them"),
        (["query", "SELECT 1", "--output", "out.xlsx"], "expected a name in .csv, .json or .parquet"),
        (["query", "SELECT 1", "--output", "nowhere/out.csv"], "there is no folder nowhere"),
        (["status", "--config", "nowhere.yml"], "no such configuration file"),
        (["status", "--symbol", "sol*"], '"*USDT"'),
        (["doctor", "--seconds", "nan"], "'nan' is no amount"),
        (["doctor", "--seconds", "inf"], "is not in the range"),
        (["up", "--simulate", "--speed", "nan"], "'nan' is no amount"),
        (["collector", "--duration", "nan"], "nan is no number of seconds"),
        (["collector", "--duration", "inf"], "inf is no number of seconds"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_was_expected(
    run_here: Run, words: list[str], said: str
) -> None:
    code, _, err = run_here(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


COMMANDS = ["collector", "transformer", "compact", "validate", "backfill", "status", "query"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_configuration_is_one_line_and_exit_code_2_in_every_command(
    run_here: Run, write_config: Callable[..., Path], tmp_path: Path, command: str
) -> None:
    write_config(collector={"write_interval_secs": 5})
    code, out, err = run_here(command)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "collector.write_interval_secs: unknown key" in err
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("command", [*COMMANDS, "demo"])
def test_every_command_explains_itself(run_here: Run, command: str) -> None:
    code, out, _ = run_here(command, "--help")
    assert (code, out.startswith("Usage:")) == (0, True)


@pytest.mark.waits
def test_an_exchange_that_is_not_there_is_one_line_and_exit_code_1(lake_run: Run, run_here: Run) -> None:
    for command, run in (("collector", lake_run), ("backfill", run_here)):
        code, _, err = run(command)
        assert code == 1
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert "127.0.0.1:1" in errors[0]
        assert "Traceback" not in err


def test_what_a_dead_collector_left_open_is_sealed_though_the_exchange_is_not_there(
    lake_run: Run, lake: Config
) -> None:
    path = land(lake, [trade(1, START + HOUR)])
    path.write_bytes(path.read_bytes() + b'{"torn')
    path.rename(path.with_name(path.name + ".open"))
    assert lake_run("collector")[0] == 1
    assert path.read_bytes().endswith(b"}\n")


def test_a_symbol_that_the_exchange_does_not_list_is_one_line_and_exit_code_2(
    lake_run: Run, run_here: Run, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    with running(SimulatedExchange(SyntheticMarket(1, ["SOLUSDT"]), MarketClock())) as address:
        addresses = {"rest_url": address.rest_url, "wss_url": address.ws_url}
        write_config(exchanges=[{"name": "binance", "symbols": ["SOLUSDT", "NOPEUSDT"], **addresses}])
        for command, run in (("collector", lake_run), ("backfill", run_here)):
            code, _, err = run(command)
            assert code == 2
            assert re.search(r"^error: .*NOPEUSDT", err, re.MULTILINE)
    assert not list(tmp_path.glob("lake/raw/**/*.jsonl*"))


def test_a_lake_that_has_a_collector_already_is_one_line_and_exit_code_1(lake_run: Run, lake: Config) -> None:
    lake.layout.base.mkdir(parents=True)
    with FileLock(lake.layout.collector_lock):
        code, _, err = lake_run("collector")
    assert code == 1
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1
    assert "Traceback" not in err


def test_the_status_of_a_lake_where_nothing_ever_ran(run_here: Run) -> None:
    code, out, _ = run_here("status")
    assert (code, "has never run" in out) == (0, True)


def test_a_damaged_status_file_does_not_keep_the_status_from_telling_the_rest(
    run_here: Run, lake: Config
) -> None:
    land(lake, [trade(1, START)])
    lake.layout.collector_status.parent.mkdir(exist_ok=True)
    lake.layout.collector_status.write_bytes(b"\0" * 100)
    code, out, _ = run_here("status")
    assert (code, "its status file cannot be understood" in out, SYMBOL in out) == (0, True, True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_the_status_of_a_lake_whose_name_steers_a_terminal_is_visible(
    run_here: Run, write_config: Callable[..., Path]
) -> None:
    write_config(general={"base_path": "lake\x1b[31m"})
    code, out, err = run_here("status")
    assert (code, "\x1b" in out + err, "lake\\x1b[31m" in out) == (0, False, True)


def test_a_mistake_in_sql_is_exit_code_1(run_here: Run) -> None:
    code, _, err = run_here("query", "FROM bars_2s")
    assert (code, err.startswith("error: ")) == (1, True)


@pytest.mark.waits
def test_the_demo_ends_without_a_failed_check_and_says_where_everything_is(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    # As in a checkout, where the configuration of another lake lies, of which nothing is recorded yet.
    write_config()
    done = processes.run("crypto_lake", "demo", "--minutes", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "31 of 32 checks passed, 1 warned, 0 failed" in done.stdout
    assert re.search(r"(\d+) of \1 one-minute bars", done.stdout)
    (folder,) = tmp_path.glob("demo-lake-*")
    assert str(folder) in done.stdout
    assert list((folder / "lake").glob("parquet/binance/SOLUSDT/*.parquet"))


# No folder of Windows has a question mark in its name.
@pytest.mark.parametrize("name", [*([] if sys.platform == "win32" else ["a?b"]), "%20", "a%3Fb"])
def test_a_dagster_home_that_dagster_would_look_for_elsewhere_is_one_clear_line(
    lake: Config, tmp_path: Path, name: str
) -> None:
    home = tmp_path / name
    home.mkdir()
    words = ("transformer", "--date", "2025-10-20")
    code, _, err = commands.run(*words, cwd=tmp_path, DAGSTER_HOME=str(home))
    assert (code, len(err.splitlines())) == (2, 1)
    assert "$DAGSTER_HOME" in err
    assert list(home.iterdir()) == []
