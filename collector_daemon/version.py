"""The version of the lake, as the journal and the status name it."""

from importlib.metadata import PackageNotFoundError, version


def _version() -> str:
    try:
        return version("crypto-lake")
    except PackageNotFoundError:
        return "unknown"


VERSION = _version()
