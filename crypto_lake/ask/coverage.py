"""The view `coverage` over the files of coverage, one a day."""

from pathlib import Path

import duckdb

from crypto_lake.ask import tables
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.schema import COVERAGE, names


def create(connection: duckdb.DuckDBPyConnection, config: Config, *, thorough: bool) -> list[Path]:
    """Make the view over the files that there are now; those left out, because they are damaged, are returned.

    `thorough`: the columns of each are looked at for that; else only whether it ends as a Parquet file does.
    """
    layout = config.layout
    paths = [layout.coverage(day) for day in layout.coverage_days()]
    good, left_out = tables.parted(paths, _is_readable if thorough else parquet.is_whole, "coverage")
    rows = f"({tables.nothing(COVERAGE)})"
    if good:
        rows = f"read_parquet({tables.in_lake(config, good)}, hive_partitioning = false)"
    connection.execute(f"CREATE OR REPLACE VIEW coverage AS SELECT {', '.join(names(COVERAGE))} FROM {rows}")
    return left_out


def _is_readable(path: Path) -> bool:
    return not parquet.schema_differences(path, COVERAGE)
