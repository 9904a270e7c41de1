"""Who is signed in. A sign-in lives in this process; the browser holds a signed random id and never the key.

Promises: 8 hours at most, ended at once by `close`; a one-time link opens once, within 10 minutes, and looking at it
does not use it up. Does not promise to outlive the process: after a restart everybody signs in again.
"""

import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from itsdangerous import BadSignature, Signer

COOKIE = "limiter_console"
SIGN_IN_SECONDS = 8 * 3600
LINK_SECONDS = 600
MOST = 200  # sign-ins kept; the oldest goes first


@dataclass(frozen=True, slots=True)
class SignIn:
    """One browser's stay; `key` is what changes are sent with, `scope` is `admin:read` or `admin:write`."""

    id: str
    key: str
    name: str
    scope: str
    until: float

    @property
    def may_change(self) -> bool:
        """Whether changes are offered. The limiter decides by the key, whatever is offered."""
        return self.scope == "admin:write"


def cookie_name(host: str) -> str:
    """The name of the cookie for a Host header. Browsers share cookies between all ports of a host (RFC 6265, 8.5)."""
    port = re.search(r":([0-9]+)$", host)
    return f"{COOKIE}_{port[1]}" if port else COOKIE


class SignIns:
    """The sign-ins of this process. Safe from any thread. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._signer = Signer(secrets.token_bytes(32), salt=COOKIE)
        self._open: dict[str, SignIn] = {}
        self._links: dict[str, float] = {}
        self._lock = threading.Lock()

    def link(self) -> str:
        """A new one-time token."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._links[token] = self._clock() + LINK_SECONDS
        return token

    def opens(self, token: str) -> bool:
        """Whether the token is still good; it stays so."""
        with self._lock:
            return self._links.get(token, 0.0) > self._clock()

    def redeem(self, token: str) -> bool:
        """Use the token up; whether it was good."""
        with self._lock:
            return self._links.pop(token, 0.0) > self._clock()

    def open(self, key: str, name: str, scope: str) -> SignIn:
        """A new sign-in for whoever showed the key."""
        made = SignIn(secrets.token_urlsafe(24), key, name, scope, self._clock() + SIGN_IN_SECONDS)
        with self._lock:
            while len(self._open) >= MOST:
                del self._open[next(iter(self._open))]
            self._open[made.id] = made
        return made

    def cookie(self, sign_in: SignIn) -> str:
        """The cookie's value."""
        return self._signer.sign(sign_in.id).decode()

    def find(self, cookie: str | None) -> SignIn | None:
        """Whose cookie it is; None where it is forged, over or closed."""
        try:
            name = self._signer.unsign(cookie or "").decode()
        except BadSignature:
            return None
        with self._lock:
            found = self._open.get(name)
            if found is not None and found.until <= self._clock():
                del self._open[name]
                return None
        return found

    def close(self, sign_in: SignIn) -> None:
        """Sign out."""
        with self._lock:
            self._open.pop(sign_in.id, None)


SIGN_INS = SignIns()
