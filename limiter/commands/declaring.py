"""Commands and options whose help, and all that click says of them, is in the reader's language.

The English stands where a command is declared; `locale/fr.po` has its French, and that of click's own sentences
(tests/test_command_line.py finds what is missing there).
"""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from limiter.commands.text import language
from limiter.po_file import read

CATALOG = Path(__file__).with_name("locale") / "fr.po"
SPEAKING = (click.core, click.exceptions, click.formatting, click.parser, click.types)
"""The modules of click that say something while a command is parsed or fails; each by a `_` of its own."""

BROKEN = re.compile(r"(?<!\n)\n(?!\n)")
"""Where a line of a docstring ends, and its paragraph goes on."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@functools.cache
def catalog() -> Mapping[str, tuple[str, ...]]:
    """The French texts."""
    return read(CATALOG)


def translated(text: str) -> str:
    """The text in the reader's language."""
    return catalog().get(text, (text,))[0] if language() == "fr" else text


def translated_for(one: str, many: str, n: int) -> str:
    """The text for n things; French counts 0 as one."""
    if language() == "fr" and one in catalog():
        return catalog()[one][n > 1]
    return one if n == 1 else many


for module in SPEAKING:
    vars(module).update(_=translated)
    if "ngettext" in vars(module):
        vars(module).update(ngettext=translated_for)


class Helpful:
    """What has a `help`, which is read in the reader's language."""

    @property
    def help(self) -> str | None:
        """The text for `--help`."""
        return self._help and translated(self._help)

    @help.setter
    def help(self, text: str | None) -> None:
        self._help = text and BROKEN.sub(" ", inspect.cleandoc(text))


class Command(Helpful, click.Command):
    """A command."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, which click makes once, with a text of its own."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = translated("Show this message and exit.")
        return option

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """What stands behind the command's name."""
        return [translated(piece) for piece in super().collect_usage_pieces(ctx)]


class Group(Command, click.Group):
    """A command of commands, which are of this kind too."""

    command_class = Command
    group_class = type


class Option(Helpful, click.Option):
    """An option."""

    def make_metavar(self, ctx: click.Context) -> str:
        """What stands for its value."""
        return translated(super().make_metavar(ctx))


class Argument(click.Argument):
    """An argument."""

    def make_metavar(self, ctx: click.Context) -> str:
        """What stands for its value."""
        return translated(super().make_metavar(ctx))


def command(**attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """As click.command."""
    return click.command(**{"cls": Command} | attributes)


def group(**attributes: Any) -> Callable[[Callable[..., Any]], Group]:
    """As click.group."""
    return click.group(cls=Group, **attributes)


def option(*names: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    """As click.option."""
    return click.option(*names, cls=Option, **attributes)


def argument(name: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    """As click.argument."""
    return click.argument(name, cls=Argument, **attributes)
