"""`dagster dev`, started in the project's root with no argument but a port: it loads, runs, checks and backfills."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from crypto_lake import config
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import SimulatedExchange, running
from crypto_lake_tests import processes
from crypto_lake_tests.raw_lines import DAY, HOUR, START, land, trade

pytestmark = pytest.mark.waits

ROOT = Path(__file__).resolve().parents[2]
# Of a machine that is busy with other things.
START_SEC = 300
RUN_SEC = 300
_LAUNCH = """mutation($job: String!, $day: String!) { launchRun(executionParams: {
    selector: {jobName: $job, repositoryName: "__repository__", repositoryLocationName: "crypto_lake.definitions"},
    executionMetadata: {tags: [{key: "dagster/partition", value: $day}]} }) { __typename } }"""
_BACKFILL = """mutation($days: [String!]) { launchPartitionBackfill(backfillParams: {
    assetSelection: [{path: ["candles_1m"]}], partitionNames: $days}) { __typename } }"""
_RUNS = "{ runsOrError { ... on Runs { results { jobName status } } } }"
_CHECKS = """{ assetNodeOrError(assetKey: {path: ["bars_1s"]}) { ... on AssetNode {
    assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status } } } } } } }"""

Ask = Callable[..., Any]


@pytest.fixture
def dagster_dev(tmp_path: Path, write_config: Callable[..., Path]) -> Iterator[Ask]:
    """A GraphQL client of a real `dagster dev`, whose lake's exchange is the bundled one."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_bytes(
        (ROOT / "dagster.yaml").read_bytes().replace(b".dagster", bytes(home))
    )
    with running(SimulatedExchange(SyntheticMarket(1, ["SOLUSDT"]), MarketClock())) as address:
        addresses = {"rest_url": address.rest_url, "wss_url": address.ws_url}
        path = write_config(exchanges=[{"name": "binance", "symbols": ["SOLUSDT"], **addresses}])
        with processes.started(
            *("dagster", "dev", "--port", str(port)),
            cwd=ROOT,
            log=tmp_path / "dagster.log",
            DAGSTER_HOME=str(home),
            CRYPTO_LAKE_CONFIG=str(path),
            # Else a run whose process takes a minute to start counts as one that cannot be started.
            DAGSTER_GRPC_TIMEOUT_SECONDS=str(START_SEC),
        ) as process:
            url = f"http://127.0.0.1:{port}"
            _until(lambda: process.poll() is None and _answers(url), START_SEC)

            def ask(query: str, **variables: object) -> Any:  # noqa: ANN401 - it is JSON
                answer = httpx.post(
                    f"{url}/graphql", json={"query": query, "variables": variables}, timeout=START_SEC
                ).json()
                assert "errors" not in answer, answer
                return answer["data"]

            yield ask


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/server_info", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)


def test_a_run_of_a_partition_and_a_backfill_of_three_days_succeed(dagster_dev: Ask, tmp_path: Path) -> None:
    lake = config.load(tmp_path / "config.yml")
    land(lake, [trade(1, START + HOUR), trade(2, START + 24 * HOUR - 1)])
    assert (
        dagster_dev(_LAUNCH, job="make_bars", day=str(DAY))["launchRun"]["__typename"] == "LaunchRunSuccess"
    )
    days = ["2025-10-18", "2025-10-19", "2025-10-20"]
    launched = dagster_dev(_BACKFILL, days=days)["launchPartitionBackfill"]["__typename"]
    assert launched == "LaunchBackfillSuccess"

    def statuses() -> set[str]:
        return {run["status"] for run in dagster_dev(_RUNS)["runsOrError"]["results"]}

    def are_there() -> bool:
        # Sensors start runs of their own meanwhile, so that their number says nothing.
        return [str(day) for day in lake.layout.candle_days("binance", "SOLUSDT")] == days

    _until(lambda: "FAILURE" in statuses() or (are_there() and statuses() == {"SUCCESS"}), RUN_SEC)
    assert are_there()

    def verdicts() -> set[str | None]:
        checks = dagster_dev(_CHECKS)["assetNodeOrError"]["assetChecksOrError"]["checks"]
        latest = [check["executionForLatestMaterialization"] for check in checks]
        return {one and one["status"] for one in latest}

    # A run that a sensor started may have made the bars anew, and be looking at them now.
    _until(lambda: verdicts() == {"SUCCEEDED"}, RUN_SEC)
    log = (tmp_path / "dagster.log").read_text(encoding="utf-8", errors="replace")
    # Dagster's own, of its command and, on Windows, of the output of runs.
    known = ("SupersessionWarning", "Compute log capture is disabled")
    assert [
        line for line in log.splitlines() if "Warning:" in line and not any(k in line for k in known)
    ] == []
