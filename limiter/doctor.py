"""`limiter doctor`: looks at an installation from the outside in, and says what is wrong with it and what to do.

Promises: nothing is changed, and nothing has to run. Each finding is one sentence in the operator's language; where a
finding hides what is behind it (settings that cannot be read), the search ends there.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from limiter import __version__, config, maintenance
from limiter.agent import address
from limiter.agent.words import Unable
from limiter.bilingual import in_both
from limiter.channels import open_channels
from limiter.client.wire import Connection, Refused
from limiter.commands.local import local_key
from limiter.config import Config
from limiter.hosts import is_loopback
from limiter.store.file_checks import refuse_empty, refuse_spoiled
from limiter.store.location import StoreError, beside, free_bytes, key_file, refuse_lost, sqlite_path

LEAST_FREE_BYTES = 200 * 1024**2
ANSWER_SECONDS = 5.0
Text = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `part`, whether it is `ok`, and the sentence, which says what to do where not."""

    part: str
    ok: bool
    message: str

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)


def examine(text: Text) -> Iterator[Finding]:
    """Every finding; `text(fr=, en=)` chooses the language."""
    try:
        settings = config.read()
    except config.ConfigError as error:
        yield Finding("settings", False, text(fr=error.fr, en=error.en))
        return
    yield from (Finding("settings", False, text(fr=warning.fr, en=warning.en)) for warning in settings.warnings)
    if not settings.warnings:
        yield Finding("settings", True, text(fr="Les réglages se lisent.", en="The settings can be read."))
    yield from _channels(settings, text)
    try:
        yield from _files(settings, text)
        yield from _keys(settings, text)
    except (StoreError, OSError) as error:
        fr, en = in_both(error)
        yield Finding("database", False, text(fr=fr, en=en))
    yield from _limiter(settings, text)
    yield from _agent(text)


def _channels(settings: Config, text: Text) -> Iterator[Finding]:
    try:
        channels = open_channels(settings.alert_urls, None)
    except ValueError as error:
        fr, en = in_both(error)
        yield Finding("channels", False, text(fr=f"LIMITER_ALERT_URLS : {fr}", en=f"LIMITER_ALERT_URLS: {en}"))
        return
    none = text(
        fr="Aucun canal : nul n'est alerté (LIMITER_ALERT_URLS).", en="None: nobody is alerted (LIMITER_ALERT_URLS)."
    )
    yield Finding("channels", True, ", ".join(channels) or none)


def _files(settings: Config, text: Text) -> Iterator[Finding]:
    path = sqlite_path(settings.database_url)
    folder = beside(settings.database_url, "").resolve()
    if not folder.is_dir():
        above = next(one for one in (folder, *folder.parents) if one.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            told = text(
                fr=f"{folder} ne peut être créé : vois {above}.", en=f"{folder} cannot be made: look at {above}."
            )
            yield Finding("database", False, told)
            return
        refuse_lost(settings.database_url, settings.backup_dir)  # backups and a key may lie elsewhere
        told = text(
            fr=f"{folder} n'existe pas encore : le premier démarrage le crée.",
            en=f"{folder} is made by the first start.",
        )
        yield Finding("database", True, told)
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        told = text(
            fr=f"{folder} ne peut être écrit : vois son propriétaire, et si son disque est en lecture seule (dmesg).",
            en=f"{folder} cannot be written to: look at its owner, and whether its disk is read-only (dmesg).",
        )
        yield Finding("database", False, told)
    free = free_bytes(folder)
    room = text(fr=f"{free >> 20} Mio libres sous {folder}", en=f"{free >> 20} MiB are free under {folder}")
    more = text(fr=" : fais de la place.", en=": make room.")
    yield Finding("disk", free >= LEAST_FREE_BYTES, room + ("." if free >= LEAST_FREE_BYTES else more))
    for secret in (path, key_file(settings.database_url)):
        if secret is not None and secret.exists() and (mode := stat.S_IMODE(secret.stat().st_mode)) & 0o077:
            told = text(
                fr=f"D'autres lisent {secret} ({mode:o}) : chmod 600.",
                en=f"Others can read {secret} ({mode:o}): chmod 600.",
            )
            yield Finding("permissions", False, told)
    if path is not None:  # what a start would say
        refuse_spoiled(path)
        refuse_empty(path)
        refuse_lost(settings.database_url, settings.backup_dir)
    if path is None or path.exists():
        faults = maintenance.check(settings)
        sound = text(fr="intègre : compte et chaîne d'audit aussi", en="sound: integrity, count and audit chain")
        yield Finding("database", not faults, "; ".join(text(fr=one.fr, en=one.en) for one in faults) or sound)


def _keys(settings: Config, text: Text) -> Iterator[Finding]:
    path = sqlite_path(settings.database_url)
    if path is not None and not path.exists():
        return
    live = [key for key in maintenance.list_keys(settings) if key.revoked_at is None]
    bots = any(key.scope == "bots" for key in live)
    if not bots and not is_loopback(settings.host):
        told = text(
            fr=f"LIMITER_HOST={settings.host} exige une clé de bots : limiter keys create --scope bots",
            en=f"LIMITER_HOST={settings.host} needs a key for bots: limiter keys create --scope bots",
        )
        yield Finding("keys", False, told)
    elif not any(key.scope == "admin:write" for key in live):
        told = (
            text(fr="Nulle clé admin:write : ", en="No admin:write key: ") + "limiter keys create --scope admin:write"
        )
        yield Finding("keys", False, told)
    else:
        many = len(live) > 1
        told = text(
            fr=f"{len(live)} clé{'s' if many else ''} valable{'s' if many else ''}",
            en=f"{len(live)} {'keys are' if many else 'key is'} good",
        )
        yield Finding("keys", True, told)


def _limiter(settings: Config, text: Text) -> Iterator[Finding]:
    url = settings.limiter_url
    try:
        connection = Connection(url, settings.key or local_key(settings.database_url, url), settings.lang)
        with connection.open(httpx.Client, ANSWER_SECONDS) as http:
            health, stats = _asked(http, "health"), _asked(http, "stats")
    except Refused as refused:  # an unusable proxy, certificate or key
        yield Finding("limiter", False, str(refused))
        return
    if not isinstance(health, httpx.Response) or health.status_code not in (200, 503):
        refused_by = connection.refusal(health)
        proxies = "" if is_loopback(httpx.URL(url).host) else " (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY ?)"
        start = text(
            fr=" : limiter serve, ou systemctl start limiter", en=": limiter serve, or systemctl start limiter"
        )
        yield Finding("limiter", False, f"{refused_by}{proxies}{start}")
        return
    try:
        checks = health.json()["checks"]
    except (ValueError, KeyError, TypeError):
        yield Finding("limiter", False, str(connection.strange(health.status_code, "")))
        return
    yield Finding("limiter", True, text(fr=f"Il répond à {url}", en=f"It answers at {url}"))
    yield from (
        Finding(f"limiter: {name}", bool(one["ok"]), one["detail"]) for name, one in checks.items() if not one["ok"]
    )
    if isinstance(stats, httpx.Response) and stats.is_success and (runs := stats.json()["version"]) != __version__:
        told = text(
            fr=f"{runs} tourne, {__version__} est installée : redémarre le limiteur.",
            en=f"{runs} runs, {__version__} is installed: restart the limiter.",
        )
        yield Finding("version", False, told)


def _asked(http: httpx.Client, name: str) -> httpx.Response | httpx.RequestError:
    try:
        return http.get(f"/api/admin/{name}")
    except httpx.RequestError as error:
        return error


def _agent(text: Text) -> Iterator[Finding]:
    try:
        connection = address.reached(ANSWER_SECONDS)
    except Unable as error:
        yield Finding("agent", False, str(error))
        return
    if connection is not None:
        connection.close()
    none = text(fr="Aucun ne tourne ; le premier `run` le démarre.", en="None runs; the first `run` starts it.")
    yield Finding("agent", True, text(fr="Il répond.", en="It answers.") if connection is not None else none)
