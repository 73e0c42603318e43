"""The place and settings of Dagster's instance, for those who start Dagster and do not want to import it.

`$DAGSTER_HOME` if that is set, else the folder of `config.yml`, wherever a command is typed: the instance that a
`dagster dev` started in that folder uses.
"""

import os
from pathlib import Path
from urllib.parse import unquote

import yaml

from crypto_lake import config as configuration
from crypto_lake import starter
from crypto_lake.errors import ConfigError

# The settings that say where an instance lies.
_PLACES = {"storage", "local_artifact_storage", "compute_logs"}
# Where those of a folder that `crypto-lake init` made say that it lies.
_HISTORY = ".dagster"
_HEADING = (
    "# Put here by crypto-lake, because there was none. History is kept in this folder. Yours to edit.\n"
)


def home() -> Path | None:
    """Return `$DAGSTER_HOME`; None if it is not set.

    Raises:
        ConfigError: it is not the absolute path of a folder, or one in which Dagster cannot keep its history.
    """
    told = os.environ.get("DAGSTER_HOME")
    if told and not (Path(told).is_absolute() and Path(told).is_dir()):
        raise ConfigError(f"$DAGSTER_HOME: {told}: expected the absolute path of a folder")
    if told and ("?" in told or unquote(told) != told):
        raise ConfigError(
            f"$DAGSTER_HOME: {told}: Dagster takes ? and %20 in a path for parts of an address; expected neither"
        )
    return Path(told) if told else None


def furnished(config_file: Path | None = None) -> Path:
    """Return the folder of the instance, which holds a `dagster.yaml` from here on.

    Without one Dagster would send telemetry, run ten runs at once, limit nothing, and (`dagster dev` in a folder that
    is no `$DAGSTER_HOME`) forget everything at its end.

    Raises:
        ConfigError: there is no such folder, or it cannot be one.
        LakeError: it has no `dagster.yaml`, and none can be written there.
    """
    told = home()
    where = told or configuration.find(config_file).parent
    starter.check(where)
    starter.put(where / starter.DAGSTER, _settings_of_a_home() if told else starter.text(starter.DAGSTER))
    return where


def _settings_of_a_home() -> str:
    """Our settings without their places: a `$DAGSTER_HOME` is the place."""
    settings = yaml.safe_load(starter.text(starter.DAGSTER))
    return _HEADING + yaml.safe_dump({name: one for name, one in settings.items() if name not in _PLACES})


def opening_lock(folder: Path) -> Path:
    """Return what is held while the instance of a `furnished` folder is opened: its history may be made then."""
    return (home() or folder / _HISTORY) / "opening.lock"


def written_to(config_file: Path, *, whole: bool) -> Path:
    """Return the folder that the instance writes to; `whole`, with the sockets that `dagster dev` has beside it.

    Raises:
        ConfigError: there is no such folder.
    """
    beside = config_file.parent
    return home() or (beside if whole else beside / _HISTORY)
