"""The view `coverage` over the files of coverage, one a day."""

from pathlib import Path

import duckdb
from loguru import logger

from crypto_lake.ask.tables import nothing
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.schema import COVERAGE, names


def create(connection: duckdb.DuckDBPyConnection, config: Config, *, thorough: bool) -> list[Path]:
    """Make the view over the files that there are now; those left out, because they are damaged, are returned.

    `thorough`: the columns of each are looked at for that; else only whether it ends as a Parquet file does.
    """
    layout = config.layout
    paths = [layout.coverage(day) for day in layout.coverage_days()]
    good = [path for path in paths if (_is_readable(path) if thorough else parquet.is_whole(path))]
    left_out = [path for path in paths if path not in {*good}]
    for path in left_out:
        logger.warning("{}: not a table of coverage; left out", path)
    rows = f"({nothing(COVERAGE)})"
    if good:
        listed = parquet.path_list([path.relative_to(layout.base) for path in good])
        rows = f"read_parquet([lake_folder() || path FOR path IN {listed}], hive_partitioning = false)"
    connection.execute(f"CREATE OR REPLACE VIEW coverage AS SELECT {', '.join(names(COVERAGE))} FROM {rows}")
    return left_out


def _is_readable(path: Path) -> bool:
    return not parquet.schema_differences(path, COVERAGE)
