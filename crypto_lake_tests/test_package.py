"""What people install: the source archive, and the wheel made of it."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
# As a build front end calls it, in this process's environment: nothing is downloaded.
_BUILD = "import sys; from setuptools import build_meta as b; b.build_{}(sys.argv[1])"


def built(kind: str, source: Path, into: Path) -> Path:
    """The one archive of a kind that a source folder comes to."""
    command = [sys.executable, "-c", _BUILD.format(kind), str(into)]
    done = subprocess.run(
        command, cwd=source, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    (found,) = into.glob({"sdist": "*.tar.gz", "wheel": "*.whl"}[kind])
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of the source archive of this checkout."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    # Git's folder and what tools leave would cost time, and the build writes beside what it reads.
    litter = shutil.ignore_patterns(
        ".*", "__pycache__", "*.egg-info", "build", "data", "demo-lake*", "simulated-lake"
    )
    shutil.copytree(ROOT, source, ignore=litter)
    with tarfile.open(built("sdist", source, folder)) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return zipfile.ZipFile(built("wheel", unpacked, folder))


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_holds_the_two_packages_whole_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("crypto_lake", "collector_daemon")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


@pytest.mark.parametrize(
    "name",
    [
        "crypto_lake/py.typed",
        "crypto_lake/pages/validation.html",
        "crypto_lake/pages/day/page.css",
        "crypto_lake/sql/transform/bars.sql",
        "crypto_lake/sql/transform/tick_trades.sql",
        "crypto_lake/starter/dagster.yaml",
    ],
)
def test_the_wheel_holds_what_is_no_python(wheel: zipfile.ZipFile, name: str) -> None:
    assert wheel.getinfo(name).file_size == (ROOT / name).stat().st_size


def test_the_wheel_says_what_it_is(metadata: Message, project: dict[str, Any]) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("crypto-lake", project["version"])
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "binance" in metadata["Keywords"].split(",")
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.13"} <= set(
        metadata.get_all("Classifier", [])
    )


def test_the_tested_versions_are_within_the_bounds_of_every_dependency(project: dict[str, Any]) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.lower().replace("_", "-").split("==") for line in lines)
    extras = project["optional-dependencies"].values()
    wanted = [
        Requirement(one) for one in [*project["dependencies"], *(one for extra in extras for one in extra)]
    ]
    outside = [
        one for one in wanted if one.name != "crypto-lake" and tested[one.name.lower()] not in one.specifier
    ]
    assert outside == []


@pytest.mark.parametrize("name", ["dagster", "uvicorn", "websockets"])
def test_a_library_of_whose_insides_use_is_made_has_an_upper_bound(
    project: dict[str, Any], name: str
) -> None:
    (found,) = (one for one in map(Requirement, project["dependencies"]) if one.name == name)
    assert any(one.operator == "<" for one in found.specifier)
