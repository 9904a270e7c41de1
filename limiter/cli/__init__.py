"""The command line. Exit status: 0 done, 1 with a sentence on stderr, 2 a wrong command line.

What asks a running limiter over HTTP is in limiter/commands; here is what works on this machine.
What opens the database is imported by the commands that do: what only asks over HTTP shall not wait for SQLAlchemy.
"""

import click
from click.shell_completion import add_completion_class

from limiter import __version__, commands
from limiter.cli.bots import agent, run
from limiter.cli.completion import Fish
from limiter.cli.database import backup, check, copy, migrate, restore
from limiter.cli.installation import console, doctor, serve
from limiter.cli.keys import keys
from limiter.cli.trials import demo, drill, simulate
from limiter.commands.declaring import Option, group

add_completion_class(Fish)

HERE = (run, agent, simulate, demo, drill, serve, doctor, console, keys, backup, restore, copy, migrate, check)


@group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="limiter", cls=Option)
def main() -> None:
    """The bot-capacity limiter: every trading bot asks it before it starts."""


for command in (*commands.COMMANDS, *HERE):
    main.add_command(command)
