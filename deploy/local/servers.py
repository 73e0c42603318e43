"""PostgreSQL, Redis and an S3 store in a folder: how each is made, started, and known to be ready.

They listen on loopback alone, and ask for a password that is the folder's own.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from functools import partial
from glob import glob
from pathlib import Path

from deploy.local.program import FleetError, Program, listens

# Who runs PostgreSQL, which refuses to be root's.
_USER = "postgres"
_BUCKET = "lake"
# A gateway may listen before its pools are made and its users known.
_BUCKET_SEC = 120.0
_AGAIN_SEC = 1.0
_BLOCK_BYTES = 8 << 30
_CEPH_CONF = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}]
mon data = {folder}/mon
osd data = {folder}/osd
log file = {folder}/log/$name.log
pid file =
admin socket =
run dir = {folder}/run
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
keyring = /dev/null
mon allow pool size one = true
mon warn on pool no redundancy = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = bluestore
bluestore block create = true
bluestore block size = {block}
bluestore cache autotune = false
bluestore cache size = 67108864
rgw frontends = beast endpoint=127.0.0.1:{rgw}
rgw dynamic resharding = false
rgw enable usage log = false
rgw enable gc threads = false
rgw thread pool size = 32
"""


def find(program: str) -> str | None:
    """Return where a program is; Debian has PostgreSQL's in a folder of its version."""
    inside = sorted(glob(f"/usr/lib/postgresql/*/bin/{program}"), reverse=True)  # noqa: PTH207 - absolute
    return shutil.which(program) or (inside[0] if inside else None)


def missing(store: str) -> list[str]:
    """Return what is not installed of what a fleet needs, each with the package that brings it."""
    wanted = {"initdb": "postgresql", "redis-server": "redis-server"}
    if store == "ceph":
        wanted |= {"ceph-mon": "ceph-mon", "ceph-osd": "ceph-osd", "radosgw": "radosgw"}
    if os.geteuid() == 0:
        wanted["setpriv"] = "util-linux"
    lacking = [f"{program} (Debian: {package})" for program, package in wanted.items() if not find(program)]
    modules = {"dagster_postgres": "crypto-lake[fleet]", "dagster_celery": "crypto-lake[fleet]"}
    if store == "moto":
        modules["moto.server"] = "moto[server]"
    return lacking + [f"{name} (pip: {package})" for name, package in modules.items() if not _has(name)]


def _has(module: str) -> bool:
    from importlib.util import find_spec  # noqa: PLC0415 - of use here alone

    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def run(words: list[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end; return what it printed.

    Raises:
        FleetError: it failed: its last line; or it took too long.
    """
    try:
        done = subprocess.run(
            words,
            env=os.environ | (environment or {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    except subprocess.TimeoutExpired as error:
        raise FleetError(f"{words[0]}: not done after {error.timeout:.0f} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise FleetError(f"{words[0]}: {said[-1] if said else f'exit code {done.returncode}'}")
    return done.stdout


def _as_postgres() -> list[str]:
    """The words before PostgreSQL's: of another user, where this is root; it may look through folders of root's."""
    if os.geteuid() != 0:
        return []
    caps = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", *caps]


def postgres(folder: Path, port: int, password: str) -> Program:
    """PostgreSQL, with a database for Dagster, made if it is not there."""
    data = folder / "postgres"
    if not (data / "PG_VERSION").exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        words = folder / "postgres-password"
        words.write_text(password + "\n", encoding="utf-8")
        if os.geteuid() == 0:
            for path in (data, words):
                shutil.chown(path, _USER, _USER)
        make = [str(find("initdb")), "--pgdata", str(data), "--username", "lake", "--encoding", "UTF8"]
        run([*_as_postgres(), *make, "--auth", "scram-sha-256", "--pwfile", str(words), "--no-sync"])
        words.unlink()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": 100,
        "shared_buffers": "32MB",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    words_of_server = (*_as_postgres(), str(find("postgres")), "-D", str(data), *options)
    # SIGINT: it ends without waiting for who is connected.
    ready = lambda: _answers(port, password)  # noqa: E731 - of these two
    return Program("postgres", words_of_server, folder, is_ready=ready, stop=signal.SIGINT)


def _answers(port: int, password: str) -> bool:
    words = [
        str(find("psql")),
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        "lake",
        "-d",
        "postgres",
        "-c",
        "SELECT 1",
    ]
    try:
        run(words, {"PGPASSWORD": password})
    except FleetError:
        return False
    return True


def redis(folder: Path, port: int, password: str) -> Program:
    """Redis, which writes down each change, so that a restart loses no run."""
    data = folder / "redis"
    data.mkdir(parents=True, exist_ok=True)
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "dir": f'"{data}"',
        "appendonly": "yes",
        "requirepass": password,
        "daemonize": "no",
    }
    path = data / "redis.conf"
    path.touch(mode=0o600)
    path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8")
    return Program("redis", (str(find("redis-server")), str(path)), folder, is_ready=lambda: listens(port))


def moto(folder: Path, port: int) -> Program:
    """A stand-in for S3 that forgets everything with its process."""
    words = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    return Program("store", words, folder, is_ready=lambda: listens(port))


def ceph(folder: Path, ports: Mapping[str, int]) -> list[Program]:
    """Ceph's gateway with one monitor and one disk, a file; the gateway is `store`."""
    data = folder / "ceph"
    conf = data / "ceph.conf"
    if not conf.exists():
        _make_ceph(data, ports)
    words = ("-f", "-c", str(conf))
    rgw = (str(find("radosgw")), "-n", "client.rgw", *words)
    return [
        Program(
            "store-mon",
            (str(find("ceph-mon")), "-i", "a", *words),
            folder,
            is_ready=lambda: listens(ports["mon"]),
            is_first=True,
        ),
        Program(
            "store-osd", (str(find("ceph-osd")), "-i", "0", *words), folder, before=partial(make_disk, folder)
        ),
        Program("store", rgw, folder, is_ready=lambda: listens(ports["store"])),
    ]


def _make_ceph(data: Path, ports: Mapping[str, int]) -> None:
    for name in ("mon", "osd", "run", "log"):
        (data / name).mkdir(parents=True, exist_ok=True)
    fsid = str(uuid.uuid4())
    text = _CEPH_CONF.format(fsid=fsid, mon=ports["mon"], rgw=ports["store"], folder=data, block=_BLOCK_BYTES)
    new = data / "new.conf"
    new.write_text(text, encoding="utf-8")
    monmap = str(data / "monmap")
    address = f"[v2:127.0.0.1:{ports['mon']}]"
    run([str(find("monmaptool")), "--create", "--clobber", "--addv", "a", address, "--fsid", fsid, monmap])
    run([str(find("ceph-mon")), "--mkfs", "-i", "a", "--monmap", monmap, "-c", str(new)])
    # The disk is made once the monitor is there: see `make_disk`.
    new.rename(data / "ceph.conf")


def make_disk(folder: Path) -> None:
    """Make Ceph's disk, if there is none; its monitor must be there."""
    data = folder / "ceph"
    if not (data / "osd" / "ready").exists():  # Ceph's own mark, put at the end
        words = ["-c", str(data / "ceph.conf"), "--osd-uuid", str(uuid.uuid4())]
        run([str(find("ceph-osd")), "-i", "0", "--mkfs", *words])


def make_user(folder: Path, key: str, secret: str) -> None:
    """Make the one user of Ceph's gateway, if there is none."""
    done = folder / "ceph" / "user"
    if not done.exists():
        words = [str(find("radosgw-admin")), "-c", str(folder / "ceph" / "ceph.conf"), "-n", "client.rgw"]
        words += ["user", "create", "--uid", "lake", "--display-name", "lake"]
        run([*words, "--access-key", key, "--secret-key", secret])
        done.touch()


def make_bucket(endpoint: str, key: str, secret: str) -> None:
    """Make the lake's bucket, if there is none.

    Raises:
        FleetError: the store did not make it within two minutes: what it said last.
    """
    from pyarrow import fs  # noqa: PLC0415 - heavy, and of use here alone

    address = endpoint.removeprefix("http://")
    there = fs.S3FileSystem(
        access_key=key,
        secret_key=secret,
        endpoint_override=address,
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    until = time.monotonic() + _BUCKET_SEC
    while True:
        try:
            there.create_dir(_BUCKET)
        except OSError as error:
            if time.monotonic() > until:
                raise FleetError(f"{endpoint}: no bucket {_BUCKET}: {error}") from None
        else:
            return
        time.sleep(_AGAIN_SEC)
