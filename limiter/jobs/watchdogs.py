"""Signs of life for those outside who notice when they stop: systemd's watchdog, and a ping a minute to an address.

Promises: both fall silent while decisions stall, and the ping too while none can be made. Not promised: that every ping
arrives; who watches for silence should wait for two or three.
"""

import asyncio
import contextlib
import logging
import os
import socket

from limiter.committer import Committer

PING_SECONDS = 60.0
ANSWER_SECONDS = 10.0
STALL_SECONDS = 5.0  # a batch under way for longer is stuck

log = logging.getLogger("limiter")


def tell_systemd(text: str) -> None:
    """`READY=1`, `WATCHDOG=1` or `STOPPING=1`, where systemd started this process and listens (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.setblocking(False)
        datagrams.sendto(text.encode(), address)


def watchdog_seconds() -> float | None:
    """How often systemd wants a sign: twice in WatchdogSec. None where it does not watch this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 2_000_000 if text.isdigit() and int(text) else None


async def feed_watchdog(committer: Committer, seconds: float) -> None:
    """For ever. A database that is away is no reason to be started again: that would bring it back no sooner."""
    while True:
        if committer.stalled_seconds() < STALL_SECONDS:
            tell_systemd("WATCHDOG=1")
        await asyncio.sleep(seconds)


async def ping(committer: Committer, url: str, seconds: float = PING_SECONDS) -> None:
    """For ever; the address is a secret and in no log line."""
    import httpx  # some 10 MB, which only those pay who are pinged

    async with httpx.AsyncClient(timeout=ANSWER_SECONDS, follow_redirects=True) as http:
        while True:
            if committer.away_since is None and committer.stalled_seconds() < STALL_SECONDS:
                try:
                    answer = await http.get(url)
                    if not answer.is_success:
                        log.warning("ping_failed answer=%d", answer.status_code)
                except httpx.HTTPError as error:
                    log.warning("ping_failed error=%s", type(error).__name__)
            await asyncio.sleep(seconds)
