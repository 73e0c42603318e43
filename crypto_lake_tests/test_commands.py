"""`docs/COMMANDS.md` is held to the program: the same commands, options, values and defaults."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from crypto_lake.cli import cli

TEXT = (Path(__file__).parents[1] / "docs" / "COMMANDS.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
SHARED = {"--config", "--date", "--from", "--to"}


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


COMMANDS = dict(commands(cli))


def options(command: click.Command) -> list[click.Option]:
    return [one for one in command.params if isinstance(one, click.Option)]


def spelled(option: click.Option) -> set[str]:
    return {*option.opts, *option.secondary_opts}


def value_of(option: click.Option) -> str:
    """Return what an option takes, as the page spells it; – for a flag."""
    if option.is_flag:
        return "–"
    if isinstance(option.type, click.Choice):
        *some, last = option.type.choices
        return f"{', '.join(some)} or {last}"
    if isinstance(option.type, click.IntRange | click.FloatRange) and option.type.max is not None:
        return f"{option.type.min} to {option.type.max}"
    return option.make_metavar(click.Context(click.Command("any")))


def default_of(option: click.Option) -> str:
    """Return an option's default, as its help or its declaration says; – for none."""
    if said := re.search(r"\[default: (.*)\]|^Else (.*)\.$", option.help or ""):
        return said[1] or said[2]
    if option.secondary_opts:
        return (option.opts if option.default else option.secondary_opts)[0]
    return str(option.default) if option.show_default and option.default is not None else "–"


def documented(name: str) -> dict[frozenset[str], tuple[str, str]]:
    rows = [line.strip("|").split(" | ") for line in SECTIONS[name].splitlines() if line.startswith("| `-")]
    return {
        frozenset(re.findall(r"`(-.*?)`", option)): (value.strip(), default.strip())
        for option, value, default, _ in rows
    }


def shared(name: str) -> set[str]:
    (line, *_) = re.findall(r"^Shared options: (.*)$", SECTIONS[name], re.MULTILINE) or [""]
    return set(re.findall(r"`(--.*?)`", line))


def test_the_list_of_commands_shows_each_in_a_whole_sentence() -> None:
    for group in (cli, cli.commands["service"]):
        assert "..." not in group.get_help(click.Context(group, terminal_width=80)).split("Commands:")[1]


def test_every_command_is_documented_and_no_other() -> None:
    assert {*COMMANDS} == {*SECTIONS} - {"Beside `crypto-lake`"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented_with_its_value_and_default(name: str) -> None:
    beside = shared(name)
    assert beside <= SHARED
    own = [one for one in options(COMMANDS[name]) if not spelled(one) <= beside]
    assert documented(name) == {frozenset(spelled(one)): (value_of(one), default_of(one)) for one in own}
    assert {*beside} <= {word for one in options(COMMANDS[name]) for word in spelled(one)}
