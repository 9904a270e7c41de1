"""Settings of the program (not limits: those are in system_limits.py), declared once, read once.

A value comes from the environment, else from `.env`, else from its default. An empty value counts as not set; in `.env`
the last line wins. What cannot be read stops the start: ConfigError names the variable.
"""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from limiter.env_file import EnvFileError, Line, bare, lookalike, read_env_file
from limiter.hosts import allowed_hosts, console_url, listening_host, reachable, web_address, web_url
from limiter.rules.hours import Hours
from limiter.rules.limits import Setting, Source, defaults
from limiter.system_limits import CATALOGUE


class ConfigError(Exception):
    """A setting that cannot be read; the text names the variable and says why."""


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError("must be a port, 0 to 65535")
    return port


def _positive(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number <= 0:
        raise ValueError("must be a positive number")
    return number


def _ram(text: str) -> float | None:
    return _positive(text) if text else None


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("must be 1 or more")
    return number


def _web(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise ValueError("must be an address that begins with http:// or https://")
    return text


def _hours_of_a_day(text: str) -> int:
    hours = int(text)
    if not 1 <= hours <= 24:
        raise ValueError("must be 1 to 24")
    return hours


def _minutes(text: str) -> int:
    minutes = int(text)
    if not 0 <= minutes <= 10_080:
        raise ValueError("must be 0 to 10080, which is a week")
    return minutes


def _hours(text: str) -> Hours | None:
    return Hours.read(text) if text else None


def _choice(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return read


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except Exception as error:  # zoneinfo raises KeyError, ValueError, OSError for what is not a zone
        raise ValueError(f"{text!r} is not an IANA time zone") from error


def _pattern(text: str) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    if pattern.search(""):
        raise ValueError("matches everything, an empty text too")
    return pattern


def _addresses(text: str) -> tuple[str, ...]:
    """A comma inside an address belongs to it."""
    found = (part.strip(", \t\r\n") for part in re.split(r"[\s,]+(?=[\w+.-]+://)", text))
    return tuple(part for part in found if part)


def _yes(text: str) -> bool:
    return _choice("yes", "no")(text) == "yes"


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting: the environment variable, its default as text, how it is read, what it means."""

    name: str
    default: str
    read: Callable[[str], Any]
    meaning: str
    secret: bool = False


SETTINGS: tuple[Declared, ...] = (
    Declared("LIMITER_DATABASE_URL", "sqlite:///data/limiter.db", str, "where everything is kept", secret=True),
    Declared(
        "LIMITER_HOST", "127.0.0.1", listening_host, "address to listen on; another than loopback needs a `bots` key"
    ),
    Declared("LIMITER_PORT", "5001", _port, "port of the limiter"),
    Declared(
        "LIMITER_URL", "http://127.0.0.1:5001", web_url, "where clients, command line and console find the limiter"
    ),
    Declared("LIMITER_KEY", "", str, "the key that clients and the command line send", secret=True),
    Declared("LIMITER_AGENT_SOCKET", "", str, "socket of this user's agent; empty: in $XDG_RUNTIME_DIR, else in /tmp"),
    Declared("LIMITER_CONSOLE_HOST", "127.0.0.1", listening_host, "address the console listens on"),
    Declared("LIMITER_CONSOLE_PORT", "8501", _port, "port of the console"),
    Declared("LIMITER_CONSOLE_URL", "", console_url, "public address of the console; empty: http://<host>:<port>/admin"),
    Declared("LIMITER_CONSOLE_STARTS", "yes", _yes, "whether the console starts a limiter where none runs: yes or no"),
    Declared(
        "LIMITER_ALLOWED_HOSTS", "", allowed_hosts,
        "further hosts a request may name, separated by commas: name, name:port, *.name",
    ),
    Declared("LIMITER_TIMEZONE", "UTC", _zone, "IANA zone in which the trade day begins at midnight"),
    Declared("LIMITER_LANG", "fr", _choice("fr", "en"), "language of sentences where the caller names none: fr or en"),
    Declared("LIMITER_ALERT_URLS", "", _addresses, "Apprise addresses for alerts, separated by commas", secret=True),
    Declared("LIMITER_ALERT_ENDS", "no", _yes, "whether the end of an incident is told too: yes or no"),
    Declared("LIMITER_ALERT_REPEAT_MINUTES", "0", _minutes, "minutes until an open alert is told again; 0: never"),
    Declared("LIMITER_ALERT_QUIET", "", _hours, "hours for critical alerts only, as 22:00-07:00; empty: none"),
    Declared("LIMITER_PING_URL", "", _web, "address called each minute, for a monitor of silence", secret=True),
    Declared("LIMITER_BACKUP_DIR", "", str, "folder of backups; empty: backups/ beside the database; none: none"),
    Declared("LIMITER_BACKUP_HOURS", "24", _hours_of_a_day, "hours between two backups, 24 at most"),
    Declared("LIMITER_BACKUP_KEEP", "7", _whole, "backups that are kept"),
    Declared("LIMITER_RAM_GB", "", _ram, "RAM of the box in GB; empty: detected"),
    Declared("LIMITER_BOT_PATTERN", "", _pattern, "regular expression of bots' command lines; empty: not looked for"),
    Declared("LIMITER_LOG_FORMAT", "text", _choice("text", "json"), "form of the log lines: text or json"),
    Declared("LIMITER_KEEP_RAW_HOURS", "48", _whole, "hours that 5-second snapshots are kept"),
    Declared("LIMITER_KEEP_MINUTES_DAYS", "90", _whole, "days that minute snapshots are kept; hours are kept for ever"),
    Declared("LIMITER_KEEP_REFUSALS_DAYS", "90", _whole, "days that refusals are kept one by one"),
    Declared("LIMITER_KEEP_REFUSALS_ROWS", "200000", _whole, "refusals kept one by one at most"),
    Declared("LIMITER_KEEP_SESSIONS_DAYS", "400", _whole, "days that ended sessions are kept"),
    Declared("LIMITER_KEEP_TRADES_DAYS", "400", _whole, "days that trades are kept"),
)  # fmt: skip


OF_A_CLIENT = ("LIMITER_URL", "LIMITER_KEY", "LIMITER_LANG")
# Names that begin like settings and are for others: for this module, for bots, for the files in deploy/, for tests.
OF_OTHERS = (
    "LIMITER_ENV_FILE",
    "LIMITER_SESSION_ID",
    "LIMITER_DOMAIN",
    "LIMITER_UPSTREAM",
    "LIMITER_TEST_POSTGRES_URL",
)
KNOWN = (*(setting.name for setting in SETTINGS), *(limit.name for limit in CATALOGUE))


@dataclass(frozen=True, slots=True)
class Config:
    """All settings as read, where each came from, and what environment, `.env` and defaults say of the limits.

    `warnings` has a sentence for each name that was set, looks like a setting, and is none.
    """

    values: Mapping[str, Any]
    sources: Mapping[str, Source]
    limits: Mapping[str, Setting]
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def console_url(self) -> str:
        """Where a browser finds the console."""
        here = web_address(reachable(self["LIMITER_CONSOLE_HOST"]), self["LIMITER_CONSOLE_PORT"])
        return self["LIMITER_CONSOLE_URL"] or f"{here}/admin"

    @property
    def limiter_url(self) -> str:
        """Where the limiter is: at LIMITER_URL, else on this machine where LIMITER_HOST and LIMITER_PORT say."""
        if self.sources["LIMITER_URL"] != "default":
            return str(self["LIMITER_URL"])
        return web_address(reachable(self["LIMITER_HOST"]), self["LIMITER_PORT"])


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
            values[setting.name] = setting.read(text)
        except ValueError as error:
            raise ConfigError(f"{setting.name}: {error}") from error
    limits = dict(defaults())
    for limit in CATALOGUE:
        try:
            limit.checked_default()
        except (TypeError, ValueError) as error:
            raise ConfigError(f"limiter/system_limits.py: {error}") from error
        if found := find(limit.name):
            try:
                limits[limit.name] = Setting(limit.accept(found[0]), found[1])
            except ValueError as error:
                raise ConfigError(str(error)) from error
    return Config(values, sources, limits, tuple(_unknown(environ, path, lines)))


def _unknown(environ: Mapping[str, str], path: Path, lines: Mapping[str, Line]) -> Iterator[str]:
    """A sentence for each name that is set and only looks like a setting."""
    for name in sorted({*environ, *lines} - {*OF_OTHERS}):
        if alike := lookalike(name, KNOWN):
            place = f"{path}, line {lines[name].number}" if name in lines else "environment"
            yield f"{place}: {name} is no setting (is {alike} meant?)"


def of_a_client(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """LIMITER_URL, LIMITER_KEY, LIMITER_LANG where the environment or `.env` sets them, for the commands by HTTP.

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


def _env_file(environ: Mapping[str, str], strict: bool = True) -> tuple[Path, dict[str, Line]]:
    named = environ.get("LIMITER_ENV_FILE")
    path = Path(named or ".env")
    if not path.exists():
        if named:
            raise ConfigError(f"LIMITER_ENV_FILE: there is no {named}")
        return path, {}
    try:
        return path, read_env_file(path, strict)
    except EnvFileError as error:
        raise ConfigError(f"LIMITER_ENV_FILE: {error}" if named else str(error)) from error
