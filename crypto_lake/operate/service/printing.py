"""Units as text: all of them to read, or one as it lies on disk. Pure."""

from crypto_lake.errors import ConfigError
from crypto_lake.operate.service.plan import Recipe, Unit


def every(recipe: Recipe) -> str:
    """All files, each below a comment that says where it belongs."""
    return "\n".join(f"{_heading(unit)}\n{text(unit)}" for unit in recipe.units)


def one(recipe: Recipe, name: str) -> bytes:
    """The file of that name, byte for byte.

    Raises:
        ConfigError: there is none.
    """
    for unit in recipe.units:
        if name in {unit.path.name, str(unit.path)}:
            return unit.content
    names = ", ".join(unit.path.name for unit in recipe.units)
    raise ConfigError(f"--file {name}: expected one of {names}")


def text(unit: Unit) -> str:
    """A unit to read. Task Scheduler's are UTF-16."""
    return unit.content.decode("utf-16" if unit.path.suffix == ".xml" else "utf-8")


def _heading(unit: Unit) -> str:
    # Two hyphens would end an XML comment.
    path = str(unit.path)
    return f"<!-- {path.replace('--', '- -')} -->" if unit.path.suffix in {".xml", ".plist"} else f"# {path}"
