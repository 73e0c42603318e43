"""Where a configuration and a lake lie: which file is taken, what a base path may be."""

import os
from pathlib import Path

import pytest

from crypto_lake import config
from crypto_lake.errors import ConfigError
from crypto_lake_tests.test_config import EXCHANGES, load, mistake


def test_a_relative_base_path_is_relative_to_the_file_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    there.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load(there, EXCHANGES + "general: {base_path: ../lake}").layout.base == tmp_path / "lake"


def test_an_absolute_base_path_stays(tmp_path: Path) -> None:
    base = tmp_path / "far" / "away"
    assert load(tmp_path, f"{EXCHANGES}general: {{base_path: '{base}'}}").layout.base == base


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    assert load(tmp_path, EXCHANGES + "general: {base_path: ~/lake}").layout.base == home / "lake"


def test_a_folder_that_is_called_tilde_is_no_home(tmp_path: Path) -> None:
    base = load(tmp_path, EXCHANGES + "general: {base_path: ./~/lake}").layout.base
    assert base == tmp_path / "~" / "lake"


@pytest.mark.skipif(os.name == "nt", reason="Windows makes up a home for any name")
def test_a_home_that_nobody_has_is_refused(tmp_path: Path) -> None:
    line = mistake(tmp_path, EXCHANGES + "general: {base_path: ~no-such-person/lake}")
    assert line == "general.base_path: '~no-such-person/lake': there is no such home"


def test_a_variable_expands_in_the_base_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_ROOM", str(tmp_path / "room"))
    loaded = load(tmp_path, EXCHANGES + 'general: {base_path: "${LAKE_ROOM}/lake"}')
    assert loaded.layout.base == tmp_path / "room" / "lake"


@pytest.mark.parametrize("name", ["NOBODY_SETS_THIS", "NOBODY-SETS", ""])
def test_a_variable_that_is_not_set_is_refused(tmp_path: Path, name: str) -> None:
    line = mistake(tmp_path, f'{EXCHANGES}general: {{base_path: "${{{name}}}/lake"}}')
    assert line == f"general.base_path: the variable ${{{name}}} is not set"


@pytest.mark.parametrize("base", ["''", "'  '", '"${LAKE_ROOM}"'])
def test_an_empty_base_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    monkeypatch.setenv("LAKE_ROOM", "")
    line = mistake(tmp_path, f"{EXCHANGES}general: {{base_path: {base}}}")
    assert line == "general.base_path: empty; expected a folder"


def test_nothing_is_made_by_loading(tmp_path: Path) -> None:
    load(tmp_path, EXCHANGES)
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.yml"]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in with a file for each of the three ways to name one."""
    monkeypatch.chdir(tmp_path)
    for name in ("explicit.yml", "environment.yml", "config.yml"):
        (tmp_path / name).touch()
    monkeypatch.setenv(config.ENVIRONMENT_VARIABLE, "environment.yml")
    return tmp_path


def test_the_file_that_is_named_comes_first(places: Path) -> None:
    assert config.find("explicit.yml") == places / "explicit.yml"


def test_the_environment_comes_second(places: Path) -> None:
    assert config.find() == places / "environment.yml"


@pytest.mark.parametrize("value", [None, ""])
def test_the_file_at_hand_comes_last(
    places: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(config.ENVIRONMENT_VARIABLE)
    if value is not None:
        monkeypatch.setenv(config.ENVIRONMENT_VARIABLE, value)
    assert config.find() == places / "config.yml"


@pytest.mark.parametrize("name", ["missing.yml", "."])
def test_a_named_file_that_is_not_there_is_not_replaced_by_another(places: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"no such configuration file; expected one there") as caught:
        config.find(name)
    assert str(caught.value).startswith(str((places / name).absolute()))
    assert caught.value.exit_code == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows calls such a file missing")
@pytest.mark.parametrize("name", ["a" * 300, "~no-such-person/config.yml"])
def test_a_name_that_the_system_refuses_is_one_clear_line(places: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read: "):
        config.find(name)


def test_a_base_path_below_a_file_is_refused(tmp_path: Path) -> None:
    line = mistake(tmp_path, EXCHANGES + "general: {base_path: config.yml/lake/deep}")
    assert line == (
        f"general.base_path: {tmp_path / 'config.yml'} is a file; expected a folder, or nothing there yet"
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows calls such a folder missing")
def test_a_base_path_that_the_system_refuses_is_one_clear_line(tmp_path: Path) -> None:
    line = mistake(tmp_path, EXCHANGES + f"general: {{base_path: {'a' * 300}}}")
    assert line.startswith("general.base_path: ")
    assert "cannot be looked at: " in line


def test_a_variable_that_names_a_folder_which_is_not_utf8_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_ROOM", "a\udcff")
    line = mistake(tmp_path, EXCHANGES + 'general: {base_path: "${LAKE_ROOM}"}')
    assert line.startswith("general.base_path: holds a NUL or half a character")
