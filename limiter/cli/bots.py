"""`run` and `agent` as the command line lists and completes them; both read what follows themselves.

They have statuses of their own (agent/words.py), and are begun by `limiter.__main__` without this module.
"""

import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from limiter.agent.command_line import TAKE_A_VALUE
from limiter.commands.declaring import Command, argument, command

AS_IT_IS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


class AsItIs(Command):
    """A command that reads its command line itself; a shell completes these options."""

    def __init__(self, *given: Any, options: tuple[str, ...], **named: Any) -> None:
        super().__init__(*given, **named)
        self.options = options

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Those that begin like what was typed."""
        return [CompletionItem(option) for option in self.options if option.startswith(incomplete)]


@command(
    cls=AsItIs,
    options=(*TAKE_A_VALUE, "--direct", "--help"),
    context_settings=AS_IT_IS,
    add_help_option=False,
)
@argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run a command as a bot: take a slot and become it."""
    from limiter.agent.run import main

    sys.exit(main(list(arguments)))


@command(
    cls=AsItIs,
    options=("--status", "--json", "--stop", "--force", "--help"),
    context_settings=AS_IT_IS,
    add_help_option=False,
)
@argument("arguments", nargs=-1, type=click.UNPROCESSED)
def agent(arguments: tuple[str, ...]) -> None:
    """Look after the bots of this OS user; --status shows them."""
    from limiter.agent.agent_command import main

    sys.exit(main(list(arguments)))
