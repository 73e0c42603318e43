"""Where Dagster's instance is described, for those who start Dagster and do not want to import it."""

import os
from pathlib import Path

import yaml

from crypto_lake.errors import ConfigError

# The settings that say where an instance lies.
_PLACES = {"storage", "local_artifact_storage", "compute_logs"}


def project_root() -> Path:
    """The folder of `dagster.yaml`: the checkout that this package was installed from.

    Raises:
        ConfigError: there is none.
    """
    root = Path(__file__).resolve().parent.parent
    if not (root / "dagster.yaml").is_file():
        raise ConfigError(
            f"{root}: no dagster.yaml; expected the project's checkout there, or set $DAGSTER_HOME"
        )
    return root


def settings_of_a_home() -> str:
    """What the `dagster.yaml` of a `$DAGSTER_HOME` should hold: the root's, without its places, which are that folder.

    Raises:
        ConfigError: the root has none.
    """
    settings = yaml.safe_load((project_root() / "dagster.yaml").read_text(encoding="utf-8"))
    return yaml.safe_dump({name: one for name, one in settings.items() if name not in _PLACES})


def home() -> Path | None:
    """`$DAGSTER_HOME`; None where it is not set, and the root's `dagster.yaml` is the one that counts.

    Raises:
        ConfigError: it is not the absolute path of a folder.
    """
    told = os.environ.get("DAGSTER_HOME")
    if told and not (Path(told).is_absolute() and Path(told).is_dir()):
        raise ConfigError(f"$DAGSTER_HOME: {told}: expected the absolute path of a folder")
    return Path(told) if told else None


def history_folder(*, whole: bool = False) -> Path:
    """Where the instance keeps what it remembers; `whole`, where `dagster dev` has its sockets as well.

    Raises:
        ConfigError: there is no such instance.
    """
    return home() or (project_root() if whole else project_root() / ".dagster")
