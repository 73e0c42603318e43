"""`config.yml`: what is taken, and how each mistake is told in one line."""

import sys
from pathlib import Path

import pytest

from crypto_lake import config
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError

EXCHANGES = """
exchanges:
  - name: binance
    symbols: [SOLUSDT, SUIUSDT]
    rest_url: "https://api.binance.com/api/v3"
    wss_url: "wss://stream.binance.com:9443/ws"
"""


def load(folder: Path, text: str) -> Config:
    path = folder / "config.yml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def mistake(folder: Path, text: str) -> str:
    """The one line about a configuration file, without the file's name at its start."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    line = str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in line
    start = f"{folder / 'config.yml'}: "
    assert line.startswith(start)
    return line.removeprefix(start)


def exchanges(**keys: str | None) -> str:
    """The exchanges' section, each key's YAML as it is given; None leaves a key out."""
    known = {"name": "binance", "symbols": "[SOLUSDT]", "rest_url": "http://h/api", "wss_url": "ws://h/ws"}
    said = [f"{key}: {value}" for key, value in (known | keys).items() if value is not None]
    return "exchanges:\n  - {" + ", ".join(said) + "}\n"


def test_only_the_exchanges_have_to_be_said(tmp_path: Path) -> None:
    loaded = load(tmp_path, EXCHANGES)
    assert loaded.exchanges[0].symbols == ["SOLUSDT", "SUIUSDT"]
    assert loaded.general.timezone == "UTC"
    assert loaded.collector == config.Collector()
    assert loaded.transformer.resample_interval_sec == 1
    assert loaded.layout.base == tmp_path / "data"


def test_the_shipped_configuration_is_valid() -> None:
    shipped = Path(__file__).parents[1] / "config.yml"
    assert config.load(shipped).layout.base == shipped.parent / "data"


def test_values_that_are_said_are_taken(tmp_path: Path) -> None:
    loaded = load(tmp_path, EXCHANGES + "collector: {write_interval_sec: 5, reconnect_backoff: 2.5}")
    assert loaded.collector.write_interval_sec == 5
    assert loaded.collector.reconnect_backoff == 2.5
    assert loaded.collector.idle_timeout_sec == 30


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("colector: {}", "colector: unknown key; expected one of exchanges, general, collector,"),
        ("general: {time_zone: UTC}", "general.time_zone: unknown key; expected one of timezone, log_level,"),
        ("collector: {wait: 1}", "collector.wait: unknown key; expected one of write_interval_sec,"),
        ("transformer: {step: 1}", "transformer.step: unknown key; expected one of resample_interval_sec,"),
        ("checks: {all: true}", "checks.all: unknown key; expected one of max_unobserved_share"),
    ],
)
def test_an_unknown_key_is_named_with_its_path(tmp_path: Path, text: str, line: str) -> None:
    assert mistake(tmp_path, EXCHANGES + text).startswith(line)


def test_an_unknown_key_of_an_exchange_is_named_with_its_place_in_the_list(tmp_path: Path) -> None:
    line = mistake(tmp_path, exchanges(url="x"))
    assert (
        line
        == "exchanges[0].url: unknown key; expected one of name, symbols, rest_url, wss_url, fallback_wss_urls, "
        "exclude, streams"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("general: UTC", "general: expected `object`, got `str`"),
        ("general: {base_path: 3}", "general.base_path: expected `str`, got `int`"),
        ("general: {base_path: null}", "general.base_path: expected `str`, got `null`"),
        ("collector: {write_interval_sec: soon}", "collector.write_interval_sec: expected `int`, got `str`"),
        ("collector: {write_interval_sec: yes}", "collector.write_interval_sec: expected `int`, got `bool`"),
        ("collector: {reconnect_backoff: [1]}", "collector.reconnect_backoff: expected `float`, got `array`"),
    ],
)
def test_a_wrong_type_is_named_with_its_path_and_what_was_expected(
    tmp_path: Path, text: str, line: str
) -> None:
    assert mistake(tmp_path, EXCHANGES + text) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("collector: {write_interval_sec: 0}", "collector.write_interval_sec: expected `int` >= 1"),
        (
            "clock: {began: '9999-12-31T23:59:59-14:00', market: '2025-10-20T00:00:00Z'}",
            "clock.began: 9999-12-31T23:59:59-14:00; expected a year from 2000 to 2100",
        ),
        (
            "collector: {quiet_interval_sec: 30}",
            (
                "collector.quiet_interval_sec: 30 is shorter than collector.write_interval_sec; "
                "expected 60 or more, or null"
            ),
        ),
        ("collector: {write_interval_sec: 3601}", "collector.write_interval_sec: expected `int` <= 3600"),
        ("collector: {reconnect_backoff: 0}", "collector.reconnect_backoff: expected `float` > 0.0"),
        ("collector: {reconnect_backoff: .nan}", "collector.reconnect_backoff: expected `float` > 0.0"),
        ("collector: {flush_interval_sec: 61}", "collector.flush_interval_sec: expected `float` <= 60.0"),
        ("collector: {idle_timeout_sec: -1}", "collector.idle_timeout_sec: expected `float` > 0.0"),
        ("collector: {min_free_disk_gb: -1}", "collector.min_free_disk_gb: expected `float` >= 0.0"),
        ("collector: {min_free_disk_gb: .inf}", "collector.min_free_disk_gb: expected `float` <= 1000000.0"),
        ("collector: {output_format: csv}", "collector.output_format: 'csv'; expected one of jsonl"),
        ("checks: {max_unobserved_share: 2}", "checks.max_unobserved_share: expected `float` <= 1.0"),
    ],
)
def test_an_impossible_value_is_named_with_its_path_and_what_was_expected(
    tmp_path: Path, text: str, line: str
) -> None:
    assert mistake(tmp_path, EXCHANGES + text) == line


def test_a_choice_that_there_is_not_is_told_all_that_there_are(tmp_path: Path) -> None:
    line = mistake(tmp_path, EXCHANGES + "general: {log_level: info}")
    assert line == "general.log_level: 'info'; expected one of TRACE, DEBUG, INFO, WARNING, ERROR"


@pytest.mark.parametrize("step", [7, 11, 61, 1000])
def test_an_interval_that_does_not_divide_an_hour_is_refused(tmp_path: Path, step: int) -> None:
    line = mistake(tmp_path, f"{EXCHANGES}transformer: {{resample_interval_sec: {step}}}")
    assert line.startswith(f"transformer.resample_interval_sec: {step} does not divide an hour (3600 s)")


@pytest.mark.parametrize("step", [1, 5, 60, 900, 3600])
def test_an_interval_that_divides_an_hour_is_taken(tmp_path: Path, step: int) -> None:
    loaded = load(tmp_path, f"{EXCHANGES}transformer: {{resample_interval_sec: {step}}}")
    assert loaded.transformer.resample_interval_sec == step


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "''", "../UTC", "/etc/localtime", '"a\\0b"'])
def test_a_timezone_that_nobody_knows_is_refused(tmp_path: Path, zone: str) -> None:
    line = mistake(tmp_path, f"{EXCHANGES}general: {{timezone: {zone}}}")
    assert line.startswith("general.timezone: ")
    assert line.endswith("is not known; expected a name such as UTC or Europe/Berlin")


@pytest.mark.parametrize("text", ["", "# nothing\n", "general: {}\n"])
def test_a_file_without_exchanges_is_told_so(tmp_path: Path, text: str) -> None:
    assert mistake(tmp_path, text) == "exchanges: missing"


def test_a_list_of_no_exchanges_is_refused(tmp_path: Path) -> None:
    assert mistake(tmp_path, "exchanges: []") == "exchanges: expected `array` of length >= 1"


@pytest.mark.parametrize("key", ["name", "symbols", "rest_url", "wss_url"])
def test_each_key_of_an_exchange_has_to_be_there(tmp_path: Path, key: str) -> None:
    assert mistake(tmp_path, exchanges(**{key: None})) == f"exchanges[0].{key}: missing"


@pytest.mark.parametrize(
    "symbol", ["solusdt", "SOL/USDT", "S", "A" * 31, "SOL USDT", '"SOLUSDT\\n"', "..", "_SOL"]
)
def test_a_symbol_that_cannot_be_a_folder_is_named_with_its_place(tmp_path: Path, symbol: str) -> None:
    line = mistake(tmp_path, exchanges(symbols=f"[ADAUSDT, {symbol}]"))
    assert line.startswith("exchanges[0].symbols[1]: expected `str` matching regex '^[A-Z0-9]{2,30}")


@pytest.mark.parametrize("key", ["symbols", "exclude"])
@pytest.mark.parametrize(
    "word", ["*usdt", "[A-Z]*", "BTC?USDT", "ALL*\u00e9", "^.*$", "*/*", "All", "*" * 31]
)
def test_a_pattern_of_other_letters_is_refused_in_one_line(tmp_path: Path, key: str, word: str) -> None:
    line = mistake(tmp_path, exchanges(**{key: f'["*BTC", "{word}"]'}))
    assert line.startswith(f"exchanges[0].{key}[1]: expected `str` matching regex")
    assert '"*USDT"' in line


def test_a_pattern_may_stand_without_a_list(tmp_path: Path) -> None:
    loaded = load(tmp_path, exchanges(symbols="all", exclude='"*UPUSDT"')).exchanges[0]
    assert (loaded.symbols, loaded.exclude) == (["all"], ["*UPUSDT"])


def test_a_pattern_without_quotes_is_told_to_want_them(tmp_path: Path) -> None:
    assert mistake(tmp_path, exchanges(symbols="[*USDT]")).endswith('a pattern stands in quotes: "*USDT"')


def test_a_symbol_given_twice_is_refused(tmp_path: Path) -> None:
    line = mistake(tmp_path, exchanges(symbols="[ADAUSDT, SOLUSDT, ADAUSDT]"))
    assert line == "exchanges[0].symbols: ADAUSDT is given twice; expected each once"


def test_an_exchange_given_twice_is_refused(tmp_path: Path) -> None:
    second = exchanges().removeprefix("exchanges:\n")
    assert mistake(tmp_path, exchanges() + second) == "exchanges: binance is given twice; expected each once"


def test_an_exchange_without_symbols_is_refused(tmp_path: Path) -> None:
    line = mistake(tmp_path, exchanges(symbols="[]"))
    assert line == "exchanges[0].symbols: expected `array` of length >= 1"


@pytest.mark.parametrize("name", ["Binance", "b", "bin/ance", '"binance\\n"'])
def test_an_exchange_name_that_cannot_be_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    assert mistake(tmp_path, exchanges(name=name)).startswith("exchanges[0].name: expected `str` matching")


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("rest_url", "api.binance.com"),
        ("rest_url", "ftp://host"),
        ("rest_url", '"http://a b"'),
        ("rest_url", '"http://host:port/api"'),
        ("rest_url", "http:///api"),
        ("wss_url", "https://host/ws"),
        ("wss_url", '"ws://[::1/ws"'),
        ("wss_url", '"ws://host:99999/ws"'),
        ("wss_url", '"ws://host/ws\\n"'),
    ],
)
def test_an_address_that_leads_nowhere_is_refused(tmp_path: Path, key: str, url: str) -> None:
    line = mistake(tmp_path, exchanges(**{key: url}))
    assert line.startswith(f"exchanges[0].{key}: ")
    assert "expected" in line


@pytest.mark.parametrize("url", ["ws://127.0.0.1:9000/ws", '"ws://[::1]:9000/ws"', '"wss://host/ws?x=1"'])
def test_an_address_with_port_query_or_brackets_is_taken(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, exchanges(wss_url=url)).exchanges[0].wss_url == url.strip('"')


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("general: [", "line 1: not valid YAML: "),
        ("general: {}\n\tx: 1", "line 2: not valid YAML: "),
        ('general: {base_path: "D:\\Crypto"}', "line 1: not valid YAML: found unknown escape character 'C'"),
        ("general: *anchor", "line 1: not valid YAML: found undefined alias 'anchor'"),
        (
            "general: !!python/object:os.system {}",
            "line 1: not valid YAML: could not determine a constructor",
        ),
        ("general: {timezone: 2025-13-45}", "not valid YAML: month must be in 1..12"),
        ("[" * 5000, "not valid YAML: "),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    assert mistake(tmp_path, text).startswith(problem)


@pytest.mark.parametrize("text", ["[1, 2]", "just words", "3"])
def test_a_file_that_is_no_mapping_is_told_so(tmp_path: Path, text: str) -> None:
    assert mistake(tmp_path, text).startswith("the file: expected `object`, got ")


def test_a_key_given_twice_is_refused_where_it_stands_the_second_time(tmp_path: Path) -> None:
    line = mistake(tmp_path, "general:\n  timezone: UTC\n  log_level: INFO\n  timezone: Asia/Tokyo\n")
    assert line == "line 4: not valid YAML: the key 'timezone' is given twice"


def test_one_exchange_may_be_merged_into_another(tmp_path: Path) -> None:
    merged = exchanges().replace("- {", "- &first {") + "  - {<<: *first, name: other}\n"
    loaded = load(tmp_path, merged)
    assert [exchange.name for exchange in loaded.exchanges] == ["binance", "other"]
    assert loaded.exchanges[1].symbols == ["SOLUSDT"]


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(EXCHANGES, encoding="utf-8-sig")
    assert config.load(path).exchanges[0].name == "binance"


def test_a_file_that_is_not_utf8_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(EXCHANGES, encoding="utf-16")
    with pytest.raises(ConfigError, match=r"config\.yml: cannot be read: 'utf-8' codec") as caught:
        config.load(path)
    assert caught.value.exit_code == 2


def test_a_fallback_that_is_no_address_is_named_with_its_place(tmp_path: Path) -> None:
    text = exchanges(fallback_wss_urls='["ws://h/ws", "ws://:0/ws"]')
    assert mistake(tmp_path, text).startswith(
        "exchanges[0].fallback_wss_urls[1]: 'ws://:0/ws' is not an address"
    )


@pytest.mark.parametrize("name", ["CON", "PRN", "AUX", "NUL", "COM1", "LPT9"])
def test_a_symbol_that_is_a_device_to_windows_is_refused(tmp_path: Path, name: str) -> None:
    line = mistake(tmp_path, exchanges(symbols=f"[SOLUSDT, {name}]"))
    assert line.startswith(f"exchanges[0].symbols[1]: {name} is a device to Windows; expected")


@pytest.mark.parametrize("odd", ["\\0", "\\ud800", "\\udcff"])
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('general: {base_path: "aODDb"}', "general.base_path"),
        ('alerts: {command: [sh, "aODDb"]}', "alerts.command[1]"),
        ('backfill: {archive_url: "http://aODDb/"}', "backfill.archive_url"),
    ],
)
def test_a_text_that_no_system_takes_is_refused(tmp_path: Path, text: str, where: str, odd: str) -> None:
    line = mistake(tmp_path, EXCHANGES + text.replace("ODD", odd))
    assert line == f"{where}: holds a NUL or half a character (a lone surrogate); expected neither"


@pytest.mark.parametrize(
    "text",
    [
        "general: {timezone: LONG}",
        "general: {log_level: LONG}",
        # To Windows there is no such place, as there is no other one yet.
        *(
            []
            if sys.platform == "win32"
            else ["general: {base_path: LONG}", "general: {base_path: '~LONG/x'}"]
        ),
        "general: {LONG: 1}",
        "backfill: {archive_url: 'http://:0/LONG'}",
    ],
)
def test_a_value_that_is_far_too_long_is_cut(tmp_path: Path, text: str) -> None:
    # A key of so many characters has to be said to be one.
    line = mistake(tmp_path, EXCHANGES + text.replace("LONG: 1", '? "LONG" : 1').replace("LONG", "x" * 5000))
    assert len(line) < 500


@pytest.mark.parametrize(
    ("streams", "line"),
    [
        (
            "[trade, bookTicker, dept]",
            "exchanges[0].streams[2]: 'dept'; expected one of trade, bookTicker, depth",
        ),
        ("[trade, bookTicker, trade]", "exchanges[0].streams: trade is given twice; expected each once"),
        (
            "[depth, bookTicker]",
            "exchanges[0].streams: lacks trade; expected trade and bookTicker, which bars are",
        ),
        ("[]", "exchanges[0].streams: lacks trade, bookTicker; expected"),
        ("depth", "exchanges[0].streams: expected `array`, got `str`"),
    ],
)
def test_streams_that_cannot_be_recorded_are_told_in_a_line(tmp_path: Path, streams: str, line: str) -> None:
    assert mistake(tmp_path, exchanges(streams=streams)).startswith(line)


def test_the_order_book_is_recorded_where_it_is_named(tmp_path: Path) -> None:
    assert load(tmp_path, EXCHANGES).exchanges[0].streams == ["trade", "bookTicker"]
    wanted = load(tmp_path, exchanges(streams="[trade, bookTicker, depth]"))
    assert wanted.exchanges[0].streams == ["trade", "bookTicker", "depth"]
