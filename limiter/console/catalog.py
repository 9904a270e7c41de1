"""The French of the console's texts: `locale/fr.po` beside this file, by the English text that the code has."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from limiter.po_file import read

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = ("fr", "en")
CATALOG = Path(__file__).with_name("locale") / "fr.po"


@functools.cache
def catalog() -> Mapping[str, tuple[str, ...]]:
    """The French texts."""
    return read(CATALOG)
