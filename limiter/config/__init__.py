"""The configuration as this process reads it, once.

A value comes from the environment, else from `.env`, else from its default. An empty value counts as not set; in `.env`
the last line wins. What cannot be read stops the start: ConfigError names the variable.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from limiter.bilingual import Bilingual, in_both
from limiter.config.env_file import EnvFileError, Line, bare, lookalike, read_env_file
from limiter.config.settings import SETTINGS, Config
from limiter.rules.limits import Setting, Source, defaults
from limiter.rules.words import Words
from limiter.system_limits import CATALOGUE

__all__ = ["DATABASE_URL", "SETTINGS", "Config", "ConfigError", "language", "of_a_client", "read"]


DATABASE_URL = next(one.default for one in SETTINGS if one.name == "LIMITER_DATABASE_URL")


class ConfigError(Bilingual):
    """A setting that cannot be read; the sentence names the variable and says why."""


OF_A_CLIENT = ("LIMITER_URL", "LIMITER_KEY", "LIMITER_LANG", "LIMITER_DATABASE_URL")  # the last for the local key
# Names that begin like settings and are for others: for this module, for bots, for the files in deploy/, for tests.
OF_OTHERS = (
    "LIMITER_ENV_FILE",
    "LIMITER_SESSION_ID",
    "LIMITER_DOMAIN",
    "LIMITER_UPSTREAM",
    "LIMITER_TEST_POSTGRES_URL",
)
KNOWN = (*(setting.name for setting in SETTINGS), *(limit.name for limit in CATALOGUE))


def read(environment: Mapping[str, str] | None = None, **given: object) -> Config:
    """The configuration. `given` (command-line options by setting name, None: not given) goes over everything.

    Raises ConfigError where a value cannot be read, a line of `.env` is none, or the file that LIMITER_ENV_FILE names
    is not there.
    """
    environ = os.environ if environment is None else environment
    path, lines = _env_file(environ)

    def find(name: str) -> tuple[str, Source] | None:
        if text := bare(environ.get(name, "")):
            return text, "environment"
        text = lines[name].text.strip() if name in lines else ""
        return (text, "env_file") if text else None

    values: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    for setting in SETTINGS:
        found = find(setting.name)
        if given.get(setting.name) is not None:
            found = str(given[setting.name]), "environment"
        text, sources[setting.name] = found or (setting.default, "default")
        try:
            values[setting.field] = setting.read(text)
        except ValueError as error:
            raise _wrong(setting.name, error) from error
    limits = dict(defaults())
    for limit in CATALOGUE:
        try:
            limit.checked_default()
        except (TypeError, ValueError) as error:
            fr = f"{limit.name} demande {limit.accepted_in('fr')}, pas {limit.default!r}"
            raise ConfigError(fr=f"limiter/system_limits.py : {fr}", en=f"limiter/system_limits.py: {error}") from error
        if found := find(limit.name):
            try:
                limits[limit.name] = Setting(limit.accept(found[0]), found[1])
            except ValueError as error:
                fr = f"{limit.name} demande {limit.accepted_in('fr')}, pas {found[0][:40]!r}"
                raise ConfigError(fr=fr, en=str(error)) from error
    return Config(**values, sources=sources, limits=limits, warnings=tuple(_unknown(environ, path, lines)))


def _wrong(name: str, error: Exception) -> ConfigError:
    fr, en = in_both(error)
    return ConfigError(fr=f"{name} : {fr}", en=f"{name}: {en}")


def _unknown(environ: Mapping[str, str], path: Path, lines: Mapping[str, Line]) -> Iterator[Words]:
    """A sentence for each name that is set and only looks like a setting."""
    for name in sorted({*environ, *lines} - {*OF_OTHERS}):
        if alike := lookalike(name, KNOWN):
            line = lines[name].number if name in lines else None
            yield Words(
                (f"{path}, ligne {line}" if line else "environnement")
                + f" : {name} n'est pas un réglage (est-ce {alike} ?)",
                (f"{path}, line {line}" if line else "environment") + f": {name} is no setting (is {alike} meant?)",
            )


def of_a_client(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Those of OF_A_CLIENT that the environment or `.env` sets, for the commands by HTTP.

    Nothing else is looked at: the other settings are the limiter's, or another program's. Raises ConfigError where the
    file that LIMITER_ENV_FILE names cannot be read.
    """
    environ = os.environ if environment is None else environment
    try:
        _, kept = _env_file(environ, strict=False)
    except ConfigError:
        if environ.get("LIMITER_ENV_FILE"):
            raise
        kept = {}  # something that happens to be called .env
    texts = {
        name: bare(environ.get(name, "")) or (kept[name].text.strip() if name in kept else "") for name in OF_A_CLIENT
    }
    return {name: text for name, text in texts.items() if text}


def language(environment: Mapping[str, str] | None = None) -> Literal["fr", "en"]:
    """The language of who runs this, by LIMITER_LANG; French also where the settings cannot be read."""
    try:
        chosen = of_a_client(environment).get("LIMITER_LANG", "")
    except ConfigError:  # which is about to be said in French
        chosen = (os.environ if environment is None else environment).get("LIMITER_LANG", "")
    return "en" if chosen.strip().lower().startswith("en") else "fr"


def _env_file(environ: Mapping[str, str], strict: bool = True) -> tuple[Path, dict[str, Line]]:
    named = environ.get("LIMITER_ENV_FILE")
    path = Path(named or ".env")
    if not path.exists():
        if named:
            raise ConfigError(
                fr=f"LIMITER_ENV_FILE : {named} n'existe pas", en=f"LIMITER_ENV_FILE: there is no {named}"
            )
        return path, {}
    try:
        return path, read_env_file(path, strict)
    except EnvFileError as error:
        raise (_wrong("LIMITER_ENV_FILE", error) if named else ConfigError(fr=error.fr, en=error.en)) from error
