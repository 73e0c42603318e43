"""The section `store` of `config.yml`: what it says, and what is refused in one line that shows no secret."""

from pathlib import Path

import pytest

from crypto_lake_tests.test_config import EXCHANGES, load, mistake

_MORE = "holds more than an address; expected none of user, password, query: credentials come from the environment"


def test_a_store_is_an_address_and_its_settings(tmp_path: Path) -> None:
    said = "store: {url: 's3://bucket/prefix', endpoint: 'http://127.0.0.1:7480', region: eu, keep_local_hours: 2}"
    store = load(tmp_path, EXCHANGES + said).store
    assert store
    assert (store.url, store.endpoint, store.region) == ("s3://bucket/prefix", "http://127.0.0.1:7480", "eu")
    assert store.keep_local_hours == 2


def test_a_lake_has_no_store_unless_it_is_said(tmp_path: Path) -> None:
    assert load(tmp_path, EXCHANGES).store is None


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("{}", "store.url: missing"),
        (
            "{url: 's3://b', key: x}",
            "store.key: unknown key; expected one of url, endpoint, region, keep_local_hours",
        ),
        (
            "{url: 's3://[b'}",
            "store.url: 's3://[b' is not an address; expected e.g. s3://bucket/prefix",
        ),
        ("{url: 's3:///p'}", "store.url: names no bucket; expected s3://bucket or s3://bucket/prefix"),
        (
            "{url: 's3://CANARY:CANARY@b/p'}",
            f"store.url: 's3://b/p': {_MORE}",
        ),
        (
            "{url: 's3://b/p?key=CANARY'}",
            f"store.url: 's3://b/p': {_MORE}",
        ),
        (
            "{url: 's3://b', endpoint: 'http://CANARY:CANARY@h:1'}",
            f"store.endpoint: 'http://h:1': {_MORE}",
        ),
        (
            "{url: 'file://host/p'}",
            "store.url: 'file://host/p': expected file:, three slashes, and an absolute folder",
        ),
    ],
)
def test_a_store_that_cannot_be_meant_is_refused(tmp_path: Path, said: str, line: str) -> None:
    assert mistake(tmp_path, f"{EXCHANGES}store: {said}\n") == line


@pytest.mark.parametrize("folder", ["data", "data/store", "."])
def test_a_store_is_apart_from_the_lakes_own_folder(tmp_path: Path, folder: str) -> None:
    url = (tmp_path / folder).as_uri()
    line = mistake(tmp_path, f"{EXCHANGES}store: {{url: '{url}'}}\n")
    assert line.endswith("is general.base_path, or one lies in the other; expected a folder apart from it")
