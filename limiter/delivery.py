"""Alert channels: Apprise addresses, each with a short name, sending one message at a time beside the event loop.

Promises: sending never blocks the caller's event loop nor the exit of the process; what a channel answers is told
without the secrets of its address. Not promised: that a message which seemed to fail did not arrive after all.
"""

import asyncio
import logging
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

TRY_SECONDS = 30.0  # a try that takes longer counts as failed
SECRET_LENGTH = 6  # parts of an address from that length on are not repeated
MAX_ANSWER = 300  # characters
_TOLD = ("WARNING", "ERROR", "CRITICAL")


def open_channels(addresses: Sequence[str]) -> dict[str, "Channel"]:
    """The channels by name: `discord`, `e-mail`, `json`, `json-2`. Raises ValueError that tells no secret."""
    if not addresses:
        return {}
    from apprise import Apprise, AppriseAsset  # takes half a second, which only those pay who are alerted

    logger = logging.getLogger("apprise")
    logger.propagate, logger.disabled = False, False  # its lines name addresses; ours do not
    channels: dict[str, Channel] = {}
    for place, address in enumerate(addresses, 1):
        apprise = Apprise(asset=AppriseAsset(async_mode=False, app_id="Bot limiter", storage_mode="memory"))
        if not apprise.add(address):
            raise ValueError(f"address {place} of {len(addresses)} is not one that Apprise knows")
        service = str(apprise[0].service_name)
        base = re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-")
        same = sum(re.fullmatch(rf"{base}(-\d+)?", name) is not None for name in channels)
        name = f"{base}-{same + 1}" if same else base
        channels[name] = Channel(name, address, apprise)
    return channels


class Channel:
    """One address. A message that hangs holds up later ones of this channel, and nothing else."""

    def __init__(self, name: str, address: str, apprise: Any) -> None:
        self.name = name
        self._apprise = apprise
        parts = {unquote(part) for part in re.split(r"[/?&=:@,]+", address)} | set(re.split(r"[/?&=:@,]+", address))
        self._secrets = sorted((part for part in parts if len(part) >= SECRET_LENGTH), key=len, reverse=True)
        self._busy = False

    async def send(self, title: str, body: str, severity: str) -> str | None:
        """Send; None where it arrived, else why it did not."""
        if self._busy:
            return "the try before has not come back"
        self._busy = True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str | None] = loop.create_future()

        def work() -> None:
            failure = self._notify(title, body, severity)
            self._busy = False
            with suppress(RuntimeError):  # the limiter has stopped meanwhile
                loop.call_soon_threadsafe(_settle, future, failure)

        # A daemon, for a server that never answers must not keep the process from its exit.
        threading.Thread(target=work, daemon=True, name=f"alert-{self.name}").start()
        try:
            return await asyncio.wait_for(future, TRY_SECONDS)
        except TimeoutError:
            return f"no answer for {TRY_SECONDS:.0f} s"

    def _notify(self, title: str, body: str, severity: str) -> str | None:
        try:
            results = self._apprise.notify(title=title, body=body, notify_type=severity, body_format="text")
            attempts = [attempt for result in results for attempt in result.attempts]
            if attempts and attempts[-1]:
                return None
            said = [entry.message for attempt in attempts for entry in attempt.logs if entry.level in _TOLD]
            return self.redact(said[-1] if said else "not delivered")
        except Exception as error:  # whatever a plugin or a server does wrong is an answer of this channel
            return self.redact(f"{type(error).__name__}: {error}")

    def redact(self, text: str) -> str:
        """The text without parts of the address."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text[:MAX_ANSWER]


def _settle(future: asyncio.Future[str | None], failure: str | None) -> None:
    if not future.done():
        future.set_result(failure)
