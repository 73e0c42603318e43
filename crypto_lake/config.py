"""`config.yml`: found, read, validated. A mistake is one line with the key's path and what was expected.

Which keys there are is said in `sections`. Values are checked here, files and the network are not touched.
"""

import os
import re
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit
from urllib.request import url2pathname
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml
from msgspec import Struct

from crypto_lake import patterns
from crypto_lake.errors import ConfigError
from crypto_lake.sections import (
    ALWAYS_RECORDED,
    STREAMS,
    Alerts,
    Backfill,
    Checks,
    Clock,
    Cluster,
    Collector,
    Config,
    Dagster,
    Exchange,
    General,
    Heal,
    Retention,
    Store,
    Transformer,
)
from crypto_lake.share import Share
from crypto_lake.showing import address, is_unicode, printable

__all__ = [
    "DEFAULT_FILE",
    "ENVIRONMENT_VARIABLE",
    "Alerts",
    "Backfill",
    "Checks",
    "Clock",
    "Cluster",
    "Collector",
    "Config",
    "Dagster",
    "Exchange",
    "General",
    "Heal",
    "Retention",
    "Store",
    "Transformer",
    "find",
    "load",
]

ENVIRONMENT_VARIABLE = "CRYPTO_LAKE_CONFIG"
DEFAULT_FILE = "config.yml"
_MERGE = "tag:yaml.org,2002:merge"
# So much of a value is shown; one may be a book that was pasted.
_SHOWN = 200
_YEARS = range(2000, 2101)


# The structs by the path at which they stand, without the indices of lists.
_SECTIONS: dict[str, type[Struct]] = {
    "": Config,
    "general": General,
    "exchanges": Exchange,
    "collector": Collector,
    "transformer": Transformer,
    "checks": Checks,
    "heal": Heal,
    "retention": Retention,
    "backfill": Backfill,
    "alerts": Alerts,
    "dagster": Dagster,
    "cluster": Cluster,
    "clock": Clock,
    "store": Store,
}


class _Loader(yaml.SafeLoader):
    """YAML as is, but a key given twice is an error and not the last one's silent win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: list[Any] = []
        for key_node, _ in node.value:
            # `<<` stands for other keys, and those beside it may say otherwise.
            key = None if key_node.tag == _MERGE else self.construct_object(key_node, deep=True)
            if key is not None and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.append(key)
        found = super().construct_mapping(node, deep)
        for key in ("symbols", "exclude"):
            # `symbols: all` is the natural way to say it.
            if isinstance(word := found.get(key), str) and patterns.is_pattern(word):
                found[key] = [word]
        return found


def find(explicit: str | Path | None = None) -> Path:
    """The configuration file: `explicit`, else `$CRYPTO_LAKE_CONFIG`, else `./config.yml`.

    Raises:
        ConfigError: there is no such file, or none that may be looked at.
    """
    path = Path(explicit or os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_FILE)
    try:
        path = path.expanduser().absolute()
        found = path.is_file()
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if not found:
        raise ConfigError(
            f"{path}: no such configuration file; expected one there, or name one with --config or "
            f"${ENVIRONMENT_VARIABLE}; `crypto-lake init` makes one"
        )
    return path


def load(path: Path) -> Config:
    """Read and validate a configuration file.

    Raises:
        ConfigError: unreadable, not YAML, an unknown key, a wrong type or an impossible value.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {_yaml_mistake(error)}") from None
    try:
        config = msgspec.convert(tree if tree is not None else {}, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_mistake(str(error))}") from None
    return _checked(config, path)


def _yaml_mistake(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    # To YAML a word that begins with a star stands for something that was named before.
    hint = '; a pattern stands in quotes: "*USDT"' if isinstance(error, yaml.composer.ComposerError) else ""
    return f"{where}not valid YAML: {problem}{hint}"


_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<key>[^`]*)`(?: - at `\$(?P<path>.*)`)?$")
_MISSING = re.compile(r"^Object missing required field `(?P<key>[^`]*)`(?: - at `\$(?P<path>.*)`)?$")
_CHOICE = re.compile(r"^Invalid enum value (?P<value>.*) - at `\$\.(?P<section>\w+)\.(?P<key>\w+)`$")
_WRONG = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$")


def _mistake(text: str) -> str:
    """A sentence of msgspec's, turned around: first the key's path, then what was expected."""
    if match := _UNKNOWN.match(text):
        path = f"{match['path'] or ''}.{match['key']}".strip(".")
        section = _SECTIONS[(match["path"] or "").strip(".").partition("[")[0]]
        return f"{_cut(path)}: unknown key; expected one of {', '.join(section.__struct_fields__)}"
    if match := _MISSING.match(text):
        return f"{match['path'] or ''}.{match['key']}".strip(".") + ": missing"
    if match := _CHOICE.match(text):
        choices = get_args(get_type_hints(_SECTIONS[match["section"]])[match["key"]])
        return (
            f"{match['section']}.{match['key']}: {_cut(match['value'])}; expected one of {', '.join(choices)}"
        )
    match = _WRONG.match(text)
    path, what = (match["path"] or "", match["what"]) if match else ("", text)
    return f"{path.strip('.') or 'the file'}: {what[:1].lower()}{what[1:]}"


def _cut(text: str) -> str:
    return printable(text, _SHOWN)


def _checked(config: Config, path: Path) -> Config:
    """The rules that a type cannot say, and `base_path` made absolute."""
    try:
        ZoneInfo(config.general.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"{path}: general.timezone: {_cut(config.general.timezone)!r} is not known; expected a name such as "
            "UTC or Europe/Berlin"
        ) from None
    _writable(msgspec.to_builtins(config), str(path), ": ")
    _clock(config.clock, f"{path}: clock")
    quiet, often = config.collector.quiet_interval_sec, config.collector.write_interval_sec
    if quiet is not None and quiet < often:
        raise ConfigError(
            f"{path}: collector.quiet_interval_sec: {quiet} is shorter than collector.write_interval_sec; expected "
            f"{often} or more, or null"
        )
    _one_of_several(config.collector, f"{path}: collector")
    step = config.transformer.resample_interval_sec
    if 3600 % step:
        raise ConfigError(
            f"{path}: transformer.resample_interval_sec: {step} does not divide an hour (3600 s); expected "
            "1, 5, 60, …"
        )
    _no_twins([exchange.name for exchange in config.exchanges], f"{path}: exchanges")
    for number, exchange in enumerate(config.exchanges):
        _exchange(exchange, f"{path}: exchanges[{number}]")
    if config.backfill.archive_url is not None:
        _address(config.backfill.archive_url, f"{path}: backfill.archive_url")
    if config.alerts.webhook is not None:
        _address(config.alerts.webhook, f"{path}: alerts.webhook")
    base = _expand(config.general.base_path, path)
    # In such a folder, also one that a variable names, a collector could write what no query can read.
    _writable(str(base), f"{path}: general.base_path")
    _no_file(base, f"{path}: general.base_path")
    if config.store is not None:
        _store(config.store, base, f"{path}: store")
    general = msgspec.structs.replace(config.general, base_path=str(base))
    return msgspec.structs.replace(config, general=general)


def _clock(clock: Clock, where: str) -> None:
    if (clock.began is None) != (clock.market is None):
        raise ConfigError(f"{where}: began and market belong together; expected both or neither")
    for name, at in (("began", clock.began), ("market", clock.market)):
        # Near the ends of the calendar a time cannot be counted in seconds, whatever its zone.
        if at is not None and at.year not in _YEARS:
            raise ConfigError(f"{where}.{name}: {at.isoformat()}; expected a year from 2000 to 2100")


def _exchange(exchange: Exchange, where: str) -> None:
    _words(exchange.symbols, f"{where}.symbols")
    _words(exchange.exclude, f"{where}.exclude")
    _streams(exchange.streams, f"{where}.streams")
    _address(exchange.rest_url, f"{where}.rest_url")
    _address(exchange.wss_url, f"{where}.wss_url")
    for place, url in enumerate(exchange.fallback_wss_urls):
        _address(url, f"{where}.fallback_wss_urls[{place}]")


def _one_of_several(collector: Collector, where: str) -> None:
    """Refuse a collector whose files could not be told from those of the others, and a share that there is not."""
    if collector.name is not None and patterns.is_device(collector.name):
        raise ConfigError(
            f"{where}.name: {collector.name} is a device to Windows; expected a name that a file can have"
        )
    if collector.share is None:
        return
    share = Share.parse(collector.share)
    if share is None:
        raise ConfigError(
            f"{where}.share: {_cut(collector.share)!r}; expected which of how many collectors this is, such as 1/4"
        )
    if share.of > 1 and collector.name is None:
        raise ConfigError(
            f"{where}.share: one of {share.of} collectors has no collector.name, and would write files of the same "
            "names as the others; expected a name of its own"
        )


def _no_twins(names: list[str], where: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ConfigError(f"{where}: {name} is given twice; expected each once")


def _words(words: list[str], where: str) -> None:
    """Refuse what is neither a symbol nor a pattern of symbols."""
    for number, word in enumerate(words):
        if mistake := patterns.mistake(word):
            raise ConfigError(f"{where}[{number}]: {mistake}")
    _no_twins(words, where)


def _streams(names: list[str], where: str) -> None:
    for number, name in enumerate(names):
        if name not in STREAMS:
            raise ConfigError(f"{where}[{number}]: {_cut(name)!r}; expected one of {', '.join(STREAMS)}")
    _no_twins(names, where)
    if lacking := [name for name in ALWAYS_RECORDED if name not in names]:
        raise ConfigError(
            f"{where}: lacks {', '.join(lacking)}; expected {' and '.join(ALWAYS_RECORDED)}, which bars are made of, "
            "and depth beside them where the order book is wanted"
        )


def _writable(value: Any, where: str, mark: str = ".") -> None:  # noqa: ANN401 - it is of any type
    """Refuse texts that no system takes as a name, an address or a word of a command."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _writable(inner, f"{where}{mark}{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _writable(inner, f"{where}[{number}]")
    elif isinstance(value, str) and ("\0" in value or not is_unicode(value)):
        raise ConfigError(f"{where}: holds a NUL or half a character (a lone surrogate); expected neither")


def _no_file(base: Path, where: str) -> None:
    """Refuse a place that is no folder, and can be made none."""
    try:
        there = next((place for place in (base, *base.parents) if place.exists()), base)
        is_folder = there.is_dir() or not there.exists()
    except OSError as error:
        raise ConfigError(f"{where}: {_cut(str(base))}: cannot be looked at: {error.strerror}") from None
    if not is_folder:
        raise ConfigError(f"{where}: {_cut(str(there))} is a file; expected a folder, or nothing there yet")


def _address(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"{where}: {_cut(address(url))!r} is not an address; expected one such as https://host:9443/path"
        )


def _store(store: Store, base: Path, where: str) -> None:
    """Refuse a store that no client opens, one with secrets in its address, and the lake's own folder."""
    if store.endpoint is not None:
        _address(store.endpoint, f"{where}.endpoint")
    for key, url in {"url": store.url, "endpoint": store.endpoint or ""}.items():
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ConfigError(
                f"{where}.{key}: {_cut(address(url))!r} is not an address; expected e.g. s3://bucket/prefix"
            ) from None
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ConfigError(
                f"{where}.{key}: {_cut(address(url))!r}: holds more than an address; expected none of user, password, "
                "query: credentials come from the environment"
            )
    parts = urlsplit(store.url)
    if parts.scheme == "s3" and not parts.hostname:
        raise ConfigError(f"{where}.url: names no bucket; expected s3://bucket or s3://bucket/prefix")
    if parts.scheme == "file":
        folder = Path(url2pathname(parts.path))
        if parts.netloc or not folder.is_absolute():
            raise ConfigError(
                f"{where}.url: {_cut(store.url)!r}: expected file:, three slashes, and an absolute folder"
            )
        if folder == base or folder in base.parents or base in folder.parents:
            raise ConfigError(
                f"{where}.url: {_cut(store.url)!r}: is general.base_path, or one lies in the other; expected a folder "
                "apart from it"
            )


def _expand(base_path: str, config_file: Path) -> Path:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise ConfigError(f"{config_file}: general.base_path: the variable ${{{_cut(name)}}} is not set")
        return os.environ[name]

    expanded = re.sub(r"\$\{(.*?)\}", value, base_path)
    if not expanded.strip():
        raise ConfigError(f"{config_file}: general.base_path: empty; expected a folder")
    try:
        place = Path(expanded)
        # To `Path` a folder of that name, `./~`, is the home as well.
        folder = config_file.parent / (place.expanduser() if expanded.startswith("~") else place)
    except RuntimeError:
        raise ConfigError(
            f"{config_file}: general.base_path: {_cut(expanded)!r}: there is no such home"
        ) from None
    return Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links
