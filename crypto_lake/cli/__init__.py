"""The commands: what is typed, turned into calls, and what came of them, printed. No logic of the lake's own.

A module holds a family of commands: `record` what listens to an exchange, `make` what makes files of a recording,
`look_after` what tells whether all is well, `ask` questions, `set_up` what is done once on a machine; `options` is
what they share. A command imports heavy libraries itself, when it runs (hence PLC0415 is off in these modules), because
`collector` runs for months and has to stay light.
"""

import click

from crypto_lake.cli import ask, look_after, make, record, set_up

_COMMANDS = (
    *(record.collector, record.ship, record.up, record.demo),
    *(make.transformer, make.compact, make.heal, make.backfill),
    *(look_after.status, look_after.validate, look_after.verify, look_after.coverage, look_after.doctor),
    *(look_after.pull, ask.query, ask.report, ask.export, record.replay),
    *(set_up.init, set_up.service),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="crypto-lake")
def cli() -> None:
    """Every trade and best bid/ask of a few symbols, kept for good on one machine, and proved complete."""


for _command in _COMMANDS:
    cli.add_command(_command)
