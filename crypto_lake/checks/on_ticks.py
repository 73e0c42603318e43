"""What is asked of a finished day's ticks: are the columns right, is a trade missing, are the bytes those verified."""

from dataclasses import replace

from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.disk import parquet
from crypto_lake.schema import TICKS


def schema(subject: Subject) -> Rows:
    """Files whose columns are not those declared for their kind, which is their folder's name."""
    return [
        {"file": f"{path.parent.name}/{path.name}", "difference": difference}
        for path in subject.files
        for difference in parquet.schema_differences(path, TICKS[path.parent.name])
    ]


def missing_trades(subject: Subject) -> Rows:
    """Every hole in the ids of the trades that are kept: `first_id` to `last_id` are missing."""
    trades = [path for path in subject.files if path.parent.name == "trades"]
    if not trades:
        return [{"file": "trades", "difference": "is missing; the quotes are there"}]
    subject.connection.execute(f"CREATE OR REPLACE TEMP VIEW trades AS FROM {parquet.scan(trades)}")
    return replace(subject, files=[]).query("ticks_contiguous", last_id_before=subject.trade_id_before())
