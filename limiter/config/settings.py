"""Settings of the program (not limits: those are in system_limits.py), each declared once, as a field of Config.

To add a setting, add its field; environment and `.env`, the docs, `.env.example` and the console's page follow.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal
from zoneinfo import ZoneInfo

from limiter.config import kinds
from limiter.hosts import allowed_hosts, console_url, listening_host, reachable, web_address, web_url
from limiter.rules.hours import Hours
from limiter.rules.limits import Setting, Source
from limiter.rules.words import Words


def setting(
    default: str, read: Callable[[str], Any], meaning: str, meaning_fr: str, secret: bool = False
) -> dict[str, Any]:
    """What is declared of a field of Config: its default as text, how a text is read, what it means."""
    return {"setting": (default, read, meaning, meaning_fr, secret)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings as read, a field each: LIMITER_PORT is `port`. To add one, add its field.

    `sources` tells where each came from, by its variable; `limits` what environment, `.env` and defaults say of the
    limits; `warnings` has a sentence for each name that was set, looks like a setting, and is none.
    """

    # fmt: off
    database_url: str = field(metadata=setting("sqlite:///data/limiter.db", kinds.database,
        "where everything is kept", "où tout est gardé", secret=True))
    host: str = field(metadata=setting("127.0.0.1", listening_host,
        "address to listen on; another than loopback needs a `bots` key",
        "adresse d'écoute du limiteur ; hors boucle locale, il faut une clé `bots`"))
    port: int = field(metadata=setting("5001", kinds.port,
        "port of the limiter", "port du limiteur"))
    url: str = field(metadata=setting("http://127.0.0.1:5001", web_url,
        "where clients, command line and console find the limiter",
        "où clients, ligne de commande et console trouvent le limiteur"))
    key: str = field(metadata=setting("", str,
        "the key that clients and the command line send",
        "la clé qu'envoient clients et ligne de commande", secret=True))
    agent_socket: str = field(metadata=setting("", str,
        "socket of this user's agent; empty: in $XDG_RUNTIME_DIR, else in /tmp",
        "socket de l'agent de cet utilisateur ; vide : dans $XDG_RUNTIME_DIR, sinon dans /tmp"))
    notice_signal: str = field(metadata=setting("", str,
        "signal that a bot under `run` gets when its end is announced, as USR1; empty: none",
        "signal que reçoit un bot sous `run` quand sa fin est annoncée, tel USR1 ; vide : aucun"))
    console_host: str = field(metadata=setting("127.0.0.1", listening_host,
        "address the console listens on", "adresse d'écoute de la console"))
    console_port: int = field(metadata=setting("8501", kinds.port,
        "port of the console", "port de la console"))
    console_url: str = field(metadata=setting("", console_url,
        "public address of the console; empty: http://<host>:<port>/admin",
        "adresse publique de la console ; vide : http://<hôte>:<port>/admin"))
    console_starts: bool = field(metadata=setting("yes", kinds.yes,
        "whether the console starts a limiter where none runs: yes or no",
        "si la console démarre un limiteur là où aucun ne tourne : yes ou no"))
    allowed_hosts: tuple[str, ...] = field(metadata=setting("", allowed_hosts,
        "further hosts a request may name, separated by commas: name, name:port, *.name",
        "autres hôtes qu'une requête peut nommer, séparés par des virgules : name, name:port, *.name"))
    timezone: ZoneInfo = field(metadata=setting("UTC", kinds.zone,
        "IANA zone in which the trade day begins at midnight", "zone IANA où le jour de trade commence à minuit"))
    lang: Literal["fr", "en"] = field(metadata=setting("fr", kinds.choice("fr", "en"),
        "language of sentences where the caller names none: fr or en",
        "langue des phrases quand l'appelant n'en nomme pas : fr ou en"))
    alert_urls: tuple[str, ...] = field(metadata=setting("", kinds.addresses,
        "Apprise addresses for alerts, separated by commas",
        "adresses Apprise des alertes, séparées par des virgules", secret=True))
    alert_ends: bool = field(metadata=setting("yes", kinds.yes,
        "whether the end of an incident is told too: yes or no",
        "si la fin d'un incident est annoncée aussi : yes ou no"))
    alert_repeat_minutes: int = field(metadata=setting("0", kinds.minutes,
        "minutes until an open alert is told again; 0: never",
        "minutes avant qu'une alerte ouverte soit redite ; 0 : jamais"))
    alert_quiet: Hours | None = field(metadata=setting("", kinds.hours,
        "hours for critical alerts only, as 22:00-07:00; empty: none",
        "heures réservées aux alertes critiques, comme 22:00-07:00 ; vide : aucune"))
    ping_url: str = field(metadata=setting("", kinds.web,
        "address called each minute, for a monitor of silence",
        "adresse appelée chaque minute, pour un moniteur de silence", secret=True))
    backup_dir: str = field(metadata=setting("", str,
        "folder of backups; empty: backups/ beside the database; none: none",
        "dossier des sauvegardes ; vide : backups/ à côté de la base ; none : aucune"))
    backup_hours: int = field(metadata=setting("24", kinds.hours_of_a_day,
        "hours between two backups, 24 at most", "heures entre deux sauvegardes, 24 au plus"))
    backup_keep: int = field(metadata=setting("7", kinds.whole,
        "backups that are kept", "sauvegardes gardées"))
    ram_gb: float | None = field(metadata=setting("", kinds.ram,
        "RAM of the box in GB; empty: detected", "RAM du serveur en Go ; vide : détectée"))
    bot_pattern: re.Pattern[str] | None = field(metadata=setting("", kinds.pattern,
        "regular expression of bots' command lines; empty: not looked for",
        "expression rationnelle des lignes de commande des bots ; vide : on n'en cherche pas"))
    log_format: Literal["text", "json"] = field(metadata=setting("text", kinds.choice("text", "json"),
        "form of the log lines: text or json", "forme du journal : text ou json"))
    keep_raw_hours: int = field(metadata=setting("48", kinds.whole,
        "hours that 5-second snapshots are kept", "heures de garde des relevés de 5 secondes"))
    keep_minutes_days: int = field(metadata=setting("90", kinds.whole,
        "days that minute snapshots are kept; hours are kept for ever",
        "jours de garde des relevés à la minute ; les heures sont gardées pour toujours"))
    keep_refusals_days: int = field(metadata=setting("90", kinds.whole,
        "days that refusals are kept one by one", "jours de garde des refus un par un"))
    keep_refusals_rows: int = field(metadata=setting("200000", kinds.whole,
        "refusals kept one by one at most", "refus gardés un par un au plus"))
    keep_sessions_days: int = field(metadata=setting("400", kinds.whole,
        "days that ended sessions are kept", "jours de garde des sessions terminées"))
    keep_trades_days: int = field(metadata=setting("400", kinds.whole,
        "days that trades are kept", "jours de garde des trades"))
    keep_usage_days: int = field(metadata=setting("800", kinds.whole,
        "days that use by user is kept, by hour and by day",
        "jours de garde de l'usage par utilisateur, par heure et par jour"))
    # fmt: on
    sources: Mapping[str, Source]
    limits: Mapping[str, Setting]
    warnings: tuple[Words, ...] = ()

    @property
    def own_console_url(self) -> str:
        """Where a browser finds the console: its public address, else the one it listens on."""
        return self.console_url or f"{web_address(reachable(self.console_host), self.console_port)}/admin"

    @property
    def limiter_url(self) -> str:
        """Where the limiter is: at LIMITER_URL, else on this machine where LIMITER_HOST and LIMITER_PORT say."""
        if self.sources["LIMITER_URL"] != "default":
            return self.url
        return web_address(reachable(self.host), self.port)


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting: the environment variable, the field of Config, its default as text, how it is read, its meaning."""

    name: str
    field: str
    default: str
    read: Callable[[str], Any]
    meaning: str
    meaning_fr: str
    secret: bool

    def meaning_in(self, language: str) -> str:
        """What it means, in `fr` or `en`."""
        return self.meaning_fr if language == "fr" else self.meaning


SETTINGS = tuple(
    Declared(f"LIMITER_{one.name.upper()}", one.name, *one.metadata["setting"])
    for one in fields(Config)
    if "setting" in one.metadata
)
