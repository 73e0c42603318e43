"""Locks that hosts share, in a PostgreSQL of their own; left out where that is not installed."""

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance import InstanceRef

from crypto_lake.defs import commands, turns
from crypto_lake.errors import LakeBusyError

_LACKING = "POSIX's sessions"
if sys.platform != "win32":
    from deploy.local import servers
    from deploy.local.program import end, free_ports

    _LACKING = ", ".join(one for one in servers.missing("folder") if "redis" not in one)
pytestmark = pytest.mark.skipif(
    bool(_LACKING), reason=f"locks of several hosts want what is not here: {_LACKING}"
)
_HOLDS = """
import sys, time
import dagster as dg
from dagster._core.instance import InstanceRef
from crypto_lake.defs import turns
with dg.DagsterInstance.from_ref(InstanceRef.from_dir(sys.argv[1])) as instance:
    with turns.held(instance, sys.argv[2]):
        print("held", flush=True)
        time.sleep(120)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Dagster home whose instance lies in PostgreSQL."""
    folder = tmp_path_factory.mktemp("postgres")
    (port,), word = free_ports(1), secrets.token_hex(8)
    program = servers.postgres(folder, port, word)
    process = program.start()
    until = time.monotonic() + 60
    while not program.is_ready():
        assert process.poll() is None
        assert time.monotonic() < until, program.said()
        time.sleep(0.1)
    url = f"postgresql+psycopg2://lake:{word}@127.0.0.1:{port}/postgres"
    text = f"storage: {{postgres: {{postgres_url: '{url}'}}}}\ntelemetry: {{enabled: false}}\n"
    (folder / "dagster.yaml").write_text(text, encoding="utf-8")
    yield folder
    end(process.pid, program.stop, 10)
    process.wait()


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as found:
        yield found


@pytest.fixture
def other(home: Path, request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[str]"]:
    """Another process, that holds the lock of the test's name."""
    words = [sys.executable, "-c", _HOLDS, str(home), str(request.param)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("other", ["a name"], indirect=True)
def test_a_lock_is_one_processs_and_free_when_that_is_killed(
    instance: dg.DagsterInstance, other: "subprocess.Popen[str]"
) -> None:
    assert turns.are_shared(instance)
    with (
        pytest.raises(LakeBusyError, match="a name: another process has been at it for 0 s"),
        turns.held(instance, "a name", 0),
    ):
        pass
    with turns.held(instance, "another name", 0):
        pass
    other.kill()
    with turns.held(instance, "a name", 30):
        pass


@pytest.mark.parametrize("other", ["the run 00000000-0000-0000-0000-00000000000a"], indirect=True)
def test_a_commands_run_on_another_host_is_left_alone_until_its_process_is_gone(
    instance: dg.DagsterInstance, other: "subprocess.Popen[str]"
) -> None:
    run_id = "00000000-0000-0000-0000-00000000000a"
    job = dg.GraphDefinition("nothing").to_job()
    tags = {commands.BY_COMMAND: "true"}
    instance.create_run_for_job(job, run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=tags)
    assert commands.end_dead(instance) == []
    other.kill()
    until = time.monotonic() + 30
    while not (ended := commands.end_dead(instance)) and time.monotonic() < until:
        time.sleep(0.1)
    assert ended == [run_id]


def test_without_postgresql_there_is_nothing_to_hold() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert not turns.are_shared(instance)
        with turns.held(instance, "a name", 0), turns.held(instance, "a name", 0):
            pass
