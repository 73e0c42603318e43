"""Who opens Dagster's page to others is told what that means."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from loguru import logger

from crypto_lake import logs
from crypto_lake.cli import cli
from crypto_lake.config import ENVIRONMENT_VARIABLE, Config
from crypto_lake.operate.up import supervisor
from crypto_lake_tests.operate.up.test_up import free_port


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a person sees of `crypto-lake up`, which starts nothing here."""
    # The command sets it for the processes that it starts.
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "")
    # A command that ran in this process before may have left its log open.
    logs.stop()
    seen: list[str] = []
    monkeypatch.setattr(supervisor, "supervise", lambda _config, _programs, hints: seen.extend(hints))
    yield seen
    logs.stop()
    logger.disable("crypto_lake")


def up(config_file: Path, host: str) -> None:
    words = ["up", "--config", str(config_file), "--host", host, "--port", free_port()]
    assert CliRunner().invoke(cli, words, catch_exceptions=False).exit_code == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - what is warned of
def test_an_open_page_is_warned_of_on_the_terminal_and_in_the_log(
    write_config: Callable[..., Path], lake: Config, hints: list[str], host: str
) -> None:
    up(write_config(), host)
    assert hints[0].startswith(f"WARNING: --host {host}: ")
    assert "no authentication" in hints[0]
    assert "no authentication" in (lake.layout.logs / "up.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_a_page_for_this_machine_alone_is_not(
    write_config: Callable[..., Path], lake: Config, hints: list[str], host: str
) -> None:
    up(write_config(), host)
    assert "WARNING" not in str(hints)
    assert not (lake.layout.logs / "up.log").exists()
