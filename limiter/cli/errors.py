"""What a setting or the database has against a command, as the sentence and the exit status that it ends with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from limiter import config
from limiter.commands.text import Failed, language


def with_config(**given: Any) -> config.Config:
    """The settings; a wrong one ends the command with status 2."""
    try:
        return config.read(**given)
    except config.ConfigError as error:
        raise click.UsageError(error.told(language())) from error


@contextmanager
def sentences() -> Iterator[None]:
    """What the database or a setting says against it becomes a sentence: status 1, or 2 for a setting."""
    from limiter.store.location import StoreError

    try:
        yield
    except config.ConfigError as error:
        raise click.UsageError(error.told(language())) from error
    except StoreError as error:
        raise Failed(error.told(language())) from error
