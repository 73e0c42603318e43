"""The resources of assets: the lake, as the configuration describes it, and a DuckDB to work with."""

import contextlib
from collections.abc import Iterator
from datetime import datetime

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource

from crypto_lake import clock, config, logs
from crypto_lake.completeness.heal import Round
from crypto_lake.defs import failures
from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError


class Lake(dg.ConfigurableResource[None]):
    """The lake. `config_file` empty: `$CRYPTO_LAKE_CONFIG`, else `./config.yml`."""

    config_file: str = ""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002 - Dagster's signature
        """Runs log where the commands do. What is wrong with the configuration, the step itself says."""
        with contextlib.suppress(LakeError):
            logs.start(self.config(), "transformer")

    def config(self) -> config.Config:
        """The configuration as it stands in the file now.

        Raises:
            ConfigError: there is none, or it is wrong.
        """
        return config.load(config.find(self.config_file or None))

    def now_us(self) -> int:
        """The lake's clock, which tells whether a day is over; microseconds UTC."""
        return clock.now_us(self.config())

    def at_us(self, when: datetime) -> int:
        """The lake's clock at a time of this machine's."""
        return clock.lake_us(self.config(), int(when.timestamp() * 1e6))


@contextlib.contextmanager
def connected(database: DuckDBResource) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection that is closed on errors too, which the resource's own context does not do."""
    with database.get_connection() as connection, contextlib.closing(connection):
        yield parquet.ready(connection)


# A command that heals puts its own round in place of this one, which knows of no holes.
RESOURCES = {
    "lake": Lake(),
    "duckdb": DuckDBResource(database=":memory:"),
    "heal_round": Round(),
    "failures": failures.of_run,
}
