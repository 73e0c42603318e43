"""Machines with names that hurt: spaces, quotes, percent signs, letters of elsewhere, drives, shares, long paths."""

from pathlib import PurePath, PurePosixPath, PureWindowsPath

from crypto_lake.operate.service.plan import Machine

POSIX_NAMES = [
    "/home/me/lake",
    "/home/Zoë Müller/my lake",
    "/srv/100%home & <quick>",
    '/srv/it\'s "quoted"',
    "/srv/back\\slash",
    "/srv/$HOME ${x} `x`; y",
    "/srv/数据/湖",
    "/srv/" + "/".join(["long" * 10] * 8),
]
WINDOWS_NAMES = [
    "D:\\CryptoDataLake",
    "C:\\Users\\Zoë Müller\\my lake",
    "C:\\it's 100% & <quick>",
    "\\\\server\\share name\\lake",
    "\\\\?\\C:\\" + "\\".join(["long" * 10] * 8),
    "C:\\数据\\湖",
    "D:\\",
]
_HOME = PurePosixPath("/home/me")


def posix(folder: str = "/home/me/lake", home: PurePath = _HOME, *, system: bool = False) -> Machine:
    return _machine(PurePosixPath(folder), home, "python3", system=system)


def windows(folder: str = "D:\\CryptoDataLake", *, system: bool = False) -> Machine:
    return _machine(PureWindowsPath(folder), PureWindowsPath("C:\\Users\\me"), "python.exe", system=system)


def _machine(folder: PurePath, home: PurePath, python: str, *, system: bool) -> Machine:
    return Machine(
        python=folder / "venv" / python,
        config=folder / "config.yml",
        writes=(folder / "data", folder / ".dagster"),
        environment={},
        home=home,
        program_data=PureWindowsPath("C:\\ProgramData"),
        user="me",
        uid=501,
        system=system,
        night=(2, 30),
    )
