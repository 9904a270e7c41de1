"""Keys and scopes: who may ask for what. One credential for programs and people: `lim_<id>_<secret>`.

The database keeps SHA-256 digests of the 256-bit secrets (a slow hash is for passwords); comparison takes the same time
for a known and an unknown id. Wrong keys are counted by address: 20 in 60 s, then 429 until the window passes.
"""

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from limiter.rules.records import Key, Scope
from limiter.rules.refusals import Refusal
from limiter.rules.windows import Window

WRONG_KEYS = 20
WRONG_SECONDS = 60
MAX_ADDRESSES = 10_000
MAX_KNOWN = 1_000

log = logging.getLogger("limiter")


def make_key(scope: Scope, name: str, now: int, key_id: str | None = None) -> tuple[str, Key]:
    """A new key: the text that its owner gets once, and what is kept."""
    key_id = key_id or secrets.token_hex(4)
    secret = secrets.token_urlsafe(32)
    return f"lim_{key_id}_{secret}", Key(key_id, name, scope, digest(secret), now)


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: the key's id and name, or anonymous where no key is needed."""

    name: str
    key: Key | None = None


ANONYMOUS = Actor("anonymous")


@dataclass(slots=True)
class Access:
    """The gate's memory: keys, and wrong attempts by address. `local` is where only loopback can reach the limiter.

    Where it is, and no `bots` key was ever made (a revoked one counts: a door once locked stays locked), bot calls and
    admin reads are open.
    """

    local: bool
    keys: dict[str, Key] = field(default_factory=dict)
    control: Key | None = None
    monotonic: Callable[[], float] = time.monotonic
    wrong: int = 0
    _wrong: dict[str, Window] = field(default_factory=dict)
    _known: dict[str, tuple[Key, Actor]] = field(default_factory=dict)  # headers that were right before

    def load(self, keys: Iterable[Key]) -> None:
        """The keys as the database has them now."""
        self.keys = {key.id: key for key in keys}
        if self.control is not None:
            self.keys[self.control.id] = self.control

    @property
    def open(self) -> bool:
        """Whether bot calls and admin reads need no key."""
        return self.local and not any(key.scope == "bots" for key in self.keys.values())

    def check(self, authorization: str | None, scope: str, address: str, request_id: str) -> Actor | Refusal:
        """Who asks, if they may. A key that is sent is checked even where none is needed.

        `Bearer` without a key is what a proxy sends for who came without one: never open to it, and no guess.
        """
        if authorization is None:
            return ANONYMOUS if self.open and scope != "admin:write" else Refusal("unauthorized")
        known = self._known.get(authorization)
        if known is None or self.keys.get(known[0].id) is not known[0]:  # a key that changed is looked at anew
            if authorization.strip().lower() in ("", "bearer"):
                return Refusal("unauthorized")
            key = self.find(authorization.partition(" ")[2].strip() if authorization[:7].lower() == "bearer " else "")
            if key is None:
                return self._count_wrong(address, request_id)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[authorization] = key, Actor(key.actor, key)
        return known[1] if known[0].carries(scope) else Refusal("forbidden", {"scope": scope})

    def find(self, text: str) -> Key | None:
        """The live key that this text is."""
        parts = text.split("_", 2)
        wanted = self.keys.get(parts[1]) if len(parts) == 3 and parts[0] == "lim" else None
        given = digest(parts[2] if len(parts) == 3 else text)
        matches = hmac.compare_digest(given, wanted.digest if wanted else digest(""))
        return wanted if wanted is not None and matches and wanted.revoked_at is None else None

    def _count_wrong(self, address: str, request_id: str) -> Refusal:
        second = int(self.monotonic())
        self.wrong += 1
        if len(self._wrong) > MAX_ADDRESSES:
            self._wrong = {host: window for host, window in self._wrong.items() if window.used(second)}
        window = self._wrong.setdefault(address, Window(WRONG_SECONDS))
        if window.used(second) >= WRONG_KEYS:
            return Refusal("too_many_attempts", {}, window.wait(second, 1))
        window.add(second, 1)
        if window.used(second) == WRONG_KEYS:
            told = address, WRONG_KEYS, WRONG_SECONDS, request_id
            log.warning("wrong_keys address=%s count=%d seconds=%d request_id=%s", *told)
        return Refusal("unauthorized")
