"""The sections of `config.yml`: the structs below are the whole list of keys, with their types and defaults.

What a type cannot say is checked where the file is read (`config`).
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from crypto_lake.layout import RECORDER, Layout

StreamUrl = Annotated[str, Meta(pattern=r"^wss?://\S+\Z")]
Seconds = Annotated[int, Meta(ge=1, le=3600)]
# What bars are made of. Without either they would say of a second that was listened to that nothing happened in it.
ALWAYS_RECORDED = ("trade", "bookTicker")
STREAMS = (*ALWAYS_RECORDED, "depth")


class General(Struct, forbid_unknown_fields=True, frozen=True):
    """`timezone` is for people's eyes only; nothing is stored or partitioned by it."""

    timezone: str = "UTC"
    log_level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    base_path: str = "./data"


class Exchange(Struct, forbid_unknown_fields=True, frozen=True):
    """One exchange to listen to. `name` is that of a package in `crypto_lake/exchanges/`.

    `symbols` and `exclude` are names and patterns, see `patterns`. `fallback_wss_urls` are tried in turn when `wss_url`
    keeps failing. `streams` are recorded of each symbol, by the names of `raw.lines`.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9_]{2,30}\Z")]
    symbols: Annotated[list[str], Meta(min_length=1)]
    rest_url: Annotated[str, Meta(pattern=r"^https?://\S+\Z")]
    wss_url: StreamUrl
    fallback_wss_urls: list[StreamUrl] = []
    exclude: list[str] = []
    streams: list[str] = field(default_factory=lambda: [*ALWAYS_RECORDED])


class Collector(Struct, forbid_unknown_fields=True, frozen=True):
    """The daemon's settings; what each means, and what null means there, is in docs/CONFIG.md."""

    write_interval_sec: Seconds = 60
    segment_max_mb: Annotated[float, Meta(ge=0.1, le=1e6)] | None = None
    quiet_interval_sec: Seconds | None = None
    quiet_below_kb: Annotated[float, Meta(gt=0, le=1e6)] = 64
    reconnect_backoff: Annotated[float, Meta(gt=0, le=3600)] = 10
    output_format: Literal["jsonl"] = "jsonl"
    flush_interval_sec: Annotated[float, Meta(gt=0, le=60)] = 1
    idle_timeout_sec: Annotated[float, Meta(gt=0, le=3600)] = 30
    connections: Annotated[int, Meta(ge=1, le=10)] = 2
    max_connection_age_sec: Annotated[float, Meta(ge=1)] | None = None
    metrics_port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    min_free_disk_gb: Annotated[float, Meta(ge=0, le=1e6)] = 1
    depth_snapshot_levels: Annotated[int, Meta(ge=1, le=5000)] = 1000
    name: Annotated[str, Meta(pattern=rf"^{RECORDER}\Z")] | None = None
    share: str | None = None


class Transformer(Struct, forbid_unknown_fields=True, frozen=True):
    """Settings of making bars. `resample_interval_sec` divides an hour."""

    resample_interval_sec: Seconds = 1
    parquet_compression: Literal["snappy", "zstd", "gzip", "lz4", "uncompressed"] = "snappy"


class Heal(Struct, forbid_unknown_fields=True, frozen=True):
    """Of a symbol's day that misses more than `max_trades`, nothing is fetched: it is reported."""

    max_trades: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 1_000_000


class Checks(Struct, forbid_unknown_fields=True, frozen=True):
    """Thresholds above which a check warns.

    `max_unobserved_share` of its seconds, `max_jump` of a price as a share of itself, `max_quote_silence_sec` of
    listening without a quote, `max_clock_offset_sec` of the collector's clock against the exchange's, and
    `max_clock_drift_sec` of that offset against the day's median.
    """

    max_unobserved_share: Annotated[float, Meta(ge=0, le=1)] = 0.01
    max_jump: Annotated[float, Meta(gt=0)] = 0.1
    max_quote_silence_sec: Annotated[int, Meta(ge=1, le=86_400)] = 900
    max_clock_offset_sec: Annotated[float, Meta(gt=0)] = 2
    max_clock_drift_sec: Annotated[float, Meta(gt=0)] = 1


class Retention(Struct, forbid_unknown_fields=True, frozen=True):
    """The fate of raw segments once their days are compacted, in ticks, and verified. None: they stay as they are.

    So many days after the day of receipt they are compressed (`.jsonl.zst`), and removed.
    """

    compress_raw_after_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    prune_raw_after_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None


class Backfill(Struct, forbid_unknown_fields=True, frozen=True):
    """The source of candles of past days: the exchange's REST interface, or its public archive of daily files.

    `archive_url` is where that is; None: where the exchange has it.
    """

    source: Literal["rest", "archive"] = "rest"
    archive_url: Annotated[str, Meta(pattern=r"^https?://\S+\Z")] | None = None


class Alerts(Struct, forbid_unknown_fields=True, frozen=True):
    """The ways to tell of a failed run: a command, with JSON on its standard input, a webhook, which gets the same.

    Either that takes longer than `timeout_sec` in all is given up, the command with its process group.
    """

    command: Annotated[list[str], Meta(min_length=1)] | None = None
    webhook: Annotated[str, Meta(pattern=r"^https?://\S+\Z")] | None = None
    timeout_sec: Annotated[float, Meta(gt=0, le=60)] = 10


class Dagster(Struct, forbid_unknown_fields=True, frozen=True):
    """Finished runs are forgotten after `keep_runs_days`, unless a partition's newest state is theirs. None: never."""

    keep_runs_days: Annotated[int, Meta(ge=1, le=36_500)] | None = 14


class Cluster(Struct, forbid_unknown_fields=True, frozen=True):
    """The work is parted among `shards` runs a day, each of its share of the symbols; 1: one run has all."""

    shards: Annotated[int, Meta(ge=1, le=1000)] = 1


class Clock(Struct, forbid_unknown_fields=True, frozen=True):
    """The time of a lake that is fed by the bundled exchange, whose market may run fast, and in the past.

    It is `market` when this machine's time is `began`, and passes `speed` times as fast until it has caught up. None:
    the lake's time is this machine's.
    """

    began: Annotated[datetime, Meta(tz=True)] | None = None
    market: Annotated[datetime, Meta(tz=True)] | None = None
    speed: Annotated[float, Meta(gt=0, le=100)] = 1


class Store(Struct, forbid_unknown_fields=True, frozen=True):
    """The object store that holds the lake, where that is more than this machine's folder.

    `url` is `s3://bucket/prefix` or `file:///folder`; `endpoint` and `region` are those of an S3 that is not Amazon's.
    What is stored is kept on this machine for `keep_local_hours`. Credentials are the environment's, never the file's.
    """

    url: Annotated[str, Meta(pattern=r"^(s3|file)://\S+\Z")]
    endpoint: Annotated[str, Meta(pattern=r"^https?://\S+\Z")] | None = None
    region: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,60}\Z")] | None = None
    keep_local_hours: Annotated[float, Meta(ge=0, le=1e6)] = 24


class Config(Struct, forbid_unknown_fields=True, frozen=True):
    """A validated `config.yml`. `general.base_path` is absolute, with `${VAR}` and `~` expanded."""

    exchanges: Annotated[list[Exchange], Meta(min_length=1)]
    general: General = General()
    collector: Collector = Collector()
    transformer: Transformer = Transformer()
    checks: Checks = Checks()
    heal: Heal = Heal()
    retention: Retention = Retention()
    backfill: Backfill = Backfill()
    alerts: Alerts = Alerts()
    dagster: Dagster = Dagster()
    cluster: Cluster = Cluster()
    clock: Clock = Clock()
    store: Store | None = None

    @property
    def layout(self) -> Layout:
        """The paths of the lake that this configuration describes."""
        return Layout(Path(self.general.base_path))

    @property
    def collector_layout(self) -> Layout:
        """The same, with the paths of what the collector of this configuration writes."""
        return self.layout.of(self.collector.name or "")
