"""The store: what is put comes back, and what goes wrong is one line, after bounded waiting, without a secret."""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crypto_lake.config import Store as Section
from crypto_lake.disk import store as module
from crypto_lake.disk.cache import Cache
from crypto_lake.disk.store import Entry, Store, open_store
from crypto_lake.errors import StoreAwayError, StoreError
from crypto_lake_tests.disk import s3 as fake
from crypto_lake_tests.disk.s3 import S3, Fault

CANARY = {"AWS_ACCESS_KEY_ID": "CANARYKEY", "AWS_SECRET_ACCESS_KEY": "CANARYSECRET"}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a store waits shortly here; and only these credentials are in the environment."""
    monkeypatch.setattr(module, "_RETRIES", 2)
    monkeypatch.setattr(module, "_ANSWER_SEC", 1)
    for name, value in CANARY.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def s3() -> Iterator[tuple[S3, Store]]:
    with fake.running() as (server, address):
        yield server, open_store(Section(url="s3://lake/prefix", endpoint=address))


@pytest.fixture(params=["s3", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(Section(url=(tmp_path / "store").as_uri()))
    found: tuple[S3, Store] = request.getfixturevalue("s3")
    return found[1]


def mistake(work: Callable[[], object], kind: type[StoreError] = StoreError) -> str:
    with pytest.raises(kind) as caught:
        work()
    line = str(caught.value)
    assert "\n" not in line
    assert "CANARY" not in line
    return re.sub(r"127\.0\.0\.1:\d+", "HOST", line)


def test_what_is_put_is_listed_and_comes_back_until_it_is_removed(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    put = store.put("raw/a=1/part", file)
    assert (put.size, store.look("raw/a=1/part")) == (7, put)
    assert store.entries("raw") == {"raw/a=1/part": put}
    assert store.fetch("raw/a=1/part", tmp_path / "came", put.size) == put
    assert (tmp_path / "came").read_bytes() == b"content"
    store.delete("raw/a=1/part")
    store.delete("raw/a=1/part")
    assert store.entries("raw") == {}
    assert (store.read("raw/a=1/part"), store.look("raw/a=1/part")) == (None, None)
    assert store.fetch("raw/a=1/part", tmp_path / "came", 7) is None


def test_only_the_first_of_two_puts_what_is_not_there_yet(store: Store) -> None:
    assert store.put_new("key", b"first")
    assert not store.put_new("key", b"second")
    assert store.read("key") == b"first"


def test_a_large_object_comes_in_pieces_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(Section(url=(tmp_path / "store").as_uri()))
    monkeypatch.setattr(module, "_PIECE", 1000)
    content = bytes(range(256)) * 20
    entry = store.put_bytes("large", content)
    for size in (entry.size, 100, 4000):
        assert store.fetch("large", tmp_path / "came", size) == entry
        assert (tmp_path / "came").read_bytes() == content


def test_trouble_that_passes_is_not_noticed(s3: tuple[S3, Store]) -> None:
    server, store = s3
    troubles = iter([Fault(503, "SlowDown"), Fault(500, "InternalError")])
    server.fault = lambda _method, _key: next(troubles, None)
    store.put_bytes("key", b"content")
    assert server.objects == {"prefix/key": b"content"}


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (Fault(503, "SlowDown"), "it answers 503 SlowDown, after 2 retries; expected an answer"),
        (Fault(wait_sec=3), "it does not answer within 1 s, after 2 retries; expected an answer"),
    ],
)
def test_trouble_that_stays_is_one_line(s3: tuple[S3, Store], fault: Fault, line: str) -> None:
    server, store = s3
    server.fault = lambda _method, _key: fault
    assert mistake(lambda: store.read("key"), StoreAwayError) == f"s3://lake/prefix: reading key: {line}"


@pytest.mark.parametrize(
    ("status", "code"), [(403, "SignatureDoesNotMatch"), (403, "AccessDenied"), (401, "Expired")]
)
def test_credentials_that_are_refused_are_one_line(s3: tuple[S3, Store], status: int, code: str) -> None:
    server, store = s3
    server.fault = lambda _method, _key: Fault(status, code)
    for work in (
        lambda: store.entries("raw"),
        lambda: store.read("key"),
        lambda: store.put_bytes("key", b"x"),
    ):
        assert f"it refuses the credentials ({status} {code}); expected AWS_ACCESS_KEY_ID" in mistake(work)


def test_without_credentials_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in CANARY:
        monkeypatch.delenv(name)
    section = Section(url="s3://lake", endpoint="http://127.0.0.1:1")
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    assert "s3://lake: there are no credentials; expected AWS_ACCESS_KEY_ID" in mistake(
        lambda: open_store(section, environ)
    )


def test_a_profile_brings_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in CANARY:
        monkeypatch.delenv(name)
    path = tmp_path / "credentials"
    path.write_text("[lake]\naws_access_key_id = A\naws_secret_access_key = S\n", encoding="utf-8")
    with fake.running() as (_, address):
        environ = {"AWS_SHARED_CREDENTIALS_FILE": str(path), "AWS_PROFILE": "lake"}
        store = open_store(Section(url="s3://lake", endpoint=address), environ)
        assert store.put_new("key", b"content")


def test_an_absent_bucket_is_one_line(s3: tuple[S3, Store]) -> None:
    with fake.running("another") as (_, address):
        store = open_store(Section(url="s3://lake", endpoint=address))
        for work in (
            lambda: store.entries("raw"),
            lambda: store.read("key"),
            lambda: store.put_bytes("key", b"x"),
        ):
            assert mistake(work) == "s3://lake: there is no such bucket; expected one that exists"


def test_nobody_who_listens_is_one_line() -> None:
    store = open_store(Section(url="s3://lake", endpoint="http://127.0.0.1:1"))
    assert mistake(lambda: store.entries("raw"), StoreAwayError) == (
        "s3://lake: listing raw: it cannot be connected to, after 2 retries; expected an answer"
    )


def test_an_upload_that_comes_short_is_noticed(s3: tuple[S3, Store]) -> None:
    server, store = s3
    server.fault = lambda method, _key: Fault(cut=method == "PUT")
    line = mistake(lambda: store.put_bytes("key", b"0123456789"), StoreAwayError)
    assert line == "s3://lake/prefix: putting key: it then had 5 bytes; expected 10 bytes"


def test_a_download_that_comes_short_is_never_taken_for_the_object(
    s3: tuple[S3, Store], tmp_path: Path
) -> None:
    server, store = s3
    entry = store.put_bytes("key", b"0123456789")
    server.fault = lambda method, _key: Fault(cut=method == "GET")
    cache = Cache(tmp_path / "cache")
    mistake(lambda: cache.bring(store, "key", entry), StoreAwayError)
    assert cache.lacking({"key": entry}) == ["key"]
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    server.fault = lambda _method, _key: None
    assert cache.bring(store, "key", entry) == entry
    assert cache.place("key", entry).read_bytes() == b"0123456789"


def test_what_another_run_has_fetched_meanwhile_and_windows_holds_is_taken_as_it_is(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    entry = store.put_bytes("state/a.json", b"first")
    renamed = Path.replace

    def held(self: Path, target: Path) -> Path:
        if self.name.endswith(".tmp"):
            target.write_bytes(b"first")
            raise PermissionError(13, "held by a reader")
        return renamed(self, target)

    monkeypatch.setattr(Path, "replace", held)
    assert cache.bring(store, "state/a.json", entry) == entry
    place = cache.place("state/a.json", entry)
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_a_copy_that_cannot_be_put_in_its_place_is_no_copy(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> Path:
        raise PermissionError(13, "not yours")

    cache = Cache(tmp_path / "cache")
    entry = store.put_bytes("state/a.json", b"first")
    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(PermissionError):
        cache.bring(store, "state/a.json", entry)


def test_a_copy_of_what_an_object_was_goes_when_it_comes_anew(store: Store, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    before = store.put_bytes("state/a.json", b"first")
    assert cache.bring(store, "state/a.json", before) == before
    after = store.put_bytes("state/a.json", b"the second")
    assert cache.bring(store, "state/a.json", before) == after
    assert not cache.place("state/a.json", before).exists()
    assert cache.place("state/a.json", after).read_bytes() == b"the second"


def test_a_copy_onto_another_disk_that_was_cut_short_is_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_disk(*_: object) -> None:
        raise OSError(errno.EXDEV, "invalid cross-device link")

    def full(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:3])
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "link", another_disk)
    path = tmp_path / "whole"
    path.write_bytes(b"123456")
    cache, entry = Cache(tmp_path / "cache"), Entry(6, "tag", 0)
    with monkeypatch.context() as while_full:
        while_full.setattr(shutil, "copy2", full)
        with pytest.raises(OSError, match="no space left"):
            cache.keep("a/key", entry, path)
    assert cache.lacking({"a/key": entry}) == ["a/key"]
    cache.keep("a/key", entry, path)
    cache.keep("a/key", entry, path)
    assert cache.place("a/key", entry).read_bytes() == b"123456"
    assert [one.name for one in (tmp_path / "cache" / "a").iterdir()] == ["key@6-tag"]


def test_a_folder_that_is_gone_does_not_mean_that_an_object_is(store: Store, tmp_path: Path) -> None:
    store.put_bytes("a/key", b"123456")
    with pytest.raises(FileNotFoundError):
        store.fetch("a/key", tmp_path / "gone" / "copy", 6)
