"""`docs/FORMAT.md` and `docs/CONFIG.md` are held to the code: names, types, meanings, kinds, keys and defaults."""

import re
from pathlib import Path

import msgspec
import pytest

from crypto_lake import config, schema
from crypto_lake.ask import views
from crypto_lake.layout import Layout
from crypto_lake.raw import journal
from crypto_lake.raw.instruments import Instrument
from crypto_lake.schema import Column
from crypto_lake_tests.raw_lines import DAY

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "FORMAT.md").read_text(encoding="utf-8")
CONFIGURATION = (DOCS / "CONFIG.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "general": config.General,
    "exchanges": config.Exchange,
    "collector": config.Collector,
    "transformer": config.Transformer,
    "retention": config.Retention,
    "checks": config.Checks,
    "heal": config.Heal,
    "backfill": config.Backfill,
    "alerts": config.Alerts,
    "dagster": config.Dagster,
    "cluster": config.Cluster,
    "clock": config.Clock,
    "store": config.Store,
}


def table(heading: str, text: str = TEXT) -> list[list[str]]:
    """Return the rows of the table under a heading."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("A raw line", schema.RAW_LINE),
        ("A line of the book", schema.BOOK_LINE),
        ("A bar", schema.BAR),
        ("A trade", schema.TRADE),
        ("A quote", schema.QUOTE),
        ("Depth", schema.DEPTH),
        ("The book", schema.BOOK),
        ("A boundary", schema.BOUNDARY),
        ("A proof", schema.PROOF),
        ("Bars with a proof", schema.BAR_PROOF),
        ("Coverage", schema.COVERAGE),
    ],
)
def test_columns_are_documented_in_order_with_their_types_and_meanings(
    heading: str, columns: tuple[Column, ...]
) -> None:
    assert table(heading) == [list(column) for column in columns]


def test_every_kind_of_journal_record_is_documented_with_its_keys() -> None:
    documented = {kind: keys for kind, keys, _ in table("The journal")}
    assert documented == {
        kind.__struct_config__.tag: ", ".join(kind.__struct_fields__) for kind in journal.KINDS
    }


def test_every_key_of_an_instrument_is_documented() -> None:
    assert tuple(key for key, *_ in table("Instruments")) == Instrument.__struct_fields__


def test_every_view_is_documented() -> None:
    assert tuple(name for name, *_ in table("Views")) == views.NAMES


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        return "null" if field.default is None else str(field.default)
    return "–" if field.default_factory is msgspec.NODEFAULT else str(field.default_factory())


def test_every_key_of_the_configuration_is_documented_with_its_default() -> None:
    for section, struct in SECTIONS.items():
        documented = {key: default for key, default, _ in table(section, CONFIGURATION)}
        assert documented == {
            f"{section}.{field.name}": default_of(field) for field in msgspec.structs.fields(struct)
        }


def test_every_section_of_the_configuration_is_documented_and_no_other() -> None:
    assert re.findall(r"^## (.*)$", CONFIGURATION, re.MULTILINE) == list(SECTIONS)
    assert {*SECTIONS} == {*config.Config.__struct_fields__}


def test_the_shipped_configuration_is_valid_and_shows_the_defaults() -> None:
    shipped = config.load(Path(__file__).parents[1] / "config.yml")
    assert shipped == config.Config(exchanges=shipped.exchanges, general=shipped.general)
    assert Path(shipped.general.base_path).name == "data"


def test_example_paths_are_those_of_the_layout(lake: config.Config) -> None:
    layout = lake.layout
    daily = layout.daily("binance", "SOLUSDT", DAY)
    minutes = layout.minutes("binance", "SOLUSDT", DAY)
    paths = [
        layout.segment("binance", "SOLUSDT", DAY, 1),
        layout.segment("binance", "SOLUSDT", DAY, 1, "heal"),
        layout.segment("binance", "SOLUSDT", DAY, 1, "depth"),
        layout.depth("binance", "SOLUSDT", DAY),
        layout.book("binance", "SOLUSDT", DAY),
        layout.boundaries("binance", "SOLUSDT", DAY),
        layout.asked("binance", "SOLUSDT", DAY),
        layout.journal("binance", DAY),
        layout.symbol_journal("binance", "SOLUSDT", DAY),
        layout.rejected("binance", DAY),
        layout.part("binance", "SOLUSDT", DAY, 15),
        daily,
        layout.checksum(daily),
        layout.manifest(daily),
        minutes,
        layout.checksum(minutes),
        layout.manifest(minutes),
        layout.candles("binance", "SOLUSDT", DAY),
        layout.reference("binance", DAY),
        layout.halts,
        layout.ticks("binance", "SOLUSDT", "trades", DAY),
        layout.ticks("binance", "SOLUSDT", "quotes", DAY),
        layout.ticks_manifest("binance", "SOLUSDT", DAY),
        layout.validation(DAY),
        layout.validation_page(DAY),
        layout.collector_status,
        layout.database,
    ]
    _documented(paths, layout)


def test_example_paths_of_a_collector_with_a_name_are_those_of_its_layout(lake: config.Config) -> None:
    named = lake.layout.of("a")
    paths = [
        named.segment("binance", "SOLUSDT", DAY, 1),
        named.symbol_journal("binance", "SOLUSDT", DAY),
        named.journal("binance", DAY),
        named.rejected("binance", DAY),
        named.reference("binance", DAY),
        named.collector_status,
        named.collector_log,
        named.collector_lock,
    ]
    _documented(paths, lake.layout)


def _documented(paths: list[Path], layout: Layout) -> None:
    documented = set(re.findall(r"`([^`]+)`", TEXT.split("\n## A raw line\n")[0]))
    assert {path.relative_to(layout.base).as_posix() for path in paths} <= documented
