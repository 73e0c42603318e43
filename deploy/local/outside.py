"""A running fleet as somebody outside meets it: by `fleet.json`, its page and commands. For tests and benchmarks."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from crypto_lake import config as configuration
from crypto_lake.disk.store import open_store

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_SEC = 600
_BACKFILL = """
mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""


class Fleet:
    """A fleet that is up in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = self._told()
        self.config = configuration.load(Path(self.told["config"]))

    def _told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "fleet.json").read_bytes())
        return found

    def pids(self) -> dict[str, int]:
        """Return each process, as things stand now."""
        return {one["name"]: one["pid"] for one in self._told()["processes"]}

    def kill(self, name: str) -> None:
        """Kill a process as a power cut does."""
        os.kill(self.pids()[name], signal.SIGKILL)

    def local(self, word: str, name: str) -> None:
        """`start`, `stop` or `restart` a process."""
        run([sys.executable, "-m", "deploy.local", word, "--folder", str(self.folder), name])

    def command(self, *words: str) -> str:
        """Run a `crypto-lake` command on the fleet's lake; return what it printed."""
        own = self.told["environment"]
        return run([sys.executable, "-m", "crypto_lake", *words, "--config", self.told["config"]], own)

    def backfill(self, assets: list[str], keys: list[str]) -> str:
        """Ask on the page for partitions of some assets; return the backfill's id."""
        params = {"assetSelection": [{"path": [asset]} for asset in assets], "partitionNames": keys}
        body = json.dumps({"query": _BACKFILL, "variables": {"params": params}}).encode()
        request = Request(f"{self.told['web']}/graphql", body, {"content-type": "application/json"})  # noqa: S310 - ours
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - ours
            found = json.load(answer)["data"]["launchPartitionBackfill"]
        if "backfillId" not in found:
            raise RuntimeError(str(found))
        return str(found["backfillId"])

    def stored(self, folder: str) -> set[str]:
        """Return the keys of the store below a folder."""
        if self.config.store is None:
            return set()
        return {*open_store(self.config.store, self.told["environment"]).entries(folder)}


def run(words: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a program from the root of the checkout; return what it printed.

    Raises:
        RuntimeError: it failed; with all that it said.
    """
    done = subprocess.run(
        words,
        cwd=_ROOT,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_SEC,
    )
    if done.returncode:
        raise RuntimeError(f"{words}\n{done.stdout}\n{done.stderr}")
    return done.stdout
