"""Takes the pictures in `docs/images`, of a lake of the bundled exchange, in some fifteen minutes.

`python -m pip install -c constraints.txt -e ".[screenshots]"`, Chromium and tmux, then `python docs/screenshots.py`.
It starts `crypto-lake up --simulate --speed 20` in a terminal of its own, waits until a day has ended and was compacted
and checked, fetches candles of the days before, and looks at each page and screen as a person would.
"""

import argparse
import contextlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from playwright.sync_api import Page, ViewportSize, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from crypto_lake import config as configuration

IMAGES = Path(__file__).parent / "images"
NOTEBOOK = Path(__file__).parents[1] / "examples" / "a_day.py"
_COLUMNS, _LINES = 132, 26
_WINDOW: ViewportSize = {"width": 1280, "height": 860}
_TALL: ViewportSize = {"width": 1280, "height": 1700}
_LONGEST_WAIT_SEC = 1200
_QUESTION = (
    "SELECT window_start, close, round(vwap, 4) AS vwap, trade_count AS trades, source "
    "FROM history_1m WHERE symbol = 'SOLUSDT' ORDER BY window_start DESC LIMIT 5;"
)
_RUNS = (
    '{ runsOrError(filter: {pipelineName: "%s", statuses: [SUCCESS]}) { ... on Runs { results { runId } } } }'
)


class Terminal:
    """A program in a terminal that nobody sees: tmux."""

    def __init__(self, name: str, folder: Path, *words: str) -> None:
        self._name = name
        size = ("-x", str(_COLUMNS), "-y", str(_LINES))
        _run("tmux", "-L", name, "new-session", "-d", *size, "-c", str(folder), *words)

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names or as text."""
        # A semicolon at the end would be tmux's own.
        _run("tmux", "-L", self._name, "send-keys", *(re.sub(";$", r"\\;", key) for key in keys))

    def shoot(self, page: Page, image: str) -> None:
        """Its screen as a picture."""
        text = _run("tmux", "-L", self._name, "capture-pane", "-e", "-p").rstrip("\n")
        console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
        console.print(Text.from_ansi(text), soft_wrap=True)
        page.set_content(console.export_html(theme=MONOKAI, inline_styles=True))
        page.add_style_tag(content="body { display: inline-block; padding: 1rem; font-size: 13px; }")
        page.locator("body").screenshot(path=IMAGES / image)

    def is_there(self) -> bool:
        """Whether its program still runs."""
        return (
            subprocess.run(
                ["tmux", "-L", self._name, "has-session"], capture_output=True, check=False
            ).returncode
            == 0
        )


def _run(*words: str, **environment: str) -> str:
    done = subprocess.run(
        words, env=os.environ | environment, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stderr or done.stdout}")
    return done.stdout


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def living(folder: Path, url: str) -> Iterator[Terminal]:
    """`crypto-lake up` in its terminal; a day of its lake is over, compacted and checked."""
    port = url.rpartition(":")[2]
    up = Terminal("lake-up", folder, *_command("up", "--simulate", "--speed", "20", "--port", port))
    try:
        until = time.monotonic() + _LONGEST_WAIT_SEC
        while not (_succeeded(url, "validate") and _succeeded(url, "make_bars") >= 3):  # noqa: PLR2004 - bars to look at
            if time.monotonic() > until or not up.is_there():
                sys.exit("no day was compacted and checked")
            time.sleep(5)
        yield up
    finally:
        if up.is_there():
            up.type("C-c")
        while up.is_there():
            time.sleep(1)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "crypto_lake", *words]


def _succeeded(url: str, job: str) -> int:
    """How many of its runs have."""
    try:
        answer = httpx.post(f"{url}/graphql", json={"query": _RUNS % job}, timeout=10).json()
    except httpx.HTTPError:
        return 0
    return len(answer["data"]["runsOrError"]["results"])


def dagster(page: Page, url: str, day: str) -> None:
    """What Dagster's pages show."""

    def visit(path: str, told: str) -> None:
        page.goto(url + path)
        page.get_by_text(told).first.wait_for()
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(1500)

    def shoot(image: str) -> None:
        page.screenshot(path=IMAGES / image)

    page.set_viewport_size({"width": 2000, "height": 900})
    visit("/asset-groups", "backfill")
    _close_side_bar(page)
    page.keyboard.press("Alt+e")  # all groups opened
    page.wait_for_timeout(3000)
    shoot("asset-graph.png")
    page.set_viewport_size(_WINDOW)
    visit("/assets/raw_segments", "Freshness policy")
    shoot("raw.png")
    visit(f"/assets/bars_1s?view=partitions&partition={day}", "last_minutes")
    shoot("partition.png")
    page.get_by_text("[Show Markdown]").first.click()
    page.wait_for_timeout(1500)
    shoot("preview.png")
    visit("/assets/bars_1s", "parts_made")
    page.get_by_text("Plots", exact=True).click()
    page.wait_for_timeout(1500)
    page.get_by_text("Plots", exact=True).scroll_into_view_if_needed()
    shoot("plots.png")
    visit("/assets/daily_bars?view=checks", "equals_exchange_candles")
    shoot("checks.png")
    visit("/automation", "new_segments")
    shoot("automation.png")
    visit("/runs", "make_bars")
    shoot("runs.png")


def _close_side_bar(page: Page) -> None:
    """The button right of the field has no name."""
    box = page.get_by_placeholder("Jump to").bounding_box()
    if box:
        page.mouse.click(box["x"] + box["width"] + 22, box["y"] + box["height"] / 2)


def pages(page: Page, path: Path) -> None:
    """The pages that are files: the newest day, and the verdicts on the day that is over."""
    layout = configuration.load(path).layout
    day = max(layout.daily_days("binance", "SOLUSDT"))
    made = Path(_run(*_command("report", "--config", str(path))).strip())
    for file, image in ((made, "report.png"), (layout.validation_page(day), "validation.png")):
        page.set_viewport_size(_TALL)
        page.goto(file.as_uri())
        page.wait_for_timeout(1500)
        page.screenshot(path=IMAGES / image)


def notebook(page: Page, path: Path) -> None:
    """The example, run by marimo's own server, which loads nothing from elsewhere."""
    port = _port()
    words = ("run", str(NOTEBOOK), "--headless", "--no-token", "--port", str(port))
    environment = os.environ | {configuration.ENVIRONMENT_VARIABLE: str(path)}
    with subprocess.Popen([sys.executable, "-m", "marimo", *words], env=environment) as server:
        try:
            _await_answer(f"http://127.0.0.1:{port}")
            page.set_viewport_size(_TALL)
            page.goto(f"http://127.0.0.1:{port}")
            page.locator("img[src^='data:image/png']").first.wait_for(timeout=120_000)
            page.wait_for_timeout(5000)
            page.screenshot(path=IMAGES / "notebook.png")
        finally:
            server.terminate()


def _await_answer(url: str) -> None:
    """Within a minute."""
    for _ in range(60):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5).is_success:
                return
        time.sleep(1)
    sys.exit(f"{url} does not answer")


def shell(page: Page, path: Path, folder: Path) -> None:
    """The shell for questions."""
    asking = Terminal("lake-query", folder, *_command("query", "--config", str(path)))
    try:
        time.sleep(5)
        asking.type(".views", "Enter")
        asking.type(_QUESTION, "Enter")
        time.sleep(5)
        asking.shoot(page, "query.png")
    finally:
        asking.type(".quit", "Enter")


def main() -> None:
    """What is typed."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser or not shutil.which("tmux"):
        sys.exit("Chromium and tmux are needed; expected both on the path")
    IMAGES.mkdir(exist_ok=True)
    url = f"http://127.0.0.1:{_port()}"
    with tempfile.TemporaryDirectory(prefix="lake-") as name, sync_playwright() as players:
        folder = Path(name)
        path = folder / "simulated-lake" / "config.yml"
        page = players.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        page.set_viewport_size(_WINDOW)
        with living(folder, url) as up:
            up.shoot(page, "up.png")
            _run(
                *_command("backfill", "--days", "3", "--config", str(path)),
                DAGSTER_HOME=str(path.parent / "dagster"),
            )
            loaded = configuration.load(path)
            dagster(page, url, max(loaded.layout.bar_days("binance", "SOLUSDT")).isoformat())
            pages(page, path)
            shell(page, path, folder)
            notebook(page, path)
    for image in sorted(IMAGES.glob("*.png")):
        print(f"{image.stat().st_size // 1000:5} kB  {image}")


if __name__ == "__main__":
    main()
