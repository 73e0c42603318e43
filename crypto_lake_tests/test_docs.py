"""The documents hold together: links lead somewhere, lines are short, and the page on Python names what there is."""

import inspect
import re
from pathlib import Path

import pytest

from crypto_lake.ask.lake import Lake
from crypto_lake.checks import OF_BOOK, ON

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
_FOLDERS = ("crypto_lake", "collector_daemon", "crypto_lake_tests", "benchmarks", "docs", "examples")
SOURCES = [
    path.relative_to(ROOT).as_posix()
    for folder in _FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".sql"}
]
LONGEST = 120


def without_code(text: str) -> str:
    """Return a document's text without its blocks of code and its `code`, which may look like anything."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def links(document: Path) -> list[str]:
    """Return the addresses that a document links to, pictures included."""
    return re.findall(r"\]\(([^)\s]+)\)", without_code(document.read_text(encoding="utf-8")))


def anchors(document: Path) -> set[str]:
    """Return the names by which a document's headings are reached, as the pages that show Markdown make them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading)).lower() for heading in headings]
    return {words.strip().replace(" ", "-") for words in plain}


def is_broken(document: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return False
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        return True
    return bool(anchor) and anchor not in anchors(target)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.relative_to(ROOT).as_posix())
def test_every_link_of_a_document_leads_to_a_file_and_a_heading_that_are_there(document: Path) -> None:
    assert [link for link in links(document) if is_broken(document, link)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.relative_to(ROOT).as_posix())
def test_no_line_of_a_document_is_too_long_but_rows_of_tables(document: Path) -> None:
    lines = document.read_text(encoding="utf-8").splitlines()
    assert [n for n, line in enumerate(lines, 1) if len(line) > LONGEST and not line.startswith("|")] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.relative_to(ROOT).as_posix())
def test_every_source_file_that_a_document_names_is_there(document: Path) -> None:
    named = set(re.findall(r"`([\w/]+\.(?:py|sql))\b", document.read_text(encoding="utf-8")))
    assert {name for name in named if not any(f"/{one}".endswith(f"/{name}") for one in SOURCES)} == set()


def test_every_decision_has_its_context_and_its_consequence() -> None:
    for page in (ROOT / "docs" / "decisions").glob("*.md"):
        for decision in page.read_text(encoding="utf-8").split("\n### ")[1:]:
            words = re.findall(r"^\*\*(\w+)\.\*\*", decision, re.MULTILINE)
            assert words == ["Context", "Decision", "Consequence"], decision.splitlines()[0]


def test_every_document_is_reached_from_the_readme_within_two_clicks() -> None:
    reached = {ROOT / "README.md"}
    for _ in range(2):
        reached |= {
            (document.parent / link.partition("#")[0]).resolve()
            for document in reached & {*DOCUMENTS}
            for link in links(document)
            if not re.match(r"[a-z]+:", link) and link.partition("#")[0]
        }
    assert {*DOCUMENTS} <= reached


def test_the_guide_has_each_check_with_its_severity_its_sentence_and_its_assets() -> None:
    guide = (ROOT / "docs" / "GUIDE.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \| (ERROR|WARN) \| (.*) \| (.*) \|$", guide, re.MULTILINE)
    assets: dict[tuple[str, str, str], list[str]] = {}
    for asset, some in (ON | OF_BOOK).items():
        for one in some:
            assets.setdefault((one.name, one.severity, one.description), []).append(f"`{asset}`")
    assert sorted(told) == sorted((*check, ", ".join(on)) for check, on in assets.items())


def test_every_method_of_a_lake_is_documented_with_its_parameters() -> None:
    page = (ROOT / "docs" / "PYTHON.md").read_text(encoding="utf-8")
    methods = {name: one for name, one in inspect.getmembers(Lake, inspect.isfunction) if name[0] != "_"}
    assert set(re.findall(r"^\| `(.*?)`", page, re.MULTILINE)) == {
        name + spelled(inspect.signature(method)) for name, method in methods.items()
    }


def spelled(signature: inspect.Signature) -> str:
    """Return a method's parameters as its caller sees them: `(symbol, start=None)`."""
    some = [one.replace(annotation=one.empty) for one in signature.parameters.values() if one.name != "self"]
    return str(signature.replace(parameters=some, return_annotation=signature.empty)).replace("'", '"')
