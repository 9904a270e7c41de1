"""Alert channels: Apprise addresses, each with a short name, sending one message at a time beside the event loop.

Promises: sending never blocks the caller's event loop nor the exit of the process; what a channel answers is told
without the secrets of its address. Not promised: that a message which seemed to fail did not arrive after all.

Apprise takes a second and 20 MB to load. So addresses that it has once taken are remembered (as a digest), and a start
with the same ones leaves it to the first message.
"""

import asyncio
import hashlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from limiter.bilingual import Unreadable
from limiter.rules.deliveries import NO_ANSWER, NOT_BACK, NOT_DELIVERED, SOME_HAVE_IT

TRY_SECONDS = 30.0  # a try that takes longer counts as failed for now
ANSWER_SECONDS = 60.0  # for a server that took a message to answer; Apprise's 4 s tell a slow one again and again
SECRET_LENGTH = 6  # parts of an address from that length on are not repeated
MAX_ANSWER = 300  # characters
_TOLD = ("WARNING", "ERROR", "CRITICAL")


def open_channels(addresses: Sequence[str], memory: Path | None = None) -> dict[str, "Channel"]:
    """The channels by name: `discord`, `e-mail`, `json`, `json-2`. Raises ValueError that tells no secret.

    `memory` is the file in which addresses that were taken are remembered.
    """
    if not addresses:
        return {}
    digest = hashlib.sha256("\n".join([version("apprise"), *addresses]).encode()).hexdigest()
    names = _remembered(memory, digest)
    if names is None:
        names = _names(addresses)
        _remember(memory, digest, names)
    return {name: Channel(name, address) for name, address in zip(names, addresses, strict=True)}


def _names(addresses: Sequence[str]) -> list[str]:
    names: list[str] = []
    for place, address in enumerate(addresses, 1):
        apprise = _open(address)
        if apprise is None:
            of = len(addresses)
            raise Unreadable(
                fr=f"l'adresse {place} sur {of} n'est pas connue d'Apprise",
                en=f"address {place} of {of} is not one that Apprise knows",
            )
        base = re.sub(r"[^a-z0-9]+", "-", str(apprise[0].service_name).lower()).strip("-")
        same = sum(re.fullmatch(rf"{base}(-\d+)?", name) is not None for name in names)
        names.append(f"{base}-{same + 1}" if same else base)
    return names


def _open(address: str) -> Any:
    """Apprise with that address; None where it does not know it."""
    from apprise import Apprise, AppriseAsset

    logger = logging.getLogger("apprise")
    logger.propagate, logger.disabled = False, False  # its lines name addresses; ours do not
    # With a time limit of its own it would send in a pool of a few threads: channels that hang would hold up others
    # there, and the exit of the process.
    asset = AppriseAsset(async_mode=False, app_id="Bot limiter", storage_mode="memory", service_timeout=0)
    apprise = Apprise(asset=asset)
    if not apprise.add(address):
        return None
    _wait_for_answers(apprise[0])
    return apprise


def _wait_for_answers(plugin: Any) -> None:
    """Have it wait for the answer as long as we do, where the address says nothing else (`rto`, of mail `cto`): what it
    gives up too early the server may have taken. Mail has one timeout for all that it asks of its server."""
    name = "socket_connect_timeout" if hasattr(plugin, "smtp_host") else "socket_read_timeout"
    if getattr(plugin, name) == getattr(type(plugin), name):
        setattr(plugin, name, ANSWER_SECONDS)


def _split(apprise: Any) -> dict[str, Any]:
    """One Apprise a recipient, by a digest of who that is: a plugin tries all of its own again where one of them
    failed. Each plugin keeps them under a name of its own; `len` says how many there are."""
    plugin = apprise[0]
    several = [name for name, held in vars(plugin).items() if isinstance(held, list) and len(held) == len(plugin) > 1]
    if len(several) != 1:
        return {"": apprise}
    found = {}
    for recipient in getattr(plugin, several[0]):
        one, alone = copy(plugin), type(apprise)(asset=apprise.asset)
        setattr(one, several[0], [recipient])
        alone.add(one)
        found[hashlib.sha256(repr(recipient).encode()).hexdigest()[:12]] = alone
    return found


def _remembered(memory: Path | None, digest: str) -> list[str] | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(memory.read_text()) if memory else {}
        if kept["digest"] == digest:
            return [str(name) for name in kept["names"]]
    return None


def _remember(memory: Path | None, digest: str, names: list[str]) -> None:
    with suppress(OSError):  # then the next start takes a second longer
        if memory:
            handle = os.open(memory, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump({"digest": digest, "names": names}, file)


class Channel:
    """One address. A message that hangs holds up later ones of this channel, and nothing else."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self._address = address
        self._recipients: dict[str, Any] = {}
        self._message: int | None = None  # which one the last try was of, and which recipients have it
        self._arrived: set[str] = set()
        parts = {unquote(part) for part in re.split(r"[/?&=:@,]+", address)} | set(re.split(r"[/?&=:@,]+", address))
        self._secrets = sorted((part for part in parts if len(part) >= SECRET_LENGTH), key=len, reverse=True)
        self._trying: object = None
        self._under_way: asyncio.Future[str | None] | None = None

    def reached(self, message: int) -> tuple[str, ...]:
        """Which of several recipients of the address have this message; none where there is but one, or another message
        was tried since."""
        return tuple(sorted(self._arrived - {""})) if message == self._message else ()

    def is_trying(self, message: int) -> bool:
        """Whether a try of it took too long, and what came of it was not told yet."""
        return self._under_way is not None and message == self._trying

    async def send(
        self, title: str, body: str, severity: str, message: int | None = None, reached: Sequence[str] = ()
    ) -> str | None:
        """Send; None where it arrived with everybody, else why it did not.

        The same `message` again goes to those of the address's recipients alone whom it did not reach before, be it in
        this process or, as `reached` says, in an earlier one; and where an earlier try of it took too long, its outcome
        is this one's: a slow server is not told twice.
        """
        which: object = object() if message is None else message
        if self._under_way is None or (self._under_way.done() and which != self._trying):
            self._trying, self._under_way = which, self._begin(title, body, severity, message, reached)
        elif which != self._trying:
            return NOT_BACK
        try:
            outcome = await asyncio.wait_for(asyncio.shield(self._under_way), TRY_SECONDS)
        except TimeoutError:
            return f"{NO_ANSWER} {TRY_SECONDS:.0f} s"
        self._under_way = None
        return outcome

    def _begin(
        self, title: str, body: str, severity: str, message: int | None, reached: Sequence[str]
    ) -> asyncio.Future[str | None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str | None] = loop.create_future()

        def work() -> None:
            failure = self._notify(title, body, severity, message, reached)
            with suppress(RuntimeError):  # the limiter has stopped meanwhile
                loop.call_soon_threadsafe(_settle, future, failure)

        # A daemon, for a server that never answers must not keep the process from its exit.
        threading.Thread(target=work, daemon=True, name=f"alert-{self.name}").start()
        return future

    def _notify(self, title: str, body: str, severity: str, message: int | None, reached: Sequence[str]) -> str | None:
        try:
            if not self._recipients:
                self._recipients = _split(_open(self._address))
            if message is None or message != self._message:
                self._message, self._arrived = message, set(reached)
            failures = []
            for who, recipient in self._recipients.items():
                if who not in self._arrived:
                    failure = self._try(recipient, title, body, severity)
                    if failure is None:
                        self._arrived.add(who)
                    else:
                        failures.append(failure)
            if len(failures) < len(self._recipients) and failures:
                every = len(self._recipients)
                return SOME_HAVE_IT.filled(n=every - len(failures), all=every, why=failures[0]).en
            return failures[0] if failures else None
        except Exception as error:  # whatever a plugin or a server does wrong is an answer of this channel
            return self.redact(f"{type(error).__name__}: {error}")

    def _try(self, recipient: Any, title: str, body: str, severity: str) -> str | None:
        began = time.monotonic()
        results = recipient.notify(title=title, body=body, notify_type=severity, body_format="text")
        attempts = [attempt for result in results for attempt in result.attempts]
        if attempts and attempts[-1]:
            return None
        if time.monotonic() - began >= ANSWER_SECONDS:
            return f"{NO_ANSWER} {ANSWER_SECONDS:.0f} s"
        said = [entry.message for attempt in attempts for entry in attempt.logs if entry.level in _TOLD]
        return self.redact(said[-1] if said else NOT_DELIVERED)

    def redact(self, text: str) -> str:
        """The text without parts of the address."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text[:MAX_ANSWER]


def _settle(future: asyncio.Future[str | None], failure: str | None) -> None:
    if not future.done():
        future.set_result(failure)
