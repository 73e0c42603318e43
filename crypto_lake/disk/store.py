"""The object store: list, fetch, put, put what is not there yet, delete. Keys are paths relative to the lake.

One PUT appears as a whole, as a rename does. Nothing more is relied on than put-if-absent, which every store that calls
itself S3 answers alike. Waits and retries are bounded; what is wrong then is one line, without anything secret in it.
What keys mean is not known here.
"""

# ruff: noqa: PLC0415 - a lake without a store needs no client, and does not load it

import configparser
import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from crypto_lake.config import Store as Section
from crypto_lake.disk import publish
from crypto_lake.errors import ConfigError, StoreAwayError, StoreError
from crypto_lake.showing import address

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import ObjectStore, S3Store

# So many requests are under way at once: what a host's network needs, and little for any store.
AT_ONCE = 16
# A store that is there lets one connect at once; within a minute 64 MB, the largest PUT, take a megabyte a second.
_CONNECT_SEC, _ANSWER_SEC = 5, 60
# A store that is away is told of after a minute at most; who asked tries again when it sees fit.
_RETRIES, _RETRY_SEC, _LONGEST_WAIT_SEC = 5, 60, 5
# A request for a whole large file would run into the limit of an answer.
_PIECE = 16 << 20
_PAGE = 1000
_CREDENTIALS = (
    "expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or a profile, that may read, list and "
    "write there"
)
# Where an environment tells how to ask for credentials.
_TOLD_BY_ENVIRONMENT = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_code = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_status = re.compile(r"\b(?:status|error)(?: code)?:? ([1-5][0-9]{2})\b")
_unsafe = re.compile(r"[^A-Za-z0-9.-]+")

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


class Entry(NamedTuple):
    """An object: how many bytes it has, a tag that changes with them, and when it was put (ns)."""

    size: int
    tag: str
    modified_ns: int


class Store:
    """A lake's objects. Made by `open_store`; may be used by many threads at once."""

    def __init__(self, client: "ObjectStore", shown: str, *, is_in_order: bool = False) -> None:
        self._client = client
        self._is_in_order = is_in_order
        self.shown = shown

    def __str__(self) -> str:
        return self.shown

    def entries(self, folder: str, begin: str | None = None, end: str | None = None) -> dict[str, Entry]:
        """Return the objects below a folder by key, in order; none where there is none.

        `begin` and `end`: only those whose keys lie between them.

        Raises:
            StoreError: see `StoreError`, `StoreAwayError`.
        """
        found: dict[str, Entry] = {}
        with self._told(f"listing {folder or 'it'}"):
            for page in self._client.list(folder or None, offset=begin, chunk_size=_PAGE):
                found |= {meta["path"]: _entry(meta) for meta in page}
                # S3 answers in the order of keys; a folder on a disk has none.
                if end and self._is_in_order and page and page[-1]["path"] > end:
                    break
        return {key: found[key] for key in sorted(found) if not end or key <= end}

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder, sorted. Raises as `entries`."""
        with self._told(f"listing {folder or 'it'}"):
            found = self._client.list_with_delimiter(folder or None)["common_prefixes"]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def look(self, key: str) -> Entry | None:
        """Return what there is under a key, if anything. Raises as `entries`."""
        with contextlib.suppress(_AbsentError), self._told(f"looking at {key}"):
            return _entry(self._client.head(key))
        return None

    def read(self, key: str) -> bytes | None:
        """Return the content of a small object; None where there is none. Raises as `entries`."""
        with contextlib.suppress(_AbsentError), self._told(f"reading {key}"):
            return bytes(self._client.get(key).bytes())
        return None

    def fetch(self, key: str, path: Path, size: int) -> Entry | None:
        """Copy an object to a file that nobody reads yet; return what it was, or None where there is none.

        Large ones, as `size` (which it may have changed since) says, come in pieces.

        Raises:
            StoreError: as `entries`; or it came short, or changed meanwhile, again and again.
            OSError: the disk refused.
        """
        with contextlib.suppress(_AbsentError), path.open("wb") as file, self._told(f"fetching {key}"):
            for _ in range(_RETRIES):
                if (entry := self._copied(key, file, size)) is not None:
                    return entry
            raise StoreAwayError(f"{self.shown}: fetching {key}: it came short each time; expected all of it")
        return None

    def _copied(self, key: str, file: BinaryIO, size: int) -> Entry | None:
        """Copy an object; None where what came is not one object, and all of it."""
        entry: Entry | None = None
        file.seek(0)
        file.truncate()
        while entry is None or file.tell() < entry.size:
            begin = file.tell()
            options: GetOptions = {"range": (begin, min(begin + _PIECE, size))} if size > _PIECE else {}
            answer = self._client.get(key, options=options)
            found = _entry(answer.meta)
            content = answer.bytes()
            if entry not in {None, found} or found.size != size or not (content or found.size == 0):
                return None if entry or found.size == size else self._copied(key, file, found.size)
            entry = found
            file.write(content)
        # A file of the right size that a power loss left full of NULs would be taken for the object.
        file.flush()
        os.fsync(file.fileno())
        return entry if file.tell() == entry.size else None

    def put(self, key: str, path: Path) -> Entry:
        """Put a file under a key, in place of what is there; return it as it is stored.

        Raises:
            StoreError: as `entries`; or the store has another size of it than the file.
            OSError: the file cannot be read.
        """
        size = path.stat().st_size
        with self._told(f"putting {key}"):
            self._client.put(key, path)
        return self._stored(key, size)

    def put_bytes(self, key: str, content: bytes) -> Entry:
        """Put a small object under a key, in place of what is there. Raises as `put`."""
        with self._told(f"putting {key}"):
            self._client.put(key, content, use_multipart=False)
        return self._stored(key, len(content))

    def _stored(self, key: str, size: int) -> Entry:
        found = self.look(key)
        if found is None or found.size != size:
            has = "nothing" if found is None else f"{found.size} bytes"
            raise StoreAwayError(f"{self.shown}: putting {key}: it then had {has}; expected {size} bytes")
        return found

    def put_new(self, key: str, content: bytes) -> bool:
        """Put an object under a key unless there is one; return whether there was none. Raises as `entries`."""
        with contextlib.suppress(_ThereError), self._told(f"putting {key}"):
            # In one request: only such a one is refused where there is an object already.
            self._client.put(key, content, mode="create", use_multipart=False)
            return True
        return False

    def delete(self, key: str) -> None:
        """Remove an object, if there is one. Raises as `entries`."""
        with contextlib.suppress(_AbsentError), self._told(f"removing {key}"):
            self._client.delete(key)

    def each(self, work: Callable[[_Item], _Found], items: Iterable[_Item]) -> Iterator[_Found]:
        """Yield what `work` returns of each item, many at a time, in order; raise the first error of it."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                yield from pool.map(work, items)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn what the client raises into a line; that an object is there, or is not, goes on as such."""
        from obstore import exceptions

        try:
            yield
        except exceptions.AlreadyExistsError:
            raise _ThereError from None
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._without_bucket() from None
            raise _AbsentError from None
        except (exceptions.BaseError, ValueError) as error:
            raise self._line(what, error) from None

    def _without_bucket(self) -> StoreError:
        return StoreError(f"{self.shown}: there is no such bucket; expected one that exists")

    def _line(self, what: str, error: Exception) -> StoreError:
        """Return what an error comes to. Its own text is not shown: it holds what was sent, signatures included."""
        from obstore import exceptions

        text = str(error)
        code = found[1] if (found := _code.search(text)) else ""
        status = found[1] if (found := _status.search(text)) else ""
        said = " ".join(filter(None, (status, code)))
        refused = isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError)
        if code == "NoSuchBucket":
            return self._without_bucket()
        if refused or status in {"401", "403"}:
            return StoreError(
                f"{self.shown}: {what}: it refuses the credentials ({said or '403'}); {_CREDENTIALS}"
            )
        if "redential" in text and not code:
            return StoreError(f"{self.shown}: {what}: there are no credentials; {_CREDENTIALS}")
        if status.startswith("4") and status not in {"408", "429"}:
            return StoreError(f"{self.shown}: {what}: it refuses that ({said}); expected an S3 store")
        why = f"it answers {said}" if said else _trouble(text)
        return StoreAwayError(f"{self.shown}: {what}: {why}, after {_RETRIES} retries; expected an answer")


class _AbsentError(Exception):
    """There is no such object."""


class _ThereError(Exception):
    """There is such an object already."""


def _trouble(text: str) -> str:
    """Say in a few words why no answer came."""
    kinds = {
        "kind: Connect": "it cannot be connected to",
        "kind: Timeout": f"it does not answer within {_ANSWER_SEC} s",
        "timed out": f"it does not answer within {_ANSWER_SEC} s",
        "os error 28": "its disk is full",
        "Permission denied": "its folder may not be written",
    }
    return next((said for sign, said in kinds.items() if sign in text), "its answer breaks off")


def _entry(meta: "ObjectMeta") -> Entry:
    modified_ns = int(meta["last_modified"].timestamp() * 1e6) * 1000
    tag = _unsafe.sub("", meta["e_tag"] or "") or str(modified_ns)
    return Entry(meta["size"], tag, modified_ns)


def open_store(section: Section, environ: Mapping[str, str] | None = None) -> Store:
    """Return the store of a configuration; nothing is asked of it yet.

    Raises:
        ConfigError: the client that it needs is not installed.
        StoreError: nothing says with which credentials to ask.
    """
    try:
        from obstore import exceptions
        from obstore.store import LocalStore
    except ImportError:
        raise ConfigError("store: needs obstore; expected pip install 'crypto-lake[store]'") from None
    parts = urlsplit(section.url)
    # Of an address that has no host nothing would be shown.
    shown = address(section.url) if parts.scheme == "s3" else url2pathname(parts.path)
    if parts.scheme == "file":
        try:
            return Store(LocalStore(url2pathname(parts.path), mkdir=True), shown)
        except (OSError, ValueError, exceptions.BaseError) as error:
            raise StoreError(f"{shown}: {' '.join(str(error).split())[:200]}; expected a folder") from None
    return Store(_s3(section, os.environ if environ is None else environ, shown), shown, is_in_order=True)


def _s3(section: Section, environ: Mapping[str, str], shown: str) -> "S3Store":
    """Return the client of a bucket.

    Raises:
        StoreError: as `open_store`.
    """
    from obstore.store import S3Store

    parts = urlsplit(section.url)
    settings: dict[str, Any] = {"disable_bulk_delete": True} | _credentials(section, environ, shown)
    if section.endpoint:
        settings["endpoint"] = section.endpoint
    if section.region:
        settings["region"] = section.region
    endpoint = section.endpoint or environ.get("AWS_ENDPOINT_URL") or ""
    return S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": f"{_CONNECT_SEC}s",
            "timeout": f"{_ANSWER_SEC}s",
        },
        retry_config={
            "max_retries": _RETRIES,
            "retry_timeout": timedelta(seconds=_RETRY_SEC),
            "backoff": {
                "init_backoff": timedelta(milliseconds=200),
                "max_backoff": timedelta(seconds=_LONGEST_WAIT_SEC),
                "base": 2,
            },
        },
        **settings,
    )


def _credentials(section: Section, environ: Mapping[str, str], shown: str) -> dict[str, str]:
    """Return the credentials of a profile, where the environment has none; the client asks for others itself.

    Raises:
        StoreError: there are none, and the store is none that a cloud's machine is known to.
    """
    if any(environ.get(name) for name in _TOLD_BY_ENVIRONMENT):
        return {}
    path = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    profile = environ.get("AWS_PROFILE") or "default"
    parser = configparser.RawConfigParser()
    with contextlib.suppress(OSError, UnicodeDecodeError, configparser.Error):
        parser.read_string(publish.read(path).decode())
    if parser.has_section(profile):
        names = {"access_key_id", "secret_access_key", "session_token"}
        found = {name: parser.get(profile, f"aws_{name}", fallback="") for name in names}
        if found["access_key_id"] and found["secret_access_key"]:
            return {name: value for name, value in found.items() if value}
    if section.endpoint or environ.get("AWS_ENDPOINT_URL"):
        raise StoreError(f"{shown}: there are no credentials; {_CREDENTIALS}")
    return {}
