"""Which lake a store holds: an id that the first who writes puts there, and that every folder of the lake remembers.

So a bucket that was mistyped is noticed before anything is moved.
"""

import uuid

from msgspec import Struct, json

from crypto_lake.config import Config
from crypto_lake.disk import publish
from crypto_lake.disk.store import Store, open_store
from crypto_lake.errors import NOT_JSON, StoreError
from crypto_lake.showing import some

# Goes up when an older version would misread what lies in a store.
_FORMAT = 1
_FOLDERS = {"raw", "parquet", "bars", "ticks", "backfill", "reference", "state", "logs"}
_opened: dict[tuple[object, str], Store] = {}


class _Identity(Struct):
    id: str
    format: int


def opened(config: Config) -> Store:
    """Return the store of a configuration, once it was seen to hold this lake, or to be free for it.

    It is asked for once in a process.

    Raises:
        ConfigError: its client is not installed.
        StoreError: it refuses, does not answer, holds another lake, or one of a later version.
    """
    if config.store is None:
        raise StoreError("store: there is none in the configuration; expected store.url")
    key = config.store, config.general.base_path
    if key not in _opened:
        store = open_store(config.store)
        _make_sure(config, store)
        _opened[key] = store
    return _opened[key]


def forget() -> None:
    """Let stores that were opened be asked for again."""
    _opened.clear()


def _make_sure(config: Config, store: Store) -> None:
    layout = config.layout
    key = layout.key(layout.identity)
    known = _known(config)
    found = store.read(key)
    if found is None:
        _refuse_others(store)
        new = known or _Identity(uuid.uuid4().hex, _FORMAT)
        store.put_new(key, json.encode(new) + b"\n")
        found = store.read(key) or b""
    try:
        here = json.decode(found, type=_Identity)
    except NOT_JSON:
        raise StoreError(f"{store}: {key}: cannot be understood; expected the identity of a lake") from None
    if here.format > _FORMAT:
        raise StoreError(
            f"{store}: its lake is of a later version ({here.format}); expected {_FORMAT} at most"
        )
    if known is None:
        publish.write(layout.known_identity, json.encode(here) + b"\n")
    elif known.id != here.id:
        raise StoreError(
            f"{store}: holds the lake {here.id}, and {layout.base} belongs to the lake {known.id}; expected the store "
            "of that one, or another general.base_path"
        )


def _refuse_others(store: Store) -> None:
    """Refuse a place that holds things, and none of a lake's: it was mistyped."""
    there = store.folders("")
    if there and not set(there) & _FOLDERS:
        raise StoreError(
            f"{store}: holds other things ({some(there)}); expected a lake, or nothing there yet"
        )


def _known(config: Config) -> _Identity | None:
    try:
        return json.decode(publish.read(config.layout.known_identity), type=_Identity)
    except (OSError, *NOT_JSON):
        return None
