"""What a fleet in a folder consists of: its numbers, ports and passwords, kept there; its programs, made of them.

A second start of a folder has the same addresses and data as the first.
"""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from crypto_lake import config as configuration
from crypto_lake.errors import ConfigError
from crypto_lake.operate.up import simulation
from deploy.local import servers
from deploy.local.program import FleetError, Program, free_ports, listens

StoreKind = Literal["ceph", "moto", "folder"]
_FLEET = Path(__file__).resolve().parents[1] / "fleet"
_BUCKET = "s3://lake"
# Two symbols and more for each of three shards.
_SYMBOLS = ["BTCUSDT", "ETHUSDT", "SUIUSDT", "XRPUSDT", "SOLUSDT", "ADAUSDT"]
# So many runs a worker.
_AT_ONCE = 2
_PORTS = ("postgres", "redis", "store", "mon", "web", "code", "exchange")


class Plan(msgspec.Struct, frozen=True):
    """The numbers, ports and passwords of a fleet."""

    collectors: int
    workers: int
    shards: int
    store: StoreKind
    ports: dict[str, int]
    password: str
    key: str
    secret: str
    is_simulated: bool

    @property
    def endpoint(self) -> str:
        """The address of an S3 store."""
        return f"http://127.0.0.1:{self.ports['store']}"

    @property
    def web(self) -> str:
        """The address of Dagster's UI."""
        return f"http://127.0.0.1:{self.ports['web']}"

    def url(self, folder: Path) -> str:
        """The store's address."""
        return (folder / "store").as_uri() if self.store == "folder" else _BUCKET

    def environment(self, folder: Path) -> dict[str, str]:
        """What each process of Dagster needs, and each command from outside."""
        at = "127.0.0.1"
        found = {
            "DAGSTER_HOME": str(folder / "dagster"),
            "CRYPTO_LAKE_POSTGRES": f"postgresql+psycopg2://lake:{self.password}@{at}:{self.ports['postgres']}/postgres",
            "CRYPTO_LAKE_REDIS": f"redis://:{self.password}@{at}:{self.ports['redis']}/0",
            "CRYPTO_LAKE_RUNS": str(2 * self.workers * _AT_ONCE),
            "CRYPTO_LAKE_CODE_HOST": at,
            "CRYPTO_LAKE_CODE_PORT": str(self.ports["code"]),
        }
        if self.store != "folder":
            found |= {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}
        return found


def _path(folder: Path) -> Path:
    return folder / "plan.json"


def read(folder: Path) -> Plan | None:
    """Return the plan of a folder; None where there is no fleet in it."""
    if not _path(folder).exists():
        return None
    return msgspec.json.decode(_path(folder).read_bytes(), type=Plan)


def make(folder: Path, config_file: Path | None, wanted: dict[str, Any], speed: float) -> Plan:
    """Lay out a fleet in a new folder: plan, configurations, Dagster's home.

    Raises:
        FleetError: the configuration is wrong.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = _simulated(speed) if config_file is None else config_file.read_text(encoding="utf-8-sig")
    tree = yaml.safe_load(text)
    shards = wanted.pop("shards") or tree.get("cluster", {}).get("shards", 3)
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    word, key, secret = secrets.token_hex(16), secrets.token_hex(10).upper(), secrets.token_hex(20)
    plan = Plan(
        **wanted,
        shards=shards,
        ports=ports,
        password=word,
        key=key,
        secret=secret,
        is_simulated=config_file is None,
    )
    for name in _configured(plan):
        _write_config(plan, folder, name, tree)
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copyfile(_FLEET / name, home / name)
    _path(folder).touch(mode=0o600)
    _path(folder).write_bytes(msgspec.json.format(msgspec.json.encode(plan)))
    return plan


def _simulated(speed: float) -> str:
    text = simulation.text(speed)
    tree = yaml.safe_load(text)
    tree["exchanges"][0]["symbols"] = _SYMBOLS
    return str(yaml.safe_dump(tree))


def config_of(folder: Path, name: str) -> Path:
    """Return the configuration of a process, or (`outside`) of commands from outside."""
    return folder / "config" / f"{name}.yml"


def _letters(count: int) -> list[str]:
    return [chr(ord("a") + number) for number in range(count)]


def _configured(plan: Plan) -> Iterator[str]:
    yield from ("outside", "code-server")
    yield from (f"worker-{number}" for number in range(1, plan.workers + 1))
    yield from (f"collector-{letter}" for letter in _letters(plan.collectors))


def _write_config(plan: Plan, folder: Path, name: str, tree: dict[str, Any]) -> None:
    """Write the configuration that was given, with what differs on each host."""
    own = {section: dict(value) if isinstance(value, dict) else value for section, value in tree.items()}
    own["general"] = own.get("general") or {}
    own["general"]["base_path"] = str(folder / "hosts" / name)
    own["cluster"] = (own.get("cluster") or {}) | {"shards": plan.shards}
    store: dict[str, Any] = {"url": plan.url(folder)}
    if plan.store != "folder":
        store |= {"endpoint": plan.endpoint, "region": "us-east-1"}
    own["store"] = (own.get("store") or {}) | store
    if name.startswith("collector-"):
        letter = name.removeprefix("collector-")
        own["collector"] = (own.get("collector") or {}) | {"name": letter}
        if port := own.get("collector", {}).get("metrics_port"):
            own["collector"]["metrics_port"] = port + ord(letter) - ord("a")
    path = config_of(folder, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(own, sort_keys=False), encoding="utf-8")
    try:
        configuration.load(path)
    except ConfigError as error:
        raise FleetError(str(error)) from None


def storage(plan: Plan, folder: Path) -> list[Program]:
    """Return PostgreSQL, Redis and the store, in the order in which they start."""
    found = [
        servers.postgres(folder, plan.ports["postgres"], plan.password),
        servers.redis(folder, plan.ports["redis"], plan.password),
    ]
    if plan.store == "ceph":
        found += servers.ceph(folder, plan.ports)
    if plan.store == "moto":
        found.append(servers.moto(folder, plan.ports["store"]))
    return found


def programs(plan: Plan, folder: Path) -> list[Program]:
    """Return all that works with them, in the order in which it starts."""
    found = [_exchange(folder)] if plan.is_simulated else []
    for letter in _letters(plan.collectors):
        found += [_lake(plan, folder, f"collector-{letter}", "collector", is_kept=False)]
        found += [_lake(plan, folder, f"ship-{letter}", "ship", host=f"collector-{letter}")]
    return [*found, *_dagster(plan, folder)]


def _exchange(folder: Path) -> Program:
    config = configuration.load(config_of(folder, "outside"))
    found = simulation.exchange(config, folder)
    (source,) = config.exchanges
    port = int(source.rest_url.split(":")[2].split("/")[0])
    return Program("exchange", (sys.executable, *found.words), folder, is_ready=lambda: listens(port))


def _lake(
    plan: Plan, folder: Path, name: str, command: str, *, host: str | None = None, is_kept: bool = True
) -> Program:
    path = config_of(folder, host or name)
    own = plan.environment(folder) | {configuration.ENVIRONMENT_VARIABLE: str(path)}
    base = configuration.load(path).layout.base
    words = (sys.executable, "-m", "crypto_lake", command, "--config", str(path))
    ready = (lambda: True) if host else base.exists
    return Program(name, words, folder, own, is_ready=ready, is_kept=is_kept, base_path=base, patience_sec=40)


def _dagster(plan: Plan, folder: Path) -> Iterator[Program]:
    home = folder / "dagster"
    at = ("--host", "127.0.0.1", "--port")
    workspace = ("--workspace", str(home / "workspace.yaml"))
    code = (
        "dagster",
        "api",
        "grpc",
        "--module-name",
        "crypto_lake.definitions",
        *at,
        str(plan.ports["code"]),
    )
    web = ("dagster_webserver", *at, str(plan.ports["web"]), *workspace)
    found = _of_dagster(plan, folder, "code-server", *code)
    yield replace(found, is_ready=lambda: listens(plan.ports["code"]), is_first=True)
    yield _of_dagster(plan, folder, "daemon", "dagster._daemon", "run", *workspace)
    yield replace(_of_dagster(plan, folder, "webserver", *web), is_ready=lambda: listens(plan.ports["web"]))
    for number in range(1, plan.workers + 1):
        name = f"worker-{number}"
        # A process tells the monitor that it is there, those below it work.
        celery = (
            "celery",
            "--app",
            "crypto_lake.defs.worker",
            "worker",
            "--concurrency",
            str(_AT_ONCE),
            "--loglevel",
            "INFO",
        )
        found = _of_dagster(plan, folder, name, *celery, "--hostname", f"{name}@%h")
        yield replace(found, is_kept=False, patience_sec=60, is_ready=partial(_is_worker_ready, found))


def _of_dagster(plan: Plan, folder: Path, name: str, *words: str) -> Program:
    path = config_of(folder, name)
    has_own = path.exists()
    there = path if has_own else config_of(folder, "outside")
    variables = plan.environment(folder) | {configuration.ENVIRONMENT_VARIABLE: str(there)}
    base = configuration.load(there).layout.base if has_own else None
    return Program(name, (sys.executable, "-m", *words), folder, variables, base_path=base)


def _is_worker_ready(worker: Program) -> bool:
    return " ready." in worker.said()


def prepare(plan: Plan, folder: Path) -> None:
    """Make what must be there before anybody begins: Dagster's tables, the store's user, and the lake's bucket."""
    # Several that find no tables at once would all make them.
    servers.run([sys.executable, "-m", "dagster", "instance", "info"], plan.environment(folder))
    if plan.store == "ceph":
        servers.make_user(folder, plan.key, plan.secret)
    if plan.store != "folder":
        os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        servers.make_bucket(plan.endpoint, plan.key, plan.secret)
