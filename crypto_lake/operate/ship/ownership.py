"""One `ship` a lake on a machine, and one machine a collector's name in a store.

Two hosts whose collectors have one name would write over each other's journals: the second is told so, and ships
nothing.
"""

import socket
import uuid
from pathlib import Path

from msgspec import Struct, json

from crypto_lake.config import Config
from crypto_lake.disk import publish
from crypto_lake.disk.store import Store
from crypto_lake.errors import NOT_JSON, StoreError


class _Owner(Struct):
    """Whose the files of a collector's name are: a folder of a host, and an id that lies in that folder."""

    id: str
    host: str
    folder: str


def claim(config: Config, store: Store, name: str = "") -> None:
    """Enter this host as the one that ships what a collector of that name records, if nobody else is.

    Raises:
        StoreError: another host does; or the store refuses, or does not answer.
    """
    layout = config.layout
    own = _own(layout.shipping_id, layout.base)
    path = layout.owner(name or "collector")
    key = layout.key(path)
    store.put_new(key, json.encode(own) + b"\n")
    try:
        found = json.decode(store.read(key) or b"", type=_Owner)
    except NOT_JSON:
        raise StoreError(f"{store}: {key}: cannot be understood; expected who ships") from None
    if found.id != own.id:
        whose = f"collector.name {name!r}" if name else "a collector without a name"
        raise StoreError(
            f"{store}: {whose} ships from {found.folder} on {found.host} already; expected another collector.name "
            f"here, or {key} removed from the store if that one is gone for good"
        )


def _own(path: Path, base: Path) -> _Owner:
    try:
        return json.decode(publish.read(path), type=_Owner)
    except (FileNotFoundError, *NOT_JSON):
        own = _Owner(uuid.uuid4().hex, socket.gethostname(), str(base))
        publish.write(path, json.encode(own) + b"\n")
        return own
